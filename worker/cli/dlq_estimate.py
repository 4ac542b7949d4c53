"""What a replay would cost: calls, a share of the quota, and time at the provider's rate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.cli.dlq_letters import UNROUTABLE
from worker.cli.output import cell, console, iso, span

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.cli.desk import Desk

__all__ = ["draw", "estimated"]


def estimated(desk: Desk, provider: str, number: int) -> dict[str, Any]:
    """What replaying *number* letters takes, as data.

    Each is counted as one call; an operation that asks more than once takes more. The time is that of the
    line as it is: those in it now go first, or as good as, and new live calls would make it longer. It is
    None when nobody can say, such as while a breaker is open until a person closes it.
    """
    if provider == UNROUTABLE:
        return {
            "provider": provider,
            "calls": number,
            "in_line": 0,
            "quota": None,
            "seconds": 0.0,
            "at": None,
        }
    from worker.snapshot import standings

    (standing,) = standings(desk.engine, [provider])
    before = standing.in_line + standing.under_way
    ends = standing.line.moment(before + number) if number else standing.at
    limit, left = standing.quota_limit, standing.quota_left
    quota = None
    if limit is not None and left is not None:
        quota = {"left": left, "limit": limit, "share": round(number / limit, 4) if limit else None}
    return {
        "provider": provider,
        "calls": number,
        "in_line": before,
        "breaker": standing.breaker,
        "quota": quota,
        "seconds": None if ends is None else max(0.0, round(ends - standing.at, 1)),
        "at": iso(ends),
    }


def draw(told: Mapping[str, Any], singly: Mapping[str, str]) -> None:
    """The same for people."""
    out = console()
    number, quota = told["calls"], told["quota"]
    noun = "call" if number == 1 else "calls"
    out.print(cell(f"{told['provider']}: {number:,} {noun} would be made again; nothing was done", "bold"))
    if quota is not None:
        share = f"{quota['share']:.1%} of {quota['limit']:,}" if quota["share"] is not None else "-"
        out.print(cell(f"  quota: {share}; {quota['left']:,} are left today"))
    if told["seconds"] is None:
        out.print(cell("  time: nobody can say while the breaker is open until closed by hand"))
    else:
        behind = f", behind {told['in_line']:,} in line now" if told["in_line"] else ""
        out.print(cell(f"  time: about {span(told['seconds'])}{behind}; live calls go first"))
    if told.get("breaker") not in {None, "closed"}:
        out.print(cell(f"  the breaker is {told['breaker']}: they wait until it lets calls out", "yellow"))
    if told["refused"]:
        out.print(cell(f"  {told['refused']:,} would stay: unknown tasks or unfit arguments", "yellow"))
    for code, skipped in told["skipped"].items():
        out.print(cell(f"  {skipped:,} left out: {code}; {singly[code]}", "yellow"))
