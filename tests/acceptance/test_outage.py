"""One provider is dead, and two workers hear of it together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from celery.result import AsyncResult

from tests.acceptance.providers import BRITTLE, ask, echo
from tests.fleet import Fleet, Ground, until

SLOTS = 8
WORKERS = 2
THRESHOLD = BRITTLE.breaker.failures or 0
OPEN = 1.0


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers."""
    with Fleet(clean, workers=WORKERS, concurrency=SLOTS) as fleet:
        yield fleet


def breaker(fleet: Fleet) -> float:
    """What the metrics say of it: 0 closed, 1 open, 2 half-open."""
    return fleet.gauge("circuit_breaker_state", provider="brittle")


def test_a_dead_provider_is_left_alone_while_the_other_goes_on_and_both_workers_hear_of_its_recovery(
    fleet: Fleet, clean: Ground
) -> None:
    """Threshold and what is in flight reach it, then one probe at a time; two successes close the breaker."""
    control = clean.sandbox.control
    control.fault("brittle", status=500, latency_ms=150)

    calls = [ask.delay(number) for number in range(60)]
    started = time.monotonic()
    others = _steadily(seconds=5.0)
    until(lambda: all(other.ready() for other in others), 3.0, told=lambda: _states(others))

    arrived = [entry["at"] for entry in control.journal("brittle")]
    first, probes = _burst(arrived)
    assert THRESHOLD <= len(first) <= THRESHOLD + WORKERS * SLOTS
    assert 1 <= len(probes) <= (time.monotonic() - started) / BRITTLE.breaker.reset_after + 1
    assert min(_gaps(probes), default=9.0) >= BRITTLE.breaker.reset_after * 0.95
    assert {other.result for other in others} == set(range(len(others)))
    assert _slowest_gap([entry["at"] for entry in control.journal("steady")]) < OPEN
    assert breaker(fleet) != 0

    healed = time.monotonic()
    control.clear("brittle")
    until(lambda: breaker(fleet) == 0, 10.0, told=lambda: breaker(fleet))

    statuses = [entry for entry in control.journal("brittle") if entry["at"] > healed]
    assert [entry["status"] for entry in statuses[:2]] == [200, 200]
    until(lambda: all(call.ready() for call in calls), 20.0, told=lambda: _states(calls))
    assert [call.get() for call in calls] == list(range(60))
    succeeded = [entry["path"] for entry in control.journal("brittle") if entry["status"] == 200]
    assert sorted(succeeded) == sorted(f"/ask/{number}" for number in range(60))
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]


def _steadily(*, seconds: float) -> list[AsyncResult[int]]:
    """Calls to the other provider, twenty in each second."""
    calls = list[AsyncResult[int]]()
    started = time.monotonic()
    while (now := time.monotonic()) < started + seconds:
        calls.append(echo.delay(len(calls)))
        time.sleep(max(0.0, started + len(calls) / 20 - now))
    return calls


def _burst(arrived: list[float]) -> tuple[list[float], list[float]]:
    """The requests until the breaker opened, and those after: the first gap as long as it stays open."""
    for index, gap in enumerate(_gaps(arrived)):
        if gap > BRITTLE.breaker.reset_after * 0.8:
            return arrived[: index + 1], arrived[index + 1 :]
    return arrived, []


def _gaps(moments: list[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]


def _slowest_gap(moments: list[float]) -> float:
    return max(_gaps(moments))


def _states(calls: list[AsyncResult[int]]) -> dict[str, int]:
    states = [call.state for call in calls]
    return {state: states.count(state) for state in set(states)}
