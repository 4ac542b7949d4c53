"""A worker that is asked to end loses nothing, doubles nothing and delays nothing."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from celery.result import AsyncResult

from tests.acceptance.providers import PACED, STEADY, drag, echo, pace
from tests.acceptance.submitted import DESKS, ONCE, report
from tests.fleet import Fleet, Ground, until
from worker.keys import keys

SLOW = 2.5
"""Seconds that a slow call takes: what a worker has to wait for."""

LEASE = 30.0
"""Seconds for which calls stand still whose worker did not say that it leaves them."""


@pytest.fixture(scope="module", params=["threads", pytest.param("prefork", marks=pytest.mark.chaos)])
def fleet(ground: Ground, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Two workers with the leases that everybody has."""
    ground.clear()
    with Fleet(ground, workers=2, pool=request.param, concurrency=8) as fleet:
        yield fleet


def slow(ground: Ground) -> list[AsyncResult[Any]]:
    """Calls that run for a while, on both workers, a submission among them."""
    control = ground.sandbox.control
    for name in (STEADY.name, ONCE.name):
        control.fault(name, latency_ms=round(SLOW * 1000) if name == STEADY.name else 1500)
    calls = [*(echo.delay(number) for number in range(4)), report.delay("a pothole")]
    until(lambda: sum(control.counts(name)["in_flight"] for name in (STEADY.name, ONCE.name)) == len(calls))
    return calls


def asked(ground: Ground) -> Counter[str]:
    """How often each request was made."""
    names = (STEADY.name, PACED.name, "sluggish")
    return Counter(entry["path"] for name in names for entry in ground.sandbox.control.journal(name))


def test_term_ends_what_runs_and_leaves_the_rest_to_others_without_a_delay(
    fleet: Fleet, ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    """Said twice, too. Calls run, wait for their moment in a slot, stand in line and come in meanwhile."""
    ground.sandbox.control.reset()
    DESKS[ONCE.name].clear()
    until(lambda: fleet.ready, 30.0)
    calls: list[AsyncResult[Any]] = slow(ground)
    calls += [pace.delay(number) for number in range(80)]
    pid, started = fleet.pids[0], time.monotonic()

    os.kill(pid, signal.SIGTERM)
    calls += [echo.delay(number) for number in range(10, 14)]
    os.kill(pid, signal.SIGTERM)

    def gone() -> bool:
        calls.append(drag.delay(len(calls)))
        return fleet.pids[0] != pid

    until(gone, SLOW + 15.0)
    ended = time.monotonic() - started
    until(lambda: all(call.ready() for call in calls), LEASE * 0.8, told=lambda: fleet.logs[-3000:])
    took = time.monotonic() - started

    print(f"TERM: ended after {ended:.1f} s; all {len(calls)} calls after {took:.1f} s")  # noqa: T201 - what was measured
    assert Counter(call.state for call in calls) == {"SUCCESS": len(calls)}
    assert set(asked(ground).values()) == {1}
    assert DESKS[ONCE.name].arrived == {"a pothole": 1}
    assert took < LEASE
    assert "call published again" not in fleet.logs
    assert [record.__dict__["exit_code"] for record in caplog.records if "exit_code" in record.__dict__] == [
        0
    ]
    with ground.client() as state:
        at = [keys(name) for name in (STEADY.name, PACED.name, ONCE.name)]
        until(lambda: not any(state.exists(each.running, each.leases, each.queued) for each in at))


def test_a_stack_that_is_asked_to_end_waits_for_what_its_workers_run(fleet: Fleet, ground: Ground) -> None:
    """As ``narrows up`` does on TERM: all of it ends, and what was done is told."""
    ground.sandbox.control.reset()
    DESKS[ONCE.name].clear()
    until(lambda: fleet.ready, 30.0)
    calls = slow(ground)

    started = time.monotonic()
    fleet.stack.stop()
    took = time.monotonic() - started

    print(f"narrows up, TERM: ended after {took:.1f} s")  # noqa: T201 - what was measured
    assert {call.state for call in calls} == {"SUCCESS"}
    assert took < SLOW + 15.0
    with ground.client() as state:
        assert not any(state.exists(keys(name).running) for name in (STEADY.name, ONCE.name))


def test_term_ends_a_worker_in_time_whose_redis_is_away(ground: Ground) -> None:
    """What it ran is run again when Redis is back. One that has just submitted something insists for 20 s."""
    ground.clear()
    with Fleet(ground, workers=1, env={"NARROWS_CLAIM_LEASE": "3"}) as fleet:
        ground.sandbox.control.fault(STEADY.name, latency_ms=round(SLOW * 1000))
        calls = [echo.delay(number) for number in range(4)]
        until(lambda: ground.sandbox.control.counts(STEADY.name)["in_flight"] == len(calls))
        pid = fleet.pids[0]

        ground.valkey.kill()
        gone = time.monotonic()
        os.kill(pid, signal.SIGTERM)
        until(lambda: fleet.pids[0] != pid, 40.0, told=lambda: fleet.logs[-3000:])
        ended = time.monotonic() - gone
        ground.valkey.start()
        ground.sandbox.control.clear(STEADY.name)

        until(lambda: all(call.ready() for call in calls), 90.0)
    print(f"TERM, Redis away: ended after {ended:.1f} s")  # noqa: T201 - what was measured
    assert ended < SLOW + 15.0
    assert [call.get(timeout=5) for call in calls] == [*range(4)]
