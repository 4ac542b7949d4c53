"""A provider's rate without Redis: this process's own share, for those that declare ``fails open``.

A share is the rate divided by the processes of the fleet (``NARROWS_FLEET_SIZE``), so that all of them
together stay within it although none hears of the others. Quotas and breakers are not known meanwhile.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.provider import Rate

__all__ = ["Spare"]


class Spare:
    """Moments at which this process may ask, one for each call; any number of threads.

    Args:
        rate: Of the whole fleet; None is no limit.
        fleet: Processes that share it.
    """

    def __init__(self, rate: Rate | None, fleet: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._between = fleet / rate.per_second if rate else 0.0
        self._clock, self._lock, self._next = clock, threading.Lock(), 0.0

    def moment(self, patience: float) -> float | None:
        """Seconds until the call may leave, whose moment is taken then; None beyond *patience*."""
        with self._lock:
            now = self._clock()
            wait = max(0.0, self._next - now)
            if wait > patience:
                return None
            self._next = now + wait + self._between
            return wait
