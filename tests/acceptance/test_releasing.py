"""Parked calls come back by themselves, whoever is killed, restarted, shut down or not there."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from celery.exceptions import TimeoutError as NotInTime
from celery.result import AsyncResult
from redis import Redis

from config.queues import UPKEEP
from tests.acceptance.lot import Lot
from tests.acceptance.providers import BRITTLE, ask, pace, wade
from tests.fleet import Fleet, Ground, until
from worker.application import app
from worker.stack.child import Program
from worker.stack.programs import Programs
from worker.stack.stack import Stack

TAKEN_OVER = 2.0
BACK = 15.0


@pytest.fixture
def fleet(ground: Ground) -> Iterator[Fleet]:
    """Two workers, from which calls are taken sooner than from real ones."""
    ground.clear()
    with Fleet(ground, workers=2, concurrency=16, env={"NARROWS_CLAIM_LEASE": "3"}) as fleet:
        yield fleet


@pytest.fixture
def state(ground: Ground) -> Iterator[Redis]:
    """The state Redis."""
    with ground.client() as client:
        yield client


@pytest.fixture
def lot(state: Redis, ground: Ground) -> Lot:
    """The lot of a provider that takes a call every 50 ms."""
    return Lot(state, ground, "paced")


def parked(lot: Lot, count: int) -> list[AsyncResult[int]]:
    """So many calls, all of them in line."""
    with lot.shut():
        calls = [pace.delay(number) for number in range(count)]
        lot.holds(count)
    return calls


def test_another_worker_releases_when_the_one_that_did_is_killed(fleet: Fleet, lot: Lot) -> None:
    """Within two seconds; what the killed one had in hand is made again, and nothing is lost."""
    calls = parked(lot, 200)
    until(lambda: len(lot.arrivals) >= 20)
    leader = lot.leader()

    fleet.kill(fleet.pids.index(leader))
    killed = time.monotonic()

    until(lambda: lot.leader() != leader, TAKEN_OVER)
    until(lambda: all(call.ready() for call in calls), 40.0, told=lambda: Counter(c.state for c in calls))
    assert [call.get() for call in calls] == [*range(200)]
    after = [at for at in lot.arrivals if at > killed - 0.2]
    assert max(later - earlier for earlier, later in pairwise(after[:100])) < TAKEN_OVER
    assert set(lot.numbers) == {*range(200)}
    assert len(lot.numbers) <= 200 + 16
    assert until(lambda: lot.empty)


def test_parked_calls_outlive_the_state_redis(fleet: Fleet, ground: Ground, lot: Lot) -> None:
    """It is killed and comes back; so do the calls.

    A worker that had just popped a message exits, as Celery has it, and its supervisor starts it again.
    """
    calls = parked(lot, 100)
    until(lambda: len(lot.arrivals) >= 20)

    ground.valkey.kill()
    gone = time.monotonic()
    until(lambda: time.monotonic() > max([gone, *lot.arrivals]) + 2.0)
    assert len(lot.arrivals) < 60
    ground.valkey.start()
    back = time.monotonic()
    ground._point(ground.env)  # this process too had connections, and Celery's pool keeps broken ones

    until(lambda: lot.arrivals[-1] > back, BACK)
    assert [_eventually(call, 60.0) for call in calls] == [*range(100)]
    assert set(lot.numbers) == {*range(100)}
    assert until(lambda: lot.empty)
    until(lambda: fleet.ready, 30.0)
    assert all(worker.restarts <= 1 for worker in fleet.stack.workers)


def test_a_warm_shutdown_loses_none_that_wait_for_their_moment_or_in_line(fleet: Fleet, lot: Lot) -> None:
    """TERM to one worker after the other: what they have begun they end, what is in line others take."""
    calls = parked(lot, 120)
    until(lambda: len(lot.arrivals) >= 10)

    for number in (0, 1):
        pid = fleet.pids[number]
        os.kill(pid, signal.SIGTERM)
        until(lambda pid=pid, number=number: fleet.pids[number] not in {0, pid}, 20.0)  # type: ignore[misc]
        until(lambda: fleet.ready, 30.0)

    until(lambda: all(call.ready() for call in calls), 40.0, told=lambda: Counter(c.state for c in calls))
    assert [call.get() for call in calls] == [*range(120)]
    assert sorted(lot.numbers) == [*range(120)]
    assert until(lambda: lot.empty)
    assert [worker.restarts for worker in fleet.stack.workers] == [1, 1]


def test_calls_held_back_by_an_open_breaker_park_and_come_back_when_it_closes(
    fleet: Fleet, ground: Ground, state: Redis
) -> None:
    """Their provider has no rate; one probe at a time asks for all of them, and none is spent."""
    lot = Lot(state, ground, "brittle")
    control = ground.sandbox.control
    control.fault("brittle", status=500)
    calls = [ask.delay(number) for number in range(5)]
    until(lambda: state.hget(lot.keys.breaker, "state") == b"open")
    opened = time.monotonic()
    calls += [ask.delay(number) for number in range(5, 45)]
    until(lambda: lot.parked >= 44, told=lambda: lot.parked)
    assert {lot.record(call.id, "attempt") for call in calls[5:] if not call.ready()} <= {"", "0", "1"}
    until(lambda: len(lot.arrivals) >= 7, told=lambda: lot.arrivals)

    probes = [at for at in lot.arrivals if at > opened]
    control.clear("brittle")
    healed = time.monotonic()
    assert len(probes) <= (healed - opened) / BRITTLE.breaker.reset_after + 1
    assert min(b - a for a, b in pairwise([opened, *probes])) > BRITTLE.breaker.reset_after * 0.9

    until(lambda: all(call.ready() for call in calls), 20.0, told=lambda: Counter(c.state for c in calls))
    assert [call.get() for call in calls] == [*range(45)]
    assert control.counts("brittle")["statuses"]["200"] == 45
    assert until(lambda: lot.empty)
    assert fleet.ready


def test_a_task_of_two_calls_ends_also_where_turns_are_rare(ground: Ground, state: Redis) -> None:
    """It was parked before its second call for want of a turn, and then spent each turn on its first one."""
    ground.clear()
    lot = Lot(state, ground, "strait")
    with Fleet(ground, workers=1, env={"NARROWS_PROVIDERS__STRAIT__RATE": "0.09"}):
        assert wade.delay(1, 2).get(timeout=30) == 2
    assert lot.paths == ["/wade/1/0", "/wade/1/1"]


class _Serving:
    """Workers that take from one provider's queue only."""

    def __init__(self, programs: Programs, provider: str) -> None:
        self._programs, self._provider = programs, provider
        self.beat, self.exporter, self.flower = programs.beat, programs.exporter, programs.flower

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        """As ever, with queues of its own."""
        program = self._programs.worker(number, env)
        return replace(program, command=(*program.command, f"--queues={UPKEEP},{self._provider}"))


@pytest.fixture
def bystander(ground: Ground) -> Iterator[Fleet]:
    """One worker, which serves another provider."""
    ground.clear()
    fleet = Fleet(ground, workers=1)
    fleet.stack = Stack(workers=1, beat=False, programs=_Serving(fleet.programs, "steady"))
    with fleet:
        yield fleet


def _due(lot: Lot, count: int) -> list[AsyncResult[int]]:
    """So many calls that have joined the line though nobody serves their provider."""
    calls = [pace.apply_async((number,), countdown=0.3) for number in range(count)]
    lot.holds(count)
    return calls


def test_a_worker_that_does_not_serve_a_provider_releases_nothing_until_there_is_one_that_does(
    bystander: Fleet, ground: Ground, state: Redis, lot: Lot
) -> None:
    """It looks, and leads; but only slots of those that serve it count."""
    calls = _due(lot, 10)
    assert lot.leader() == bystander.pids[0]
    looked = float(state.hget(lot.keys.lot, "releaser_until") or 0)
    until(lambda: float(state.hget(lot.keys.lot, "releaser_until") or 0) > looked + 1500)
    assert (lot.parked, state.llen("paced"), lot.paths) == (10, 0, [])

    with Fleet(ground, workers=1):
        assert [call.get(timeout=15) for call in calls] == [*range(10)]
    assert sorted(lot.numbers) == [*range(10)]


def test_a_worker_that_is_told_to_serve_a_provider_counts_from_then_on(
    bystander: Fleet, state: Redis, lot: Lot
) -> None:
    """``celery control add_consumer``; and no more when it is told to stop."""
    calls = _due(lot, 10)

    _told(app.control.add_consumer)
    assert [call.get(timeout=15) for call in calls] == [*range(10)]

    _told(app.control.cancel_consumer)
    until(lambda: state.zcount(lot.keys.workers, time.time() * 1000, "+inf") == 0)
    _due(lot, 3)
    assert bystander.ready


def _told(command: Callable[..., Any]) -> None:
    """Tell the worker about *paced*, over a connection of its own: the pool's may be an earlier test's."""
    with app.connection_for_write() as fresh:
        command("paced", reply=True, limit=1, timeout=5.0, connection=fresh)


def _eventually(call: AsyncResult[int], seconds: float) -> int:
    """The result of *call*, asked for over connections that may have broken."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return int(call.get(timeout=1.0))
        except (NotInTime, OSError):
            assert time.monotonic() < deadline, call.state
