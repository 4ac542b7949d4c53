"""``narrows why``: where one call is and why, since when, and when it is expected to run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, complain, console, iso, show_json, span, table

if TYPE_CHECKING:
    from worker.whereabouts import Whereabouts

__all__ = ["why"]

_MOMENTS = ("at", "since", "expected", "until")


def why(
    ctx: typer.Context,
    *,
    task_id: Annotated[str, typer.Argument(metavar="TASK_ID", help="The id that delay() returned.")],
    as_json: AsJson = False,
) -> None:
    """Say where a call is and why, since when, and about when it will run. Times are UTC.

    The exit code is 1 when nothing is known of it.
    """
    from worker.why import explain

    desk = desk_of(ctx)
    found = explain(desk.engine, desk.app, task_id, asking=partial(setattr, desk, "asked"))
    if as_json:
        show_json({**found.as_dict(), **{name: iso(getattr(found, name)) for name in _MOMENTS}})
    elif found.state == "unknown":
        complain(str(found).partition(" · ")[2])
    else:
        _draw(found)
    if found.state == "unknown":
        raise typer.Exit(1)


def _draw(found: Whereabouts) -> None:
    drawn = table("Field", "Value")
    for name, value in _rows(found).items():
        if value:
            drawn.add_row(cell(name, "bold"), cell(value))
    out = console()
    out.print(cell(str(found), "bold"))
    out.print()
    out.print(drawn)


def _rows(found: Whereabouts) -> dict[str, Any]:
    """What the one line leaves out, too."""
    return {
        "Task": found.task_id,
        "Provider": found.provider,
        "Lane": found.lane,
        "Since": _moment(found.since, found.at),
        "Expected": _moment(found.expected, found.at),
        "Leased until": _moment(found.until, found.at),
        "Failed attempts": found.attempts,
        "Submission": found.submission and found.submission.state,
        "External id": found.submission and found.submission.external_id,
    }


def _moment(moment: float | None, at: float) -> str:
    """The moment and how far it is; nothing for none, or for one beyond the calendar."""
    written = iso(moment)
    if moment is None or written is None:
        return ""
    away = f"in {span(moment - at)}" if moment > at else f"{span(at - moment)} ago"
    return f"{written}, {away}"
