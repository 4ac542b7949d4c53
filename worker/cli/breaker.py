"""``narrows breaker``: look at a breaker, and move it by hand for the whole fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson, ProviderName, seconds
from worker.cli.output import cell, console, iso, show_json, span, table
from worker.cli.status import breaker_words

if TYPE_CHECKING:
    from worker.provider import Breaker
    from worker.snapshot import Standing

__all__ = ["commands"]

commands = typer.Typer(
    help="Look at breakers, and open, close or reset one for the whole fleet.", no_args_is_help=True
)
_COLUMNS = ("Provider", "State", "Since", "Failures in a row", "Rule")


@commands.command("show")
def show(
    ctx: typer.Context,
    *,
    provider: Annotated[str | None, typer.Argument(metavar="PROVIDER", help="One; all without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the state of one breaker or all, since when, and the rule that moves it."""
    desk = desk_of(ctx)
    found = _standings(desk, [desk.provider(provider)] if provider else None)
    rules = {each.provider: desk.declared(each.provider).breaker for each in found}
    if as_json:
        show_json([_as_json(each, rules[each.provider]) for each in found])
        return
    drawn = table(*_COLUMNS, numbers=_COLUMNS[3:4], whole=_COLUMNS[:1])
    for each in found:
        since = span(each.open_for) if each.opened_at is not None else None
        drawn.add_row(
            cell(each.provider, "bold"),
            cell(breaker_words(each)),
            cell(since),
            cell(_failed(each)),
            cell(_rule(rules[each.provider])),
        )
    console().print(drawn)


@commands.command("open")
def open_(
    ctx: typer.Context,
    *,
    provider: ProviderName,
    for_: Annotated[
        float | None,
        typer.Option(
            "--for", parser=seconds, metavar="DURATION", help="90s, 10m, 1h; else until it is closed."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Open it: no call leaves, until the time is up and probes succeed, or somebody closes it."""
    desk = desk_of(ctx)
    breaker, before = desk.breaker(provider), _standing(desk, provider)
    if for_ is None:
        breaker.open_for()
    else:
        breaker.open_for(for_)
    _moved(desk, before, as_json=as_json)


@commands.command("close")
def close(ctx: typer.Context, *, provider: ProviderName, as_json: AsJson = False) -> None:
    """Close it now; one that is closed keeps its counts."""
    desk = desk_of(ctx)
    breaker, before = desk.breaker(provider), _standing(desk, provider)
    if before.breaker != "closed":
        breaker.close()
    _moved(desk, before, as_json=as_json)


@commands.command("reset")
def reset(ctx: typer.Context, *, provider: ProviderName, as_json: AsJson = False) -> None:
    """Close it and forget what it has counted."""
    desk = desk_of(ctx)
    breaker, before = desk.breaker(provider), _standing(desk, provider)
    breaker.close()
    _moved(desk, before, as_json=as_json)


def _standings(desk: Desk, names: list[str] | None = None) -> list[Standing]:
    from worker.snapshot import standings

    desk.asked = "state"
    return standings(desk.engine, names)


def _standing(desk: Desk, name: str) -> Standing:
    return _standings(desk, [name])[0]


def _moved(desk: Desk, before: Standing, *, as_json: bool) -> None:
    after = _standing(desk, before.provider)
    if as_json:
        rule = desk.declared(after.provider).breaker
        show_json({"before": before.breaker, **_as_json(after, rule)})
        return
    console().print(cell(f"{after.provider}: was {breaker_words(before)}, is {breaker_words(after)}"))


def _as_json(each: Standing, rule: Breaker) -> dict[str, Any]:
    return {
        "provider": each.provider,
        "state": each.breaker,
        "open_until": None if each.by_hand else iso(each.open_until),
        "by_hand": each.by_hand,
        "opened_at": iso(each.opened_at),
        "failures": each.failures,
        "window": each.window,
        "successes": each.successes,
        "rule": _rule(rule),
    }


def _failed(each: Standing) -> str:
    window = each.window
    share = f"; {window.count('1')} of the last {len(window)}" if window else ""
    return f"{each.failures}{share}"


def _rule(rule: Breaker) -> str:
    opens = [f"{rule.failures} in a row"] if rule.failures else []
    opens += [f"{rule.ratio:.0%} of {rule.window}"] if rule.ratio is not None else []
    how = " or ".join(opens) or "never"
    return f"opens: {how}; probes after {span(rule.reset_after)}; closes: {rule.successes} successes"
