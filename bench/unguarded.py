"""What people let calls wait in, where nothing guards them: countdown, rate_limit, and a loop of retries.

The application has our own Celery settings, so that nothing but the waiting differs.
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from celery import Celery
from limits import parse
from limits.storage import RedisStorage
from limits.strategies import FixedWindowRateLimiter

from bench.address import TIMEOUTS, VARIABLE
from bench.bare import configuration, pooled

__all__ = ["PREFETCHES", "app"]

RATE = parse("50/second")
PREFETCHES = "BENCH_PREFETCHES"
"""Set, the worker prefetches as Celery does when nobody says otherwise."""


def _configuration() -> dict[str, Any]:
    if PREFETCHES not in os.environ:
        return configuration()
    return {**configuration(), "worker_disable_prefetch": False, "worker_prefetch_multiplier": 4}


app = Celery("unguarded")
app.add_defaults(_configuration)
_session = pooled()


@app.task(name="plain_slow.fetch")
def slow(number: int) -> Any:
    """The answer; its caller says when, with a countdown."""
    return _asked("plain_slow", number)


@app.task(name="plain_neighbour.fetch")
def neighbour(number: int) -> Any:
    """The answer."""
    return _asked("plain_neighbour", number)


@app.task(name="plain_50.fetch", rate_limit="50/s")
def limited_50(number: int) -> Any:
    """The answer, at Celery's own rate limit."""
    return _asked("plain_50", number)


@app.task(name="plain_20.fetch", rate_limit="20/s")
def limited_20(number: int) -> Any:
    """The answer, at Celery's own rate limit."""
    return _asked("plain_20", number)


@app.task(name="plain_drain.fetch", bind=True, max_retries=None)
def looped(self: Any, number: int) -> Any:
    """The answer, once the limiter lets it out: held back, it asks again in 1, 2, 4, ... seconds."""
    if not _limiter().hit(RATE, "drain"):
        raise self.retry(countdown=2**self.request.retries)
    return _asked("plain_drain", number)


@cache
def _limiter() -> FixedWindowRateLimiter:
    from config.settings import settings

    return FixedWindowRateLimiter(RedisStorage(settings().state_url.get_secret_value()))


def _asked(path: str, number: int) -> Any:
    url = f"{os.environ[VARIABLE]}/{path}"
    reply = _session.get(url, params={"number": str(number)}, timeout=TIMEOUTS)
    reply.raise_for_status()
    return reply.json()
