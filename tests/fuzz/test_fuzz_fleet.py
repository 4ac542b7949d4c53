"""All tasks, a real worker, providers that misbehave in every way: each call ends, and the worker lives."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import Any

import pytest
from celery import states
from celery.result import AsyncResult
from redis import Redis

import tasks
from tests.fleet import Fleet, Ground, until
from tests.fuzz.asked import OPERATIONS, asked
from tests.fuzz.effort import times
from tests.sandbox.misconduct import MODES
from tests.sandbox.settings import DOORS
from worker.errors import NarrowsError, UnexpectedError
from worker.keys import keys

CALLS = 150
PACE = {
    "RATE": "200",
    "BURST": "200",
    "TOTAL_TIMEOUT": "1",
    "MAX_BODY": "200000",
    "CACHE_SECONDS": "0",
    "STALE_IF_ERROR": "0",
    "BREAKER_FAILURES": "1000",
    "BREAKER_RATIO": "1",
    "BREAKER_RESET_AFTER": "0.3",
    "RETRY_ATTEMPTS": "2",
    "RETRY_FIRST": "0.05",
    "RETRY_MOST": "0.1",
    "RETRY_FLOOR": "100000",
    "COOLDOWN": "0.2",
    "MAX_COOLDOWN": "0.4",
    "TOO_LONG": "wait",
    "DAILY_QUOTA": "100000",
}
"""So that nobody waits, and no breaker keeps most calls from meeting a provider at all."""

WAITS = ["0", "1", "-1", "1e9", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 15, None, None]
NUMBERS = count()


@pytest.fixture(scope="module")
def fleet(ground: Ground) -> Iterator[Fleet]:
    """One worker of eight slots."""
    ground.sandbox.musicbrainz.rate = None  # it would throttle by itself what comes at this pace
    env = {
        f"NARROWS_PROVIDERS__{name.upper()}__{key}": value for name in DOORS for key, value in PACE.items()
    }
    with Fleet(ground, workers=1, concurrency=8, env=env, include="tasks") as fleet:
        yield fleet


def called(name: str) -> AsyncResult[Any]:
    """A call of that task as it is right, and of its own where it submits."""
    arguments = dict(asked(name)[0])
    if "idempotency_key" in arguments:
        arguments["idempotency_key"] = f"fuzzed-{next(NUMBERS)}"
    if name == "import_dataset":
        arguments["sink"] = f"fuzzed/{next(NUMBERS)}"
    result: AsyncResult[Any] = getattr(tasks, name).delay(**arguments)
    return result


def fault(draw: random.Random) -> dict[str, Any]:
    """One way to go wrong."""
    return {
        "mode": draw.choice(sorted(MODES)),
        "status": draw.choice([None] * 20 + [each for each in HTTPStatus if each >= HTTPStatus.OK]),
        "error_rate": draw.choice([0.5, 1.0]),
        "retry_after": draw.choice(WAITS),
        "pause_ms": 20,
        "times": draw.choice([1, 2, 5]),
        "headers": draw.choice(
            [{}, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": draw.choice(WAITS[:-2])}]
        ),
    }


def over(call: AsyncResult[Any]) -> bool:
    """Whether *call* has ended, or waits and says why."""
    return bool(call.ready() or (call.state == states.RETRY and str(call.result)))


def answered(name: str) -> bool:
    """Whether a call of that task, as it is right, has its result."""
    call = called(name)
    call.get(timeout=30, propagate=False)
    return bool(call.successful())


def forgiven(state: Redis) -> None:
    """All providers are as if nothing had happened; what waits is let go."""
    for name in DOORS:
        at = keys(name)
        state.delete(at.breaker, at.limits, at.probes, at.leases, at.suppressed)


def test_every_call_ends_whatever_its_provider_does_and_the_worker_goes_on(
    fleet: Fleet, ground: Ground
) -> None:
    """A hundred and fifty calls of all tasks; afterwards the same process answers each task at once."""
    (pid,) = fleet.pids
    called("submit_service_request").get(timeout=30)  # number 311-10000000
    called("update_watermark").get(timeout=30)
    draw = random.Random(6)
    calls = []
    for number in range(times(CALLS)):
        ground.sandbox.control.fault(draw.choice(sorted(DOORS)), **fault(draw))
        calls.append((name := draw.choice(sorted(OPERATIONS)), called(name)))
        if number % 8 == 0:
            until(lambda: sum(not over(call) for _, call in calls[-40:]) < 16, 60.0)

    until(
        lambda: all(over(call) for _, call in calls), 90.0, told=lambda: [n for n, c in calls if not over(c)]
    )

    failed = [(name, call.result) for name, call in calls if call.state == states.FAILURE]
    assert failed
    strange = [(name, why) for name, why in failed if not isinstance(why, NarrowsError)]
    assert not strange
    assert not [(name, str(why)) for name, why in failed if isinstance(why, UnexpectedError)]
    ground.sandbox.control.clear()
    with ground.client() as state:
        forgiven(state)
    for name in OPERATIONS:
        until(partial(answered, name), 60.0)  # a busy machine may be late for PACE
    assert [pid] == fleet.pids
    assert not ground.sandbox.errors
    assert "Traceback" not in fleet.logs
