"""``narrows up``: everything on one machine, supervised, until Ctrl-C."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import AsJson
from worker.cli.output import cell, console, show_json, table, working

if TYPE_CHECKING:
    from config.settings import Settings
    from worker.stack.stack import Stack

__all__ = ["up"]

FLOWER_AUTH = "FLOWER_BASIC_AUTH"


def up(
    *,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 2,
    flower: Annotated[
        bool | None, typer.Option("--flower/--no-flower", help="As NARROWS_FLOWER_ENABLED says without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run Valkey, workers, beat, exporter and Flower until Ctrl-C, and start again whatever exits.

    Valkey is left out when NARROWS_STATE_URL names a server.
    """
    from config.settings import Settings
    from worker.logs import log_as_set
    from worker.stack.programs import CeleryPrograms
    from worker.stack.stack import Stack

    settings = Settings.load()
    log_as_set(settings, log_level="WARNING")
    with_flower = settings.runs_flower if flower is None else flower
    account = _flower_account(settings)
    stack = Stack(
        workers=workers,
        exporter=True,
        flower=with_flower,
        env={FLOWER_AUTH: account},
        programs=CeleryPrograms(flower_auth=account),
    )
    try:
        with working("starting"):
            stack.start()
        _announce(stack, as_json=as_json)
        stack.serve()
    finally:
        with working("stopping; what runs may finish"):
            stack.stop()


def _flower_account(settings: Settings) -> str:
    """What Flower lets in: the account that is set, or one made now, to be read in the stack's file."""
    chosen = settings.flower_basic_auth.get_secret_value() if settings.flower_basic_auth else ""
    return chosen or os.environ.get(FLOWER_AUTH) or f"narrows:{secrets.token_urlsafe(12)}"


def _announce(stack: Stack, *, as_json: bool) -> None:
    """Where everything is. Passwords stay in the file, which only its owner can read."""
    file = str(stack.env_file)
    if as_json:
        show_json({"addresses": stack.addresses, "environment": file, "logs": str(stack.directory)})
        return
    drawn = table("Part", "Address")
    for name, address in stack.addresses.items():
        drawn.add_row(cell(name, "bold"), cell(address))
    out = console()
    out.print(drawn)
    out.print()
    out.print(cell(f"Logs: {stack.directory}"))
    out.print(cell(f"In another terminal: set -a; . {file}; set +a; narrows status"))
    out.print(cell(f"Flower's account is {FLOWER_AUTH} in that file. Ctrl-C stops everything."))
