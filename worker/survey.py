"""The fleet's state as its servers tell it, in bounded time: what the exporter shows.

State Redis, broker and cache are asked at once, one round trip each. One that is away, hangs or talks
nonsense leaves its part out and holds up nobody, not even those who ask next. Whoever asks within a second
of another gets the same answer: five Prometheus servers cost what one does.
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from config.queues import UPKEEP
from worker import registry
from worker.asking import Asking
from worker.depths import counter
from worker.metrics.fleet import Survey
from worker.snapshot import look, provider_states
from worker.stores import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery import Celery

    from worker.engine import Engine
    from worker.snapshot import Look

__all__ = ["FRESH", "WITHIN", "Surveyor"]

WITHIN = 2.0
"""Seconds until what is not answered is left out; Prometheus gives a scrape ten."""

FRESH = 1.0
"""Seconds for which a survey is shown again."""


class Surveyor:
    """Asks, and remembers for a second. Any thread may call."""

    def __init__(
        self,
        engine: Engine,
        app: Celery,
        *,
        within: float = WITHIN,
        fresh: float = FRESH,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        settings = engine.settings
        cache = connect(
            settings.cache_url.get_secret_value(), settings, timeout=within, connect_timeout=within
        )
        count = counter(settings, app, within=within)
        self._state: Asking[Survey] = Asking("state", lambda: _told(look(engine)))
        self._queues: Asking[Mapping[str, int]] = Asking("broker", lambda: count((UPKEEP, *registry.names())))
        self._cache: Asking[bool] = Asking("cache", lambda: bool(cache.ping()))
        self._within, self._fresh, self._clock = within, fresh, clock
        self._lock = threading.Lock()
        self._last = Survey()
        self._made: float | None = None

    def survey(self) -> Survey:
        """The state, at most a second old; never raises, and returns within the time given."""
        with self._lock:
            if self._made is None or self._clock() - self._made >= self._fresh:
                self._last = self._surveyed(self._last.errors)
                self._made = self._clock()
            return self._last

    def _surveyed(self, errors: int) -> Survey:
        until = time.monotonic() + self._within
        for begin in (self._state.begin, self._queues.begin, self._cache.begin):
            begin()
        told, queues = self._state.answer(until), self._queues.answer(until)
        cache = self._cache.answer(until) is not None
        if told is None:
            return Survey(queues=queues, cache=cache, errors=errors + 1)
        return replace(told, queues=queues, cache=cache, errors=errors)


def _told(found: Look) -> Survey:
    """What the state Redis says, for the gauges."""
    return Survey(
        providers=tuple(provider_states(found)),
        beats=found.beats,
        memory=found.memory.used if found.memory else None,
        memory_limit=found.memory.limit if found.memory else None,
    )
