"""The fleet's retry budget of the last minute, read as ``lua/budget.lua`` does."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.provider import Retry

__all__ = ["Budget", "read"]

SLOT, SLOTS = 2000, 30
"""Milliseconds that are counted together, and how many of them make a minute."""

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The calls and retries of the last sixty seconds, and how many retries may be in a minute.

    Attributes:
        most: None when retries are not bounded.
    """

    calls: int
    retries: int
    most: float | None

    @property
    def left(self) -> int | None:
        """How many more retries there is room for; None when they are not bounded."""
        return None if self.most is None else max(0, floor(self.most + _ROUNDING) - self.retries)

    @property
    def pace(self) -> float:
        """Calls per second."""
        return self.calls * 1000 / (SLOT * SLOTS)


def read(retry: Retry, counted: Mapping[bytes, bytes], now: int) -> Budget:
    """The budget at *now*, ms since the epoch, from what Redis keeps."""
    slot, made, retried = now // SLOT, 0, 0
    for field, number in counted.items():
        age = slot - int(field[1:])
        if field[:1] == b"r":
            retried += int(number) if age <= SLOTS else 0
        else:
            made += int(number) if age < SLOTS else 0
    most = None if retry.budget is None else max(float(retry.floor), retry.budget * made)
    return Budget(calls=made, retries=retried, most=most)
