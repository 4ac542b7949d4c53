"""The lanes in which calls stand in line for their provider.

A caller chooses one call by call, an operation declares the one its calls take otherwise::

    task.apply_async(args, lane="batch")
    task.si(1).set(lane="batch")
    @operation(PROVIDER, lane="batch")

A service that knows the task by name only says it in the message's header::

    app.send_task("acme.fetch", [1], queue="acme", headers={"narrows": {"lane": "batch"}})
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.errors import ArgumentsInvalid

__all__ = ["LANES", "lane_named", "lane_of"]

LANES = ("interactive", "batch", "replay")
"""Who goes first where calls stand in line; of 21 that leave full lanes 16, 4 and 1 (``lua/lot.lua``)."""


def lane_named(lane: Any, whose: str) -> str:
    """*lane*, when there is one of that name.

    Raises:
        ArgumentsInvalid: says, for the task or operation *whose*, which there are.
    """
    if lane not in LANES:
        raise ArgumentsInvalid(f"{whose}: lane: takes {LANES[0]!r}, {LANES[1]!r} or {LANES[2]!r}")
    return str(lane)


def lane_of(header: Any, default: str = LANES[0]) -> str:
    """The lane that a message's own header names; *default* when it names none that there is."""
    lane = header.get("lane") if isinstance(header, Mapping) else None
    return lane if lane in LANES else default
