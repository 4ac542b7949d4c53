"""The fleet's retry budget of the last minute, read as ``lua/budget.lua`` does."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.provider import Retry

__all__ = ["FIELDS", "Budget", "read"]

FIELDS = ("since", "calls", "retries", "calls_before", "retries_before")
"""What is read of the budget's hash, in the order that :func:`read` takes."""

MINUTE = 60_000
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The calls and retries of the last sixty seconds, and how many retries may be in a minute.

    Attributes:
        most: None when retries are not bounded.
    """

    calls: float
    retries: float
    most: float | None

    @property
    def left(self) -> int | None:
        """How many more retries there is room for; None when they are not bounded."""
        return None if self.most is None else max(0, floor(self.most - self.retries + _ROUNDING))

    @property
    def pace(self) -> float:
        """Calls per second."""
        return self.calls * 1000 / MINUTE


def read(retry: Retry, fields: Sequence[bytes | None], now: int) -> Budget:
    """The budget at *now*, ms since the epoch, from what Redis keeps in :data:`FIELDS`."""
    since, calls, retries, calls_before, retries_before = (float(field or 0) for field in fields)
    turns = floor((now - since) / MINUTE)
    if turns >= 1:
        before = (calls, retries) if turns == 1 else (0.0, 0.0)
        calls, retries, (calls_before, retries_before) = 0.0, 0.0, before
        since += turns * MINUTE
    inside = 1 - (now - since) / MINUTE
    made, retried = calls + calls_before * inside, retries + retries_before * inside
    most = max(float(retry.floor), retry.budget * made) if retry.budget else None
    return Budget(calls=made, retries=retried, most=most)
