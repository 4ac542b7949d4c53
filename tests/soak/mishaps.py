"""What goes wrong in a soak, one thing after the other, for a while each."""

from __future__ import annotations

import random
import threading
from collections import Counter
from contextlib import suppress
from typing import Self

from redis import RedisError

from tests.chaos.weather import WEATHER
from tests.fleet import Fleet, Ground

__all__ = ["Mishaps"]

DESKS = ("mapbox", "storage", "nyc_open_data", "openweather")
LASTS = 4.0
"""Seconds of bad weather at a desk, so that a breaker opens and the load is still borne in the mean."""

VICTIM = 1
"""The worker that is killed; the other one's memory is watched."""


class Mishaps:
    """A provider that fails, all connections reset, a worker killed: each in its turn, every *every* seconds.

    Attributes:
        seen: How often it was which.
    """

    def __init__(self, ground: Ground, fleet: Fleet, *, every: float) -> None:
        self._ground, self._fleet, self._every = ground, fleet, every
        self._chance = random.Random(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="mishaps")
        self.seen: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """All is well from now on."""
        self._stop.set()
        self._thread.join()
        self._ground.sandbox.control.clear()

    def _run(self) -> None:
        number = 0
        while not self._stop.wait(self._every):
            number += 1
            if number % 6 == 0:
                self.seen["worker killed"] += 1
                self._fleet.kill(VICTIM)
            elif number % 6 == 3:
                self.seen["connections reset"] += 1
                self._reset()
            else:
                self._weather()

    def _weather(self) -> None:
        desk, name = self._chance.choice(DESKS), self._chance.choice(list(WEATHER))
        self.seen[name] += 1
        self._ground.sandbox.control.fault(desk, error_rate=0.6, **WEATHER[name])
        self._stop.wait(LASTS)
        self._ground.sandbox.control.clear(desk)

    def _reset(self) -> None:
        with self._ground.client() as client, suppress(RedisError):
            for kind in ("normal", "pubsub"):
                client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
