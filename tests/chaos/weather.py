"""What goes wrong at the desks while a storm lasts: each for a while, then something else."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Self

from tests.sandbox import Sandbox

__all__ = ["WEATHER", "Weather"]

WEATHER: Mapping[str, Mapping[str, Any]] = {
    "fine": {},
    "acts and hangs up": {"mode": "acted_hang_up"},
    "acts and answers 500": {"mode": "acted_error"},
    "acts and says nothing": {"mode": "acted_silent"},
    "acts and breaks off": {"mode": "truncate"},
    "says nothing": {"mode": "hang"},
    "resets": {"mode": "reset"},
    "answers 503": {"status": 503},
    "answers garbage": {"mode": "garbage"},
    "throttles": {"mode": "throttle", "retry_after": "1"},
}

SHARE = 0.6
"""Of the requests that go wrong in any weather, so that the rest may tell what became of them."""

AWAY_EACH, AWAY = 6, 0.7
"""After so many changes nobody listens at all, for so many seconds."""


class Weather:
    """Changes what goes wrong at *desks* every *every* seconds, in a thread of its own.

    Attributes:
        seen: How often it was which, ``nobody listens`` included.
    """

    def __init__(
        self, sandbox: Sandbox, desks: Iterable[str], *, every: float, chance: random.Random
    ) -> None:
        self._sandbox, self._desks, self._every, self._chance = sandbox, list(desks), every, chance
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="weather")
        self.seen: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Fine weather from now on."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._sandbox.control.clear()

    def _run(self) -> None:
        changes = 0
        while not self._stop.wait(self._every):
            changes += 1
            if changes % AWAY_EACH:
                self._change()
            else:
                self._away()

    def _change(self) -> None:
        """Another weather at each desk."""
        for desk in self._desks:
            name = self._chance.choice(list(WEATHER))
            self.seen[name] += 1
            if name == "fine":
                self._sandbox.control.clear(desk)
            else:
                self._sandbox.control.fault(desk, error_rate=SHARE, **WEATHER[name])

    def _away(self) -> None:
        """Connections break, and new ones are refused."""
        self.seen["nobody listens"] += 1
        self._sandbox.stop()
        self._stop.wait(AWAY)
        while True:
            with suppress(OSError):  # somebody may have the port for a moment
                self._sandbox.start()
                return
            time.sleep(AWAY)
