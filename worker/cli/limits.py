"""``narrows limits``: what was learnt of a provider's limits, and having it forgotten."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, console, iso, show_json, span, table

if TYPE_CHECKING:
    from worker.limits import Limits
    from worker.standing import Standing

__all__ = ["commands", "credential_json"]

commands = typer.Typer(
    help="Look at what was learnt of a provider's limits, and have it forgotten.", no_args_is_help=True
)
_COLUMNS = ("Provider", "Credential", "Rate", "Throttled", "Cooldown", "Set aside", "Tokens", "Quota")
_MOMENTS = ("throttled_at", "cooldown_until", "refused_until", "quota_until")


@commands.command("show")
def show(
    ctx: typer.Context,
    *,
    provider: Annotated[str | None, typer.Argument(metavar="PROVIDER", help="One; all without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show each credential's learnt rate, throttling, cooldown and refusal; it stands there as a digest."""
    desk = desk_of(ctx)
    found = _standings(desk, [desk.provider(provider)] if provider else None)
    if as_json:
        show_json([_as_json(each) for each in found])
        return
    drawn = table(*_COLUMNS, numbers=_COLUMNS[-2:], whole=_COLUMNS[:2])
    for each in found:
        for limits in each.credentials:
            drawn.add_row(
                cell(each.provider, "bold"),
                cell(limits.digest),
                cell(rate_words(limits)),
                cell(throttled_words(limits, each.at)),
                cell(_left(limits.cooldown_until, each.at), "yellow"),
                cell(_left(limits.refused_until, each.at), "red"),
                cell(None if limits.tokens is None else f"{max(0.0, limits.tokens):.0f}"),
                cell(limits.quota_left),
            )
    console().print(drawn)


@commands.command("reset")
def reset(
    ctx: typer.Context,
    *,
    provider: ProviderName,
    quota: Annotated[
        bool, typer.Option("--quota", help="Forget today's calls, too: the provider itself will not.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Forget learnt rate, throttling, cooldown and refused credentials, for the whole fleet."""
    from worker.limits import forget
    from worker.snapshot import view

    desk = desk_of(ctx)
    name = desk.provider(provider)
    before = _standing(desk, name)
    forget(desk.state, view(desk.engine, name).limits, quota=quota)
    after = _standing(desk, name)
    if as_json:
        show_json({"before": _as_json(before), **_as_json(after)})
        return
    console().print(cell(f"{name}: was {_words(before)}, is {_words(after)}"))


def rate_words(limits: Limits) -> str | None:
    """The rate at which it is asked, and the share of the declared one when that was lowered."""
    if limits.rate is None:
        return None
    share = f", {limits.factor:.0%} of its own" if limits.factor < 1 else ""
    return f"{limits.rate:g}/s{share}"


def throttled_words(limits: Limits, at: float) -> str | None:
    """How often in a row, and when last; nothing when it never was."""
    if limits.throttled_at is None:
        return None
    times = f"{limits.throttles} times in a row, " if limits.throttles > 1 else ""
    return f"{times}{span(at - limits.throttled_at)} ago"


def _words(each: Standing) -> str:
    """All of a provider's credentials in a few words."""
    cooling = sum(limits.cooldown_until is not None for limits in each.credentials)
    words = [
        "" if each.factor is None else f"at {each.factor:.0%} of its rate",
        f"{cooling} cooling down" if cooling else "",
        f"{each.set_aside} set aside" if each.set_aside else "",
        "" if each.quota_left is None else f"{each.quota_left}/{each.quota_limit} left today",
    ]
    return ", ".join(word for word in words if word) or "without limits"


def _left(moment: float | None, at: float) -> str | None:
    return None if moment is None else span(moment - at)


def _standings(desk: Desk, names: list[str] | None = None) -> list[Standing]:
    from worker.snapshot import standings

    desk.asked = "state"
    return standings(desk.engine, names)


def _standing(desk: Desk, name: str) -> Standing:
    return _standings(desk, [name])[0]


def _as_json(each: Standing) -> dict[str, Any]:
    return {"provider": each.provider, "credentials": [credential_json(one) for one in each.credentials]}


def credential_json(limits: Limits) -> dict[str, Any]:
    """One credential for programs: moments in ISO 8601."""
    return {**asdict(limits), **{name: iso(getattr(limits, name)) for name in _MOMENTS}}
