"""``narrows demo``: hands over to the demonstration that the tasks bring with them."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

__all__ = ["demo"]


def demo(
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Ask the real hosts, once; nothing is broken.")
    ] = False,
) -> None:
    """Show the main job: answers, an outage, stale answers, a dead letter, recovery. About half a minute."""
    import_module("tasks.demo").demo(live=live)
