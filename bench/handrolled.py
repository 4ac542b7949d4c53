"""The guard that people write by hand, from the libraries that are recommended for it.

Redis cache, ``limits`` with its cheapest strategy (one command a hit), tenacity around pybreaker on its
Redis storage, a pooled session. Everything that costs is built once, and the cache is asked first.

pybreaker holds a lock for as long as the call that it guards takes. The competent way round is a breaker
for each thread (all share their state in Redis); the way that its documentation shows, and that people
follow, is one breaker in the module.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import pybreaker
import requests
from celery import Celery
from limits import parse
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter
from redis import Redis
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from bench.address import TIMEOUTS, parameters, thing
from bench.bare import configuration, pooled

__all__ = ["Stack", "app", "stack"]

RATE = parse("1000000000/second")
FRESH = 3600
PASSING = (requests.ConnectionError, requests.Timeout)


class TooManyRequests(Exception):
    """The limiter holds the call back."""


class Stack:
    """Cache, limiter and breakers over one Redis."""

    def __init__(self, state_url: str, cache_url: str) -> None:
        self.cache = Redis.from_url(cache_url)
        self._limiter = FixedWindowRateLimiter(RedisStorage(state_url))
        self._redis = Redis.from_url(state_url)
        self._own = threading.local()
        self.shared = self._breaker()

    @property
    def own(self) -> pybreaker.CircuitBreaker:
        """This thread's breaker."""
        if not hasattr(self._own, "breaker"):
            self._own.breaker = self._breaker()
        breaker: pybreaker.CircuitBreaker = self._own.breaker
        return breaker

    def fetch(self, key: str, breaker: pybreaker.CircuitBreaker, ask: Callable[[], Any]) -> Any:
        """What *ask* returns, kept for an hour."""
        known = self.cache.get(key)
        if known is not None:
            return json.loads(known)
        answer = self.guarded(breaker, ask)
        self.cache.set(key, json.dumps(answer), ex=FRESH)
        return answer

    @retry(
        retry=retry_if_exception_type(PASSING),
        stop=stop_after_attempt(3),
        wait=wait_exponential_jitter(initial=1, max=10),
        reraise=True,
    )
    def guarded(self, breaker: pybreaker.CircuitBreaker, ask: Callable[[], Any]) -> Any:
        """What *ask* returns, within the rate and behind *breaker*."""
        if not self._limiter.hit(RATE, "stub"):
            raise TooManyRequests
        return breaker.call(ask)

    def _breaker(self) -> pybreaker.CircuitBreaker:
        storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, self._redis, namespace="stub")
        return pybreaker.CircuitBreaker(fail_max=5, reset_timeout=60, state_storage=storage)


@cache
def stack() -> Stack:
    """This process's stack."""
    from config.settings import settings

    chosen = settings()
    return Stack(chosen.state_url.get_secret_value(), chosen.cache_url.get_secret_value())


app = Celery("handrolled")
app.add_defaults(configuration)
_session = pooled()


@app.task(name="handrolled.fetch")
def fetch(number: int, latency_ms: int = 0) -> Any:
    """The answer, behind this thread's own breaker."""
    return _fetched(stack().own, number, latency_ms)


@app.task(name="handrolled_shared.fetch")
def fetch_shared(number: int, latency_ms: int = 0) -> Any:
    """The answer, behind the module's breaker."""
    return _fetched(stack().shared, number, latency_ms)


def _fetched(breaker: pybreaker.CircuitBreaker, number: int, latency_ms: int) -> Any:
    def ask() -> Any:
        reply = _session.get(thing(), params=parameters(number, latency_ms), timeout=TIMEOUTS)
        reply.raise_for_status()
        return reply.json()

    return stack().fetch(f"stub:thing:{number}:{latency_ms}", breaker, ask)
