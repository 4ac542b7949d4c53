"""A clock for what goes by one: it stands until a test moves it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Clock"]


@dataclass
class Clock:
    """Seconds since some moment; set *now*, or add to it."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now
