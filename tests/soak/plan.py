"""How long a soak lasts, and what it asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["SOAKS", "Soak"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Soak:
    """One length of it; all in seconds.

    Attributes:
        flood: For which the capacity is measured.
        lasts: For which the load goes on, ``warm_up`` included.
        window: At the end of the warm-up and at the end of the load, whose samples are compared.
        every: Between two samples.
        mishap: Between two mishaps.
        share: Of the measured capacity that is asked for.
        drain: At most, until nothing waits any more.
    """

    flood: float = 20.0
    lasts: float
    warm_up: float
    window: float
    every: float = 5.0
    mishap: float = 20.0
    share: float = 0.8
    workers: int = 2
    drain: float = 240.0


SOAKS: Mapping[str, Soak] = {
    "full": Soak(lasts=1200.0, warm_up=300.0, window=120.0),
    "short": Soak(lasts=150.0, warm_up=60.0, window=30.0, flood=10.0),
}
