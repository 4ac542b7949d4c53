"""A call that has to wait lies in Redis: no slot, no message, no memory of a worker, and the same task."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from celery.exceptions import TaskRevokedError
from celery.result import AsyncResult
from redis import Redis

from tests.acceptance.lot import Lot, deferrals
from tests.acceptance.providers import echo, pace, save, wade
from tests.fleet import Fleet, Ground, held, until
from worker.application import app

SHUFFLED = 10
"""Places by which calls may arrive out of order: those let out ahead of their moment, to two workers."""


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers, in each of which there is room for all calls that are let out ahead of their moment."""
    with Fleet(clean, workers=2, concurrency=16) as fleet:
        yield fleet


def resident(fleet: Fleet) -> float:
    """MB that the largest worker holds."""
    pages = [int(Path(f"/proc/{pid}/statm").read_text(encoding="utf-8").split()[1]) for pid in fleet.pids]
    return max(pages) * 4096 / 2**20


def test_calls_that_wait_for_long_leave_the_worker(fleet: Fleet, state: Redis, lot: Lot) -> None:
    """Hundreds of them hold no slot, no message and no memory, and a neighbour's calls go on."""
    assert [echo.delay(number).get(timeout=10) for number in range(20)] == [*range(20)]
    with lot.shut():
        with held("paced"):
            calls = [pace.delay(number) for number in range(400)]
            before = resident(fleet)
        lot.holds(400)

        assert (state.llen("paced"), state.hlen("unacked")) == (0, 0)
        assert [echo.delay(number).get(timeout=10) for number in range(20)] == [*range(20)]
        assert resident(fleet) - before < 20
        for call in calls:
            call.revoke()
    assert lot.empty
    assert lot.paths == []


def test_the_caller_waits_through_it_with_the_same_id(lot: Lot) -> None:
    """The state is RETRY and says what holds the call; ``get`` returns when it has run."""
    with lot.shut():
        call = pace.apply_async((7,), task_id="seven")
        lot.holds(1)
        assert (call.state, lot.record("seven", "reason")) == ("RETRY", "cooldown")
        assert "cooldown" in str(call.info)
        assert not call.ready()
    assert (call.get(timeout=10), call.id) == (7, "seven")
    assert lot.paths == ["/pace/7"]
    assert until(lambda: lot.empty)


def test_a_parked_call_that_is_revoked_ends_at_once_and_never_runs(lot: Lot) -> None:
    """Its caller hears before anybody looks at the lot again; the others go on."""
    with lot.shut():
        calls = [pace.delay(number) for number in range(3)]
        lot.holds(3)
        calls[1].revoke()
        assert (calls[1].state, lot.parked) == ("REVOKED", 2)
        with pytest.raises(TaskRevokedError):
            calls[1].get(timeout=1)
    assert [calls[0].get(timeout=10), calls[2].get(timeout=10)] == [0, 2]
    assert sorted(lot.numbers) == [0, 2]
    assert calls[1].state == "REVOKED"
    assert until(lambda: lot.empty)


def test_a_failed_call_that_waits_for_its_back_off_is_revoked_like_a_parked_one(
    state: Redis, clean: Ground
) -> None:
    """It was asked once, and is not again."""
    lot = Lot(state, clean, "thrifty")
    clean.sandbox.control.fault("thrifty", status=500)
    call = save.delay(1)
    until(lambda: state.zcard(lot.keys.slow) == 1)
    assert call.state == "RETRY"

    call.revoke()

    assert (call.state, lot.empty, lot.paths) == ("REVOKED", True, ["/save/1"])
    with pytest.raises(TaskRevokedError):
        call.get(timeout=1)


def test_a_call_that_is_to_be_tried_again_later_can_be_revoked(state: Redis, clean: Ground) -> None:
    """The provider has named the time; it is not asked then."""
    lot = Lot(state, clean, "steady")
    clean.sandbox.control.fault("steady", status=503, retry_after="2")
    call = echo.delay(1)
    until(lambda: state.zcard(lot.keys.waiting) == 1)
    due = float(state.zscore(lot.keys.waiting, call.id) or 0) / 1000

    call.revoke()

    assert (call.state, lot.empty) == ("REVOKED", True)
    until(lambda: time.time() > due + 0.5)
    assert (call.state, lot.paths) == ("REVOKED", ["/echo/1"])


def test_a_call_that_expires_while_it_is_parked_is_revoked_and_never_runs(lot: Lot) -> None:
    """Its caller hears when its turn would have come; those behind it lose nothing."""
    with lot.shut():
        late = [pace.apply_async((number,), expires=1.0) for number in range(5)]
        in_time = [pace.apply_async((number,), expires=600.0) for number in range(5, 8)]
        lot.holds(8)
        ends = time.time() + 1.1
        until(lambda: time.time() > ends)
    assert [call.get(timeout=10) for call in in_time] == [5, 6, 7]
    until(lambda: {call.state for call in late} == {"REVOKED"})
    assert sorted(lot.numbers) == [5, 6, 7]
    assert until(lambda: lot.empty)


def test_released_calls_hear_no_second_denial(fleet: Fleet, lot: Lot) -> None:
    """Each was held back once at most, and comes when it may go; with next steps or without."""
    with lot.shut():
        with held("paced"):
            calls = [pace.delay(number) for number in range(30)]
            calls += [pace.apply_async((number,), link=echo.si(0)) for number in range(30, 50)]
        lot.holds(50)
        before = deferrals(fleet, "paced")

    assert [call.get(timeout=20) for call in calls] == [*range(50)]
    assert deferrals(fleet, "paced") - before == 0
    assert sorted(lot.numbers) == [*range(50)]


def test_calls_leave_in_the_order_in_which_they_came(lot: Lot) -> None:
    """Whether a worker parked them or their producer did; one that comes last does not overtake."""
    with lot.shut():
        calls = [pace.delay(0)]
        lot.holds(1)
        calls += [pace.delay(number) for number in range(1, 60)]
        lot.holds(60)
    until(lambda: lot.paths)
    last = pace.delay(60)

    assert [call.get(timeout=20) for call in [*calls, last]] == [*range(61)]
    assert max(abs(place - number) for place, number in enumerate(lot.numbers)) <= SHUFFLED
    assert lot.numbers.index(60) > 50


def test_lanes_share_the_way_and_none_starves(lot: Lot) -> None:
    """Of 21 that leave full lanes 16 are interactive, 4 batch and 1 replay; in each the first goes first."""
    lanes = {"replay": range(8), "batch": range(100, 116), "interactive": range(200, 240)}
    with lot.shut():
        calls = [pace.delay(200)]
        lot.holds(1)
        for lane, numbers in lanes.items():
            header = {"narrows": {"lane": lane}}
            calls += [pace.apply_async((n,), headers=header) for n in numbers if n != 200]
        lot.holds(64)
    assert sorted(call.get(timeout=20) for call in calls) == sorted(
        n for lane in lanes.values() for n in lane
    )

    first = Counter(number // 100 for number in lot.numbers[:42])
    assert 28 <= first[2] <= 34
    assert 6 <= first[1] <= 10
    assert 1 <= first[0] <= 4
    for hundred in range(3):
        own = [number for number in lot.numbers if number // 100 == hundred]
        assert max(abs(own.index(number) - place) for place, number in enumerate(sorted(own))) <= SHUFFLED


def test_a_parked_call_is_never_also_running(state: Redis, lot: Lot, clean: Ground) -> None:
    """Looked at all the time while calls are held back, fail, wait and run."""
    clean.sandbox.control.fault("paced", status=500, times=5, latency_ms=20)
    seen, stop = list[set[bytes]](), threading.Event()

    def look() -> None:
        at = lot.keys
        while not stop.is_set():
            with state.pipeline(transaction=True) as ask:
                for index in (at.parked, at.running, at.queued, at.waiting):
                    ask.zrange(index, 0, -1)
                parked, running, queued, waiting = (set(ids) for ids in ask.execute())
            both = parked & running | parked & queued | running & waiting | queued & running
            if both:
                seen.append(both)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        calls = [pace.delay(number) for number in range(80)]
        assert [call.get(timeout=30) for call in calls] == [*range(80)]
    finally:
        stop.set()
        looking.join()
    assert seen == []
    assert Counter(lot.numbers).total() == 85


@pytest.mark.parametrize("count", [2, 3])
def test_tasks_of_several_calls_end_where_one_call_a_second_is_allowed(
    state: Redis, clean: Ground, count: int
) -> None:
    """A task that has begun goes on in its slot: nobody makes the same call again and again."""
    lot = Lot(state, clean, "strait")

    calls: list[AsyncResult[int]] = [wade.delay(number, count) for number in range(3)]

    assert [call.get(timeout=40) for call in calls] == [count] * 3
    assert Counter(lot.paths).most_common(1)[0][1] == 1
    assert len(lot.paths) == 3 * count
    assert min(later - earlier for earlier, later in pairwise(lot.arrivals)) > 0.5
    assert lot.arrivals[-1] - lot.arrivals[0] > 3 * count - 1 - 0.3


def test_several_parked_calls_are_revoked_in_one_go(lot: Lot) -> None:
    """By the ids that their producer kept."""
    with lot.shut():
        calls = [pace.delay(number) for number in range(4)]
        lot.holds(4)
        app.control.revoke([call.id for call in calls[:3]])
        assert [call.state for call in calls[:3]] == ["REVOKED"] * 3
    assert calls[3].get(timeout=10) == 3
    assert lot.numbers == [3]
