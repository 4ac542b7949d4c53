"""Providers that exist only here, so that a test waits a second where the real ones wait a minute.

Each is played by an echo in the sandbox (``conftest.Echo``); faults make it fail. Workers load this module
with ``--include``.
"""

from __future__ import annotations

import os
import signal
from typing import Any

from worker.operation import Progress, Steps, operation
from worker.provider import Auth, Breaker, Caching, Provider, Rate, Retry, Timeouts
from worker.request import Request

__all__ = [
    "BRITTLE",
    "FERRY",
    "NAMES",
    "PACED",
    "SLUGGISH",
    "STEADY",
    "STRAIT",
    "THRIFTY",
    "WILD",
    "ask",
    "cross",
    "drag",
    "echo",
    "increment",
    "keep",
    "look",
    "pace",
    "save",
    "swallow",
    "tally",
    "total",
    "wade",
]

NOWHERE = "http://127.0.0.1:9"
NEVER = Breaker(failures=None)

STEADY = Provider(
    name="steady",
    base_url=NOWHERE,
    breaker=NEVER,
    retry=Retry(attempts=3, first=0.3, most=0.6),
    timeouts=Timeouts(total=20.0),
)
BRITTLE = Provider(
    name="brittle",
    base_url=NOWHERE,
    breaker=Breaker(failures=5, reset_after=2.0, successes=2, probes=1),
    retry=Retry(attempts=50, first=0.2, most=0.5),
)
WILD = Provider(
    name="wild",
    base_url=NOWHERE,
    breaker=NEVER,
    retry=Retry(attempts=1),
    timeouts=Timeouts(connect=1.0, read=1.0, total=1.5),
    auth=Auth(header="X-Api-Key"),
    caching=Caching(memory=60.0, redis=60.0),
    max_body=4 * 1024 * 1024,
)
PACED = Provider(
    name="paced",
    base_url=NOWHERE,
    rate=Rate(calls=20),
    breaker=NEVER,
    retry=Retry(attempts=3, first=0.3, most=0.6),
)
STRAIT = Provider(name="strait", base_url=NOWHERE, rate=Rate(calls=1), breaker=NEVER)
FERRY = Provider(
    name="ferry", base_url=NOWHERE, max_concurrency=2, breaker=NEVER, timeouts=Timeouts(read=4.0, total=5.0)
)
SLUGGISH = Provider(name="sluggish", base_url=NOWHERE, breaker=NEVER)
THRIFTY = Provider(name="thrifty", base_url=NOWHERE, breaker=NEVER, retry=Retry(budget=0.01, floor=0))
NAMES = tuple(provider.name for provider in (STEADY, BRITTLE, WILD, PACED, STRAIT, FERRY, SLUGGISH, THRIFTY))


@operation(STEADY, shown=("value",))
def echo(value: int) -> Steps[int]:
    """*value*, once the provider has been asked."""
    yield Request(path=f"/echo/{value}")
    return value


@operation(STEADY, shown=("value",))
def increment(value: int) -> Steps[int]:
    """*value* and one."""
    yield Request(path=f"/increment/{value}")
    return value + 1


@operation(STEADY)
def total(values: list[int]) -> Steps[int]:
    """Their sum."""
    yield Request(path="/total")
    return sum(values)


@operation(STEADY, shown=("value",))
def twice(value: int) -> Steps[int]:
    """How many requests were made: two, one after the other."""
    yield Request(path=f"/first/{value}")
    yield Progress(done=1, total=2)
    yield Request(path=f"/second/{value}")
    return 2


@operation(STEADY, shown=("name",))
def keep(name: str, secret: str, fail: str = "") -> Steps[dict[str, str]]:
    """What it was given; with *fail*, a bug that quotes it."""
    yield Request(path=f"/keep/{name}", params={"note": secret})
    if fail:
        raise ValueError(f"could not keep {secret}")
    return {"name": name, "secret": secret}


@operation(STEADY, shown=("value",))
def swallow(value: int) -> Steps[int]:
    """Nothing: it takes its process down, as an out-of-memory killer would."""
    yield Request(path=f"/swallow/{value}")
    os.kill(os.getpid(), signal.SIGKILL)
    return value


@operation(BRITTLE, shown=("value",))
def ask(value: int) -> Steps[int]:
    """*value*, once the provider has been asked."""
    yield Request(path=f"/ask/{value}")
    return value


@operation(WILD, shown=("place",))
def look(place: str) -> Steps[Any]:
    """What is there."""
    answer = yield Request(path=f"/{place}")
    return answer.data


@operation(PACED, shown=("value",))
def pace(value: int) -> Steps[int]:
    """*value*, once the provider has been asked."""
    yield Request(path=f"/pace/{value}")
    return value


@operation(PACED)
def tally(values: list[int]) -> Steps[int]:
    """Their sum."""
    yield Request(path="/tally")
    return sum(values)


@operation(STRAIT, shown=("value", "count"))
def wade(value: int, count: int) -> Steps[int]:
    """How many requests were made, one after the other."""
    for step in range(count):
        yield Request(path=f"/wade/{value}/{step}")
    return count


@operation(FERRY, shown=("value",))
def cross(value: int) -> Steps[int]:
    """*value*, once the provider has been asked."""
    yield Request(path=f"/cross/{value}")
    return value


@operation(SLUGGISH, shown=("value",))
def drag(value: int) -> Steps[int]:
    """*value*, once the provider has been asked."""
    yield Request(path=f"/drag/{value}")
    return value


@operation(THRIFTY, shown=("value",))
def save(value: int) -> Steps[int]:
    """*value*, once the provider has been asked."""
    yield Request(path=f"/save/{value}")
    return value
