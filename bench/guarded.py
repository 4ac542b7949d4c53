"""The same task through our guard: a provider with a rate that nobody reaches, for each contender one.

The operations are registered like those of ``tasks``; nothing of the engine knows that it is measured.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from bench.address import parameters
from worker.application import app
from worker.operation import Steps, operation
from worker.provider import Caching, Provider, Rate
from worker.request import Request

__all__ = ["CACHED", "PLAIN", "app"]

Number = Annotated[int, Field(ge=0)]

PLAIN = Provider(
    name="guarded",
    base_url="http://127.0.0.1:9",  # the bench sets the real one, as a deployment would
    rate=Rate(calls=1_000_000.0, burst=1_000_000),
)
CACHED = replace(
    PLAIN, name="guarded_cached", caching=Caching(memory=300.0, redis=3600.0, stale_if_error=86_400.0)
)
_PROVIDERS = (PLAIN, CACHED, replace(CACHED, name="guarded_hit"), replace(CACHED, name="guarded_100ms"))


def fetch(number: Number, latency_ms: Number = 0) -> Steps[Any]:
    """The answer."""
    answer = yield Request(path="/thing", params=parameters(number, latency_ms))
    return answer.data


tasks = [operation(provider, shown=("number",))(fetch) for provider in _PROVIDERS]
