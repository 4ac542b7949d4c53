"""``narrows city``: another city's 311, from a file."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import AsJson
from worker.cli.output import cell, console, show_json

__all__ = ["commands"]

commands = typer.Typer(help="Serve another city's 311, described in a TOML file.", no_args_is_help=True)


@commands.command("add")
def add(
    *,
    slug: Annotated[str, typer.Option(help="Short name: bos makes the provider bos311.")],
    name: Annotated[str, typer.Option(help="As people say it.")],
    base_url: Annotated[str | None, typer.Option(help="Where its 311 is asked.")] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where the file goes; NARROWS_CITIES, or ./cities, without it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a commented file for a city, or look at the one that is there, and check it.

    A file that is there is never overwritten.
    """
    added = import_module("tasks.cities").add_city(slug, name, base_url, folder)
    if as_json:
        show_json(
            {
                "file": str(added.path),
                "provider": added.provider,
                "written": added.written,
                "loaded": added.loaded,
                "unsaid": list(added.unsaid),
            }
        )
        return
    out = console()
    out.print(cell(f"{added.path}: {'written' if added.written else 'was there, and is good'}", "bold"))
    steps = [
        *(f"fill in {line}" for line in added.unsaid),
        f"give its key: NARROWS_PROVIDERS__{added.provider.upper()}__API_KEY",
        *([] if added.loaded else [f"have it loaded: NARROWS_CITIES={added.path.parent.resolve()}"]),
        f"start the workers anew; they take calls of {added.provider}.submit_service_request",
    ]
    for number, step in enumerate(steps, 1):
        out.print(cell(f"  {number}. {step}"))
