"""``narrows dlq audit``: who did what to dead letters."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import desk_of
from worker.cli.dlq_letters import letters_of
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, console, iso, show_json, table

if TYPE_CHECKING:
    from worker.letters.audit import Audited
    from worker.letters.deadletter import DeadLetters

__all__ = ["audit"]


def audit(
    ctx: typer.Context,
    *,
    provider: ProviderName,
    limit: Annotated[int, typer.Option(min=1, help="Show the newest so many.")] = 50,
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Show arguments before and after edits: they may be private.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show who replayed, edited, discarded or exported which letters, oldest first."""
    letters = letters_of(desk_of(ctx), provider)
    shown = [_as_json(letters, each, reveal=reveal) for each in letters.audit(limit)]
    if as_json:
        show_json(shown)
        return
    drawn = table("At", "By", "Action", "Letters", *(["Before", "After"] if reveal else []), whole=("At",))
    for each in shown:
        number, first = len(each["ids"]), each["ids"][0] if each["ids"] else None
        which = first if number <= 1 else f"{first} and {number - 1} more"
        versions = [
            cell(json.dumps(each[name]) if each[name] else None) for name in ("before", "after") if reveal
        ]
        at = str(each["at"] or "")[:19].replace("T", " ")
        drawn.add_row(cell(at), cell(each["by"]), cell(each["action"]), cell(which), *versions)
    console().print(drawn)


def _as_json(letters: DeadLetters, each: Audited, *, reveal: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "at": iso(each.at),
        "by": each.by,
        "action": each.action,
        "ids": list(each.ids),
    }
    if reveal:
        for name, version in (("before", each.before), ("after", each.after)):
            told[name] = version and _opened(letters, version)
    return told


def _opened(letters: DeadLetters, version: dict[str, Any]) -> dict[str, Any]:
    """Arguments in clear; those that nobody can read as they were."""
    from worker.letters.deadletter import Unfit

    try:
        return dict(zip(("args", "kwargs"), letters.opened(version), strict=True))
    except Unfit:
        return {name: version.get(name) for name in ("args", "kwargs")}
