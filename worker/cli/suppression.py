"""``narrows suppression``: who is not written to any more, because they said so to a provider.

Recipients are known by digests, so nobody can be listed, only counted and asked about; and none is printed.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.desk import Desk, desk_of
from worker.cli.options import AsJson, ProviderName
from worker.cli.output import cell, complain, console, iso, show_json, table

if TYPE_CHECKING:
    from worker.submissions.suppressed import Suppressed

__all__ = ["commands"]

commands = typer.Typer(
    help="See whether somebody is not written to any more, and lift that.", no_args_is_help=True
)

Recipient = Annotated[
    str,
    typer.Argument(
        metavar="RECIPIENT",
        help="As in a call: +12125550123. - reads it from standard input.",
        show_default=False,
    ),
]


@commands.command("list")
def list_(ctx: typer.Context, *, as_json: AsJson = False) -> None:
    """Count, for each provider, who is not written to any more."""
    desk = desk_of(ctx)
    counts = {name: _of(desk, name).count() for name in desk.names()}
    if as_json:
        show_json(counts)
        return
    drawn = table("Provider", "Not written to", numbers=("Not written to",))
    for name, number in counts.items():
        if number:
            drawn.add_row(cell(name, "bold"), cell(number))
    console().print(drawn if any(counts.values()) else "nobody is suppressed")


@commands.command("show")
def show(
    ctx: typer.Context, *, provider: ProviderName, recipient: Recipient, as_json: AsJson = False
) -> None:
    """Say since when RECIPIENT is not written to. The exit code is 1 for one who is."""
    desk = desk_of(ctx)
    since = _of(desk, desk.provider(provider)).since(_told(recipient))
    if as_json:
        show_json({"provider": provider, "suppressed": since is not None, "since": iso(since)})
    elif since is not None:
        console().print(cell(f"not written to by {provider} since {iso(since)}"))
    else:
        complain(f"not suppressed: calls to {provider} write to them")
    if since is None:
        raise typer.Exit(1)


@commands.command("lift")
def lift(
    ctx: typer.Context, *, provider: ProviderName, recipient: Recipient, as_json: AsJson = False
) -> None:
    """Write to RECIPIENT again, once they said that they want it. The exit code is 1 when nothing changed.

    The provider keeps a list of its own: as long as they are on that, its next refusal suppresses them anew.
    """
    desk = desk_of(ctx)
    lifted = _of(desk, desk.provider(provider)).lift(_told(recipient))
    if as_json:
        show_json({"provider": provider, "lifted": lifted})
    elif lifted:
        console().print(cell(f"calls to {provider} write to them again"))
    else:
        complain(f"not suppressed: calls to {provider} write to them")
    if not lifted:
        raise typer.Exit(1)


def _of(desk: Desk, name: str) -> Suppressed:
    from worker.keys import keys
    from worker.submissions.suppressed import Suppressed

    return Suppressed(desk.state, keys(name))


def _told(recipient: str) -> str:
    """*recipient*, or what standard input says: a shell's history is no place for numbers."""
    told = sys.stdin.readline() if recipient == "-" else recipient
    if not told.strip():
        raise typer.BadParameter("say whom: a recipient as in a call", param_hint="RECIPIENT")
    return told
