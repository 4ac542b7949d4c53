"""Looks each second whether every call is in exactly one place, the one that its record names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from redis import Redis, RedisError

from worker.keys import Keys

__all__ = ["Watch", "look"]

SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
PLACES = ("queued", "running", "waiting", "parked", "slow")


def look(redis: Redis, keys: Keys) -> tuple[dict[str, int], list[str]]:
    """How many calls are in each place, and what is broken in words; one script."""
    names = [keys.queued, keys.running, keys.waiting, keys.parked, keys.slow, keys.released]
    found: Any = redis.eval(SCRIPT, len(names), *names, keys.call(""))
    counts = dict(zip(PLACES, found, strict=False))
    return counts, [text.decode() for text in found[len(PLACES) :]]


class Watch:
    """Looks every *every* seconds in a thread of its own; while the server is away there is nothing to see.

    Attributes:
        looks: How often something was seen.
        broken: Everything that was broken.
        most: Calls at most in each place.
    """

    def __init__(self, connect: Callable[[], Redis], keys: Keys, *, every: float = 1.0) -> None:
        self._connect, self._keys, self._every = connect, keys, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")
        self.looks = 0
        self.broken: list[str] = []
        self.most = dict.fromkeys(PLACES, 0)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        with self._connect() as redis:
            while not self._stop.wait(self._every):
                try:
                    counts, broken = look(redis, self._keys)
                except RedisError:
                    continue
                self.looks += 1
                self.broken += broken
                self.most = {place: max(most, counts[place]) for place, most in self.most.items()}
