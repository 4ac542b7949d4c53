"""``narrows status``: what waits, why, and until when."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.limits import credential_json
from worker.cli.notes import notes_on
from worker.cli.options import AsJson, seconds
from worker.cli.output import NONE, cell, console, iso, show_json, span, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Group
    from rich.table import Table

    from worker.concerns import Concern
    from worker.standing import Standing
    from worker.submissions.submitted import Submitted

__all__ = ["status"]

_FIELDS = (
    "provider", "breaker", "by_hand", "failures", "window", "successes", "tokens", "burst", "factor",
    "set_aside", "quota_left", "quota_limit", "slipping", "queued", "running", "waiting", "parked", "in_line",
    "lanes", "slow", "under_way", "in_flight", "slots", "parked_for", "dead_letters",
)  # fmt: skip
_MOMENTS = (
    "at", "open_until", "opened_at", "cooldown_until", "quota_until", "quota_spent_at", "oldest_queued",
    "next_due", "oldest_parked", "drained_at",
)  # fmt: skip
_COLUMNS = (
    "Provider", "Breaker", "Cooldown", "Tokens", "Quota", "Queued", "Running", "In line", "Waiting", "Dead",
)  # fmt: skip
_WRAPPED = {"Breaker", "Waiting"}
_STYLES = {"open": "bold red", "half_open": "yellow"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All that one look shows; *workers* and *messages* are None when the broker did not answer."""

    standings: list[Standing]
    unroutable: int
    concerns: list[Concern]
    workers: tuple[str, ...] | None
    messages: dict[str, int] | None

    def as_json(self) -> dict[str, Any]:
        """For programs: moments in ISO 8601, lengths in seconds."""
        return {
            "providers": [self._provider(each) for each in self.standings],
            "unroutable": self.unroutable,
            "workers": None if self.workers is None else list(self.workers),
            "concerns": [asdict(each) for each in self.concerns],
        }

    def _provider(self, each: Standing) -> dict[str, Any]:
        return {
            **{name: getattr(each, name) for name in _FIELDS},
            **{name: iso(getattr(each, name)) for name in _MOMENTS},
            "retry_budget": {**asdict(each.budget), "left": each.budget.left},
            "credentials": [credential_json(one) for one in each.credentials],
            "submissions": _submissions_json(each.submitted),
            "messages": None if self.messages is None else self.messages[each.provider],
        }


def _submissions_json(each: Submitted | None) -> dict[str, Any] | None:
    if each is None:
        return None
    return {
        **each.counts,
        "in_doubt_for": each.in_doubt_for,
        "poller_lag": each.lag,
        "suppressed": each.suppressed,
    }


def status(
    ctx: typer.Context,
    *,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    every: Annotated[str, typer.Option(metavar="DURATION", help="How often --watch looks.")] = "2s",
    as_json: AsJson = False,
) -> None:
    """Show each provider's breaker, limits and calls, and the workers that answer.

    A look costs one round trip to Redis and a second of waiting for workers.
    """
    desk = desk_of(ctx)
    if watch:
        _watch(desk, seconds(every), as_json=as_json)
    else:
        _show(_look(desk), as_json=as_json)


def _look(desk: Desk) -> Status:
    from kombu.exceptions import OperationalError

    from worker.concerns import all_concerns
    from worker.fleet import fleet
    from worker.snapshot import look

    desk.asked = "state"
    found = look(desk.engine, desk.names())
    try:
        seen = fleet(desk.app, desk.names())
    except (OperationalError, OSError):
        seen = None
    return Status(
        standings=found.standings,
        unroutable=found.unroutable,
        concerns=all_concerns(found),
        workers=seen.workers if seen else None,
        messages=seen.messages if seen else None,
    )


def _watch(desk: Desk, every: float, *, as_json: bool) -> None:
    """Until Ctrl-C, which is how it ends well."""
    from rich.live import Live

    out = console()
    try:
        if as_json or not out.is_terminal:
            while True:
                _show(_look(desk), as_json=as_json)
                time.sleep(every)
        with Live(_drawn(_look(desk)), console=out, auto_refresh=False) as live:
            while True:
                time.sleep(every)
                live.update(_drawn(_look(desk)), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _show(look: Status, *, as_json: bool) -> None:
    if as_json:
        show_json(look.as_json())
    else:
        console().print(_drawn(look))


def _drawn(look: Status) -> Group:
    from rich.console import Group

    notes = [cell(f"{each.provider}: {note}") for each in look.standings for note in notes_on(each)]
    alarms = [cell(f"! {concern}", "yellow") for concern in look.concerns]
    return Group(_table(look), "", _workers(look.workers), *notes, *alarms)


def _table(look: Status) -> Table:
    drawn = table(*_COLUMNS, numbers=_COLUMNS[3:], whole=[name for name in _COLUMNS if name not in _WRAPPED])
    for each in look.standings:
        drawn.add_row(
            cell(each.provider, "bold"),
            cell(breaker_words(each), _STYLES.get(each.breaker, "green")),
            cell(None if each.cooldown_until is None else span(each.cooldown_until - each.at)),
            cell(None if each.tokens is None else f"{each.tokens:.0f}/{each.burst}"),
            cell(None if each.quota_left is None else f"{each.quota_left}/{each.quota_limit}"),
            cell(_queued(each, look.messages)),
            cell(each.running),
            cell(each.in_line),
            cell(_waiting(each)),
            cell(each.dead_letters, "red" if each.dead_letters else ""),
        )
    return drawn


def breaker_words(each: Standing) -> str:
    """The breaker's state and how long it lasts."""
    if each.by_hand:
        return "open until closed by hand"
    if each.open_until is not None:
        return f"open, probes in {span(each.open_until - each.at)}"
    return each.breaker.replace("_", "-")


def _queued(each: Standing, messages: dict[str, int] | None) -> str:
    """Records in the queue; more messages than those came by bare name and have no record yet."""
    unseen = (messages or {}).get(each.provider, 0) - each.queued
    return f"{each.queued} + {unseen} new" if unseen > 0 else str(each.queued)


def _waiting(each: Standing) -> str:
    if not each.waiting or each.next_due is None:
        return str(each.waiting)
    return f"{each.waiting}, next in {span(each.next_due - each.at)}"


def _workers(names: Sequence[str] | None) -> Any:
    if names is None:
        return cell("Workers: unknown, the broker does not answer", "red")
    if not names:
        return cell("Workers: none answers", "red")
    return cell(f"Workers: {len(names)} ({', '.join(names) or NONE})")
