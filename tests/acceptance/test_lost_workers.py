"""Workers are killed with calls in their hands; the calls are not."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from tests.acceptance.providers import echo, increment, look, swallow, twice
from tests.fleet import Fleet, Ground, until

TAKEN_WITHIN = 45.0
SHORT = {
    "NARROWS_CLAIM_LEASE": "2",
    "NARROWS_SWEEP_INTERVAL": "0.5",
    "NARROWS_PROVIDERS__WILD__API_KEY": "key",
    "NARROWS_PROVIDERS__WILD__TOTAL_TIMEOUT": "60",
    "NARROWS_PROVIDERS__WILD__READ_TIMEOUT": "60",
}


@pytest.fixture
def ordinary(ground: Ground) -> Iterator[Fleet]:
    """Two workers with the settings that everybody has."""
    ground.clear()
    with Fleet(ground, workers=2, env={"NARROWS_SWEEP_INTERVAL": "5"}) as fleet:
        yield fleet


@pytest.fixture(scope="module", params=["threads", "prefork"])
def fleet(ground: Ground, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """Two workers whose calls are given to others two seconds after they fell silent."""
    ground.clear()
    with Fleet(ground, workers=2, pool=request.param, concurrency=2, env=SHORT) as fleet:
        yield fleet


@pytest.fixture
def hasty(fleet: Fleet, ground: Ground) -> Fleet:
    """The same, ready again whatever the test before has killed, and the providers behave."""
    until(lambda: fleet.ready, 30.0)
    ground.sandbox.control.reset()
    return fleet


def counted(ground: Ground, path: str) -> int:
    """How often the provider was asked for *path*."""
    return [entry["path"] for entry in ground.sandbox.control.journal("steady")].count(path)


def test_calls_of_a_killed_worker_are_taken_over_in_45_seconds(ordinary: Fleet, ground: Ground) -> None:
    """Those that it was making, those whose message it had just taken, and those in between two requests."""
    control = ground.sandbox.control
    control.fault("steady", latency_ms=1000)
    making = [echo.delay(1), echo.delay(2), twice.delay(3), echo.apply_async((4,), link=increment.s())]
    until(lambda: control.counts("steady")["in_flight"] == len(making))
    os.kill(ordinary.pids[0], signal.SIGSTOP)
    os.kill(ordinary.pids[1], signal.SIGSTOP)
    taken = [echo.delay(number) for number in range(10, 14)]
    killed = time.monotonic()
    ordinary.kill(0)
    ordinary.kill(1)
    control.clear("steady")

    left = killed + TAKEN_WITHIN - time.monotonic()
    until(lambda: all(call.ready() for call in (*making, *taken)), left, told=lambda: _states(making + taken))

    assert [call.get() for call in making] == [1, 2, 2, 4]
    assert [call.get() for call in taken] == [10, 11, 12, 13]
    assert [counted(ground, f"/echo/{number}") for number in range(10, 14)] == [1, 1, 1, 1]
    until(lambda: counted(ground, "/increment/4") == 1)
    assert all(counted(ground, path) <= 2 for path in ("/echo/1", "/echo/2", "/first/3", "/echo/4"))


def test_a_lost_call_does_not_wait_for_the_flight_that_it_left_behind(hasty: Fleet, ground: Ground) -> None:
    """Others that ask the same thing would; the call itself knows that its flight has crashed."""
    control = ground.sandbox.control
    control.fault("wild", mode="hang")
    lost = look.delay("crash")
    until(lambda: control.counts("wild")["in_flight"] == 1)

    for number in range(2):
        hasty.kill(number)
    control.clear("wild")

    assert lost.get(timeout=15) == {"asked": "/crash"}
    assert control.counts("wild")["count"] == 2


@pytest.mark.usefixtures("hasty")
def test_a_call_that_kills_its_workers_is_a_dead_letter_after_three_and_the_others_go_on(
    ground: Ground,
) -> None:
    """Also in a prefork pool, where only a child dies. Its caller hears the end, once, and nothing before."""
    poison = swallow.delay(666)
    healthy, states = list[AsyncResult[int]](), set[str]()
    deadline = time.monotonic() + 60.0
    while not poison.ready():
        assert time.monotonic() < deadline, _states(healthy)
        healthy.append(echo.delay(len(healthy)))
        states.add(poison.state)
        time.sleep(0.2)

    with pytest.raises(Exception, match="its worker was lost too often") as caught:
        poison.get(timeout=5)
    assert type(caught.value).__name__ == "WorkerLost"
    assert states <= {"PENDING", "RETRY", "FAILURE"}  # parked, when it came where there was no slot for it
    until(lambda: all(call.ready() for call in healthy), 30.0, told=lambda: _states(healthy))
    assert [call.get() for call in healthy] == [*range(len(healthy))]
    assert counted(ground, "/swallow/666") == 3
    with ground.client() as state:
        (raw,) = until(lambda: state.lrange("dlq:steady", 0, -1))  # written after the outcome is told
        letter = json.loads(raw)
    assert (poison.id, "worker_lost", [666]) == (letter["id"], letter["code"], letter["args"])


def _states(calls: list[AsyncResult[int]]) -> list[str]:
    return [call.state for call in calls]
