"""How providers say "too often", and for how long they want to be left alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["COOLDOWN", "Plea", "as_an_epoch", "in_seconds", "in_silence"]

COOLDOWN = 1.0
"""Seconds of pause when nothing is said, as the fleets of these tests are told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plea:
    """How a provider says "too often": a fault of the sandbox, and the seconds that it asks for.

    Attributes:
        slack: Seconds by which what is heard may differ: a moment comes nearer while it is told.
    """

    seconds: float
    slack: float = 0.1
    fault: Mapping[str, Any] = field(default_factory=dict)


def in_seconds() -> Plea:
    """``Retry-After: 2``."""
    return Plea(seconds=2.0, fault={"retry_after": "2"})


def in_silence() -> Plea:
    """Nothing is said of how long."""
    return Plea(seconds=COOLDOWN)


def as_an_epoch(header: str) -> Callable[[], Plea]:
    """A moment in a header of that name."""

    def plea() -> Plea:
        now = time.time()
        return Plea(seconds=round(now + 3) - now, slack=1.5, fault={"headers": {header: f"{now + 3:.0f}"}})

    return plea
