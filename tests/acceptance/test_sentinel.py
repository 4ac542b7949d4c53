"""The primary is lost under load: Sentinels name another; of what was taken nothing is lost or doubled."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from celery.result import AsyncResult
from redis import RedisError

from tests.acceptance.conftest import Echo
from tests.acceptance.providers import NAMES, PACED, STEADY, echo, pace
from tests.acceptance.sentinels import Node, SentinelGround
from tests.acceptance.submitted import ASKED, DESKS, file
from tests.chaos.tally import Tally
from tests.fleet import Fleet, until
from worker.errors import EnqueueFailed
from worker.keys import keys

BACK_WITHIN = 30.0
"""Seconds until calls run again; a busy machine may need several times the 4 to 8 s that it takes mostly."""

EVERY = 0.1

SERVED = (STEADY.name, PACED.name, ASKED.name)


@dataclass
class Producer(threading.Thread):
    """Enqueues calls at a steady pace, and remembers which it was told are taken."""

    enqueue: Callable[[int], AsyncResult[Any]]
    first: int
    taken: dict[int, AsyncResult[Any]] = field(default_factory=dict)
    refused: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self._enough = threading.Event()

    def run(self) -> None:
        """Until it is enough."""
        number = self.first
        while not self._enough.wait(EVERY):
            number += 1
            try:
                self.taken[number] = self.enqueue(number)
            except EnqueueFailed:
                self.refused.append(number)

    def end(self) -> None:
        """No more calls."""
        self._enough.set()
        self.join(30.0)

    __hash__ = threading.Thread.__hash__


@pytest.fixture(scope="module")
def ground() -> Iterator[SentinelGround]:
    """Three servers, three Sentinels; a module's own."""
    with SentinelGround(players=[*(Echo(name) for name in NAMES), *DESKS.values()]) as ground:
        yield ground


@pytest.fixture(scope="module")
def fleet(ground: SentinelGround) -> Iterator[Fleet]:
    """Two workers, from which calls are taken sooner than from real ones."""
    with Fleet(ground, workers=2, env={"NARROWS_CLAIM_LEASE": "5"}) as fleet:
        yield fleet


@pytest.fixture(params=["killed", pytest.param("hung", marks=pytest.mark.chaos)])
def lost(request: pytest.FixtureRequest) -> str:
    """How the primary goes: for good, or it comes back and believes to be the primary still."""
    return str(request.param)


def test_a_failover_under_load_loses_and_doubles_nothing(
    ground: SentinelGround, fleet: Fleet, lost: str
) -> None:
    """Two producers of calls and one of submissions go on meanwhile; results can be read afterwards."""
    first = 1000 if lost == "hung" else 0
    makers = [
        Producer(echo.delay, first),
        Producer(pace.delay, first),
        Producer(lambda number: file.delay(f"{lost} {number}"), first),
    ]
    for maker in makers:
        maker.start()
    old = ground.primary()
    until(lambda: all(len(maker.taken) > 10 for maker in makers), 20.0)

    gone = time.monotonic()
    old.kill() if lost == "killed" else old.pause()
    took = _resumed(ground, old, gone)
    assert echo.delay(-1).get(timeout=20) == -1
    heard = time.monotonic() - gone
    old.start() if lost == "killed" else old.resume()
    until(lambda: all(len(maker.taken) > 40 for maker in makers), 30.0)
    for maker in makers:
        maker.end()

    calls = [call for maker in makers for call in maker.taken.values()]
    until(lambda: all(_ready(call) for call in calls), 60.0, told=lambda: _open(ground, calls, fleet))
    refused = sum(len(maker.refused) for maker in makers)
    found = f"{took:.1f} s, results by get() after {heard:.1f} s; {len(calls)} calls taken, {refused} refused"
    print(f"failover, primary {lost}: calls ran again after {found}")  # noqa: T201 - what was measured
    _ended_once(makers[0], makers[1], makers[2], lost)
    until(lambda: _at_rest(ground), 30.0, told=lambda: _open(ground, calls, fleet))
    if lost == "hung":
        _tally(len(calls), took).keep()
    until(lambda: ground.replicas() == 2, 40.0)  # the one that was lost follows, too
    until(lambda: fleet.ready, 30.0)


def _tally(calls: int, took: float) -> Tally:
    """What the summary of all storms tells of calls that have ended once, all of them."""
    return Tally(
        storm="sentinel",
        faults={"primaries lost": 1},
        calls=calls,
        once=calls,
        doubt=0,
        recovery=took,
        since="from the loss of the primary until a call has run",
    )


def _ended_once(echoes: Producer, paces: Producer, files: Producer, lost: str) -> None:
    """Each call that was taken has its own answer, and each submission arrived once."""
    for asked in (echoes, paces):
        assert [call.get(timeout=10) for call in asked.taken.values()] == list(asked.taken)
    arrived = DESKS[ASKED.name].arrived
    assert {number: arrived[f"{lost} {number}"] for number in files.taken} == dict.fromkeys(files.taken, 1)
    assert max(arrived.values()) == 1
    assert {call.get(timeout=10)["state"] for call in files.taken.values()} == {"accepted"}


def _resumed(ground: SentinelGround, old: Node, gone: float) -> float:
    """Seconds from *gone* until a call that was enqueued since then has its result."""
    asked: list[AsyncResult[Any]] = []

    def answered() -> bool:
        if ground.primary() is old:
            return False
        with suppress(EnqueueFailed):
            asked.append(echo.delay(-1))
        return any(_ready(call) for call in asked[-20:])

    until(answered, BACK_WITHIN)
    return time.monotonic() - gone


def _ready(call: AsyncResult[Any]) -> bool:
    """Whether it has its result, as far as anybody can say just now."""
    with suppress(RedisError, OSError):
        return bool(call.ready())
    return False


def _at_rest(ground: SentinelGround) -> bool:
    """Whether no call is under way and no dead letter lies anywhere."""
    with ground.client() as state:
        return not any(
            state.exists(at.queued, at.running, at.waiting, at.parked, at.slow, at.released, at.dlq)
            for at in map(keys, SERVED)
        )


def _open(ground: SentinelGround, calls: list[AsyncResult[Any]], fleet: Fleet) -> str:
    """What a failed test tells: states of calls, the indexes that hold some, the last words of a worker."""
    with ground.client() as state:
        held = {name: [state.zcard(index) for index in keys(name).indexes] for name in SERVED}
    return f"{Counter(call.state for call in calls)} {held} {fleet.stack.workers[0].last_words()}"
