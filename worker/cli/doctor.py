"""``narrows doctor``: is everything there that Narrows needs?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, console, show_json, table, working

if TYPE_CHECKING:
    from worker.checks import Finding

__all__ = ["doctor"]

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    ctx: typer.Context,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also ask each provider's address whether it answers.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at settings, packages, Redis, broker, results, workers, beat and providers.

    Exit code 1 when something failed; warnings are none.
    """
    with working("asking every dependency"):
        found = _found(desk_of(ctx), live=live)
    ok = all(each.ok for each in found)
    if as_json:
        show_json({"ok": ok, "findings": [{**asdict(each), "level": _level(each)} for each in found]})
    else:
        _draw(found)
    raise typer.Exit(0 if ok else 1)


def _found(desk: Desk, *, live: bool) -> list[Finding]:
    from config.settings import SettingsError
    from worker.checks import Finding
    from worker.doctor import examine

    try:
        desk.engine.settings.check_providers(desk.names())
    except SettingsError as wrong:
        return [Finding(name="settings", ok=False, detail=problem) for problem in wrong.problems]
    return examine(desk.engine, desk.app, live=live)


def _level(found: Finding) -> str:
    if not found.ok:
        return "failed"
    return "warning" if found.advice else "ok"


def _draw(found: list[Finding]) -> None:
    drawn = table("", "What", "Found", "What to do", whole=("", "What"))
    for each in found:
        level = _level(each)
        advice = cell(each.advice) if each.advice else cell(" ")
        drawn.add_row(cell(level, _STYLES[level]), cell(each.name), cell(each.detail), advice)
    out = console()
    out.print(drawn)
    levels = [_level(each) for each in found]
    failed, warned = levels.count("failed"), levels.count("warning")
    out.print()
    out.print(cell(f"{len(found)} checks: {failed} failed, {warned} with a warning", "bold"))
