"""A provider's parking lot as tests see it: held shut, opened, looked into."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis

from tests.fleet import Fleet, Ground, until
from worker.keys import keys

__all__ = ["Lot", "deferrals"]

LONG = 600_000


class Lot:
    """The calls of one provider, in Redis and at the sandbox.

    Args:
        state: A client of the state.
    """

    def __init__(self, state: Redis, ground: Ground, provider: str) -> None:
        self._state, self._ground, self._provider = state, ground, provider
        self.keys = keys(provider)

    @property
    def paths(self) -> list[str]:
        """What the provider was asked, in order."""
        return [entry["path"] for entry in self._ground.sandbox.control.journal(self._provider)]

    @property
    def numbers(self) -> list[int]:
        """The last part of each path."""
        return [int(path.rpartition("/")[2]) for path in self.paths]

    @property
    def arrivals(self) -> list[float]:
        """When the provider was asked, seconds on the monotonic clock."""
        return [entry["at"] for entry in self._ground.sandbox.control.journal(self._provider)]

    @property
    def parked(self) -> int:
        """How many calls stand in line."""
        return int(self._state.zcard(self.keys.parked))

    @property
    def empty(self) -> bool:
        """Whether no call of the provider is anywhere on its way."""
        return not any(self._state.zcard(index) for index in self.keys.indexes)

    def record(self, task_id: str, field: str) -> str:
        """One field of a call's record, empty when it has none."""
        value: Any = self._state.hget(self.keys.call(task_id), field)
        return value.decode() if value else ""

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Inside, the provider is in a pause, as a 429 would have begun it; then it is over."""
        ends = round(time.time() * 1000) + LONG
        self._state.hset(self.keys.limits, mapping={"cooldown_until": ends, "tokens": 0, "at": ends})
        try:
            yield
        finally:
            self._state.delete(self.keys.limits)

    def holds(self, count: int) -> None:
        """Return when *count* calls are parked, and nothing of the provider is anywhere else."""
        at = self.keys

        def settled() -> bool:
            others = (at.queued, at.running, at.waiting, at.slow, at.released)
            return self.parked == count and not any(self._state.zcard(index) for index in others)

        until(settled, 20.0, told=lambda: [self._state.zcard(index) for index in at.indexes])

    def leader(self) -> int:
        """The pid of the worker that releases; waits until one does."""
        name: Any = until(lambda: self._state.hget(self.keys.lot, "releaser"))
        return int(name.decode().partition("_")[0])


def deferrals(fleet: Fleet, provider: str) -> float:
    """How often a call of *provider* was held back, over all workers."""
    return sum(fleet.metrics("deferrals_total", provider=provider))
