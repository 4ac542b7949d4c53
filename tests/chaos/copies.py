"""Messages that come more than once, as a broker's do when a connection is reset."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Self

__all__ = ["Copies"]

LATEST = 6.0
"""Seconds after the first that a copy may come."""

MOST = 2


class Copies:
    """Publishes again what it is given, up to twice, some time later, in a thread of its own.

    Attributes:
        made: How many copies were published.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._lock = threading.Lock()
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="copies")
        self.made = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def take(self, publish: Callable[[], object]) -> None:
        """Call *publish* once, twice or not at all, at any moment from now on."""
        with self._lock:
            for _ in range(self._chance.randint(0, MOST)):
                self._due.append((time.monotonic() + self._chance.uniform(0.0, LATEST), publish))

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            for publish in self._ripe():
                try:
                    publish()
                except Exception:  # noqa: BLE001, S112 - the broker is away, and no copy of it comes
                    continue
                self.made += 1

    def _ripe(self) -> list[Callable[[], object]]:
        now = time.monotonic()
        with self._lock:
            ripe = [publish for due, publish in self._due if due <= now]
            self._due = [(due, publish) for due, publish in self._due if due > now]
        return ripe
