"""The task without a guard, as it is written every day, on three kinds of HTTP client.

The application has our own Celery settings, so that nothing but the guard differs.
"""

from __future__ import annotations

import json
from typing import Any

import requests
import urllib3
from celery import Celery
from requests.adapters import HTTPAdapter

from bench.address import TIMEOUTS, parameters, thing

__all__ = ["app", "pooled"]

THREADS = 50


def configuration() -> dict[str, Any]:
    """What ``app.conf`` holds in our own workers too."""
    from config.celery import celery_settings
    from config.settings import settings

    return celery_settings(settings())


def pooled() -> requests.Session:
    """A session that keeps a connection for each thread of the worker."""
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
    return session


app = Celery("bare")
app.add_defaults(configuration)

_session, _tuned = pooled(), pooled()
_tuned.trust_env = False
_pool = urllib3.PoolManager(maxsize=THREADS, timeout=urllib3.Timeout(*TIMEOUTS))


@app.task(name="bare.fetch")
def fetch(number: int, latency_ms: int = 0) -> Any:
    """The answer, through a pooled session."""
    return _asked(_session, number, latency_ms)


@app.task(name="bare_100ms.fetch")
def fetch_slowly(number: int, latency_ms: int = 0) -> Any:
    """The same, on a queue of its own."""
    return _asked(_session, number, latency_ms)


@app.task(name="bare_tuned.fetch")
def fetch_tuned(number: int, latency_ms: int = 0) -> Any:
    """The answer, through a session that does not read the environment anew for each call."""
    return _asked(_tuned, number, latency_ms)


@app.task(name="bare_urllib3.fetch")
def fetch_urllib3(number: int, latency_ms: int = 0) -> Any:
    """The answer, through what lies below requests."""
    reply = _pool.request("GET", thing(), fields=parameters(number, latency_ms))
    if reply.status != 200:
        raise requests.HTTPError(reply.status)
    return json.loads(reply.data)


def _asked(session: requests.Session, number: int, latency_ms: int) -> Any:
    reply = session.get(thing(), params=parameters(number, latency_ms), timeout=TIMEOUTS)
    reply.raise_for_status()
    return reply.json()
