"""What the table of ``narrows status`` has no column for: a line for each thing worth a word."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from worker.cli.output import span
from worker.whereabouts import clock

if TYPE_CHECKING:
    from worker.standing import Standing
    from worker.submissions.submitted import Submitted

__all__ = ["notes_on"]

_UNSETTLED = ("in_doubt", "sending", "queued", "open")


def notes_on(each: Standing) -> Iterator[str]:
    """The notes on one provider; none when all is as it is declared and nobody waits."""
    if each.cooldown_until is not None:
        yield f"cooling down until {clock(each.cooldown_until, each.at)}, {_how_it_came(each)}"
    if each.factor is not None and each.factor < 1:
        yield f"at {each.factor:.0%} of its rate since it was throttled"
    if each.set_aside:
        yield f"{each.set_aside} of {len(each.credentials)} credentials set aside"
    if each.parked or each.under_way:
        yield _parked(each)
    if each.budget.most is not None and each.budget.retries >= 1:
        yield f"{each.budget.retries:.0f} of {each.budget.most:.0f} retries of this minute used"
    if each.quota_spent_at is not None or each.slipping:
        yield _quota(each)
    if each.submitted is not None and any(each.submitted.counts[state] for state in _UNSETTLED):
        yield _submissions(each.submitted)
    if each.submitted is not None and each.submitted.suppressed:
        yield f"recipients that are not written to any more: {each.submitted.suppressed}"


def _submissions(each: Submitted) -> str:
    counted = [(state.replace("_", " "), each.counts[state]) for state in _UNSETTLED]
    parts = [
        *(f"{count} {state}" for state, count in counted if count),
        f"the first in doubt for {span(each.in_doubt_for)}" if each.in_doubt else "",
        f"some open one not asked about for {span(each.lag)}" if each.counts["open"] else "",
    ]
    return f"submissions: {', '.join(part for part in parts if part)}"


def _how_it_came(each: Standing) -> str:
    """Throttled answers are remembered with their number, what a header said is not."""
    longest = each.declared.max_cooldown
    recent = [one for one in each.credentials if one.throttled_at and each.at - one.throttled_at <= longest]
    if not recent:
        return "for its headers said that no calls are left"
    last = max(recent, key=lambda one: one.throttled_at or 0.0)
    often = f"{last.throttles} times in a row, last" if last.throttles > 1 else "once,"
    return f"throttled {often} {span(each.at - (last.throttled_at or each.at))} ago"


def _parked(each: Standing) -> str:
    why, until = each.hold
    until_when = f" until {clock(until, each.at)}" if until else ""
    held = f" ({why}{until_when})" if each.in_line else ""
    lanes = [f"{count} {lane}" for lane, count in each.lanes.items() if count]
    parts = [
        f"{each.in_line} in line{held}",
        f"of them {' and '.join(lanes)}" if len(lanes) > 1 else "",
        f"{each.slow} slow" if each.slow else "",
        f"{each.under_way} under way" if each.under_way else "",
        f"the oldest for {span(each.parked_for)}" if each.oldest_parked is not None else "",
        f"served about {clock(each.drained_at, each.at)}" if each.drained_at is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _quota(each: Standing) -> str:
    spent, left = each.quota_spent_at, f"quota {each.quota_left} of {each.quota_limit} left"
    ends = "" if spent is None else f", spent about {clock(spent, each.at)}" if each.quota_left else ", spent"
    slip = f"; {each.slipping} parked calls slip to tomorrow" if each.slipping else ""
    return f"{left}{ends}{slip}"
