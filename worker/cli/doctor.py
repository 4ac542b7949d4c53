"""``narrows doctor``: is everything there that Narrows needs?"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson
from worker.cli.output import cell, console, show_json, table, working

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.doctor.checks import Finding

__all__ = ["doctor"]

_STYLES = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    ctx: typer.Context,
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also ask each provider's address whether it answers.")
    ] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help="Look at this alone: state, broker, result, cache, packages, workers, results, beat, "
            "exporter, tracing, signing or a provider. More than once for several.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Look at settings, packages, Redis, broker, results, workers, beat, exporter and providers.

    For probes: exit code 0 when all is well, warnings included, 1 when something failed, 2 for a wrong
    option. Beat or an exporter that is missing is a warning, and a failure when it is asked for by --only.
    """
    desk = desk_of(ctx)
    with working("asking every dependency"):
        found = _found(desk, live=live, only=only or ())
    ok = all(each.ok for each in found)
    if as_json:
        show_json({"ok": ok, "findings": [{**asdict(each), "level": _level(each)} for each in found]})
    else:
        _draw(found)
    raise typer.Exit(0 if ok else 1)


def _found(desk: Desk, *, live: bool, only: Sequence[str]) -> list[Finding]:
    from config.environment import nearest
    from config.settings import SettingsError
    from worker.doctor.checks import Finding
    from worker.doctor.examination import examine, topics

    desk.names()
    if strange := [name for name in only if name not in topics()]:
        hint = nearest(strange[0], list(topics())) or f"; there are {', '.join(topics())}"
        raise typer.BadParameter(f"there is no {strange[0]!r} to look at{hint}", param_hint="--only")
    try:
        desk.engine.settings.check_providers(desk.names())
    except SettingsError as wrong:
        return [Finding(name="settings", ok=False, detail=problem) for problem in wrong.problems]
    return examine(desk.engine, desk.app, live=live, only=only)


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
