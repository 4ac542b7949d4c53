"""Whether the parts of a worker that must never stand still have been heard lately: what ``/healthz`` says.

A thread that died, or hangs where no time limit reaches, leaves a process that looks alive and does nothing.
So each such part says at every turn when it will be heard again. A server that is away does not silence
them: they meet its time-outs and go on. A part that ends because it was asked to says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["CONSUMER", "SLOTS", "Pulse"]

CONSUMER = "consumer"
"""Celery's loop that takes messages from the broker."""

SLOTS = "slots"
"""The threads that run tasks, all of which hang: nothing ends one, and no message is taken any more."""


class Pulse:
    """The parts of this process and when each has to be heard again; any thread may call.

    Args:
        patience: Seconds beyond that moment in which a part is only late.
    """

    def __init__(self, patience: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._clock = patience, clock
        self._due: dict[str, float] = {}

    def hear(self, part: str, again: float = 0.0) -> None:
        """*part* is alive, and will be heard in *again* seconds; from its first word on it is waited for."""
        self._due[part] = self._clock() + again

    def busy(self, part: str) -> None:
        """*part* goes on with a turn that takes long; nothing where it is not waited for."""
        if part in self._due:
            self._due[part] = max(self._due[part], self._clock())

    def miss(self, part: str) -> None:
        """*part* seems to hang; it counts as silent if it is still missed when the patience is over."""
        self._due.setdefault(part, self._clock())

    def forget(self, part: str) -> None:
        """*part* ends in order, or waits for what it cannot hasten: it is not waited for."""
        self._due.pop(part, None)

    def silent(self) -> list[str]:
        """The parts that are overdue: dead or hung."""
        since = self._clock() - self._patience
        return sorted(part for part, due in list(self._due.items()) if due < since)
