"""Many calls at once, with real workers: each is made once, at its provider's pace, in its lane."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from celery import Celery, chord
from celery.exceptions import TaskRevokedError
from redis import Redis

from tests.acceptance.lot import Lot
from tests.acceptance.providers import PACED, pace, tally
from tests.fleet import Fleet, Ground, until
from worker import enqueue_many
from worker.application import app

SHUFFLED = 32
"""Places by which calls may arrive out of order on a busy machine: as many as two workers have slots."""


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers, for which the paced provider takes 50 calls a second."""
    with Fleet(clean, workers=2, concurrency=16, env={"NARROWS_PROVIDERS__PACED__RATE": "50"}) as fleet:
        yield fleet


def clock(state: Redis) -> int:
    """Milliseconds since the epoch, by the server's clock."""
    seconds, micros = state.time()
    return int(seconds) * 1000 + int(micros) // 1000


@contextmanager
def watched(state: Redis) -> Iterator[list[int]]:
    """How long the provider's queue was, looked at all the time."""
    lengths, stop = list[int](), threading.Event()

    def look() -> None:
        while not stop.wait(0.01):
            lengths.append(int(state.llen(PACED.name)))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield lengths
    finally:
        stop.set()
        looking.join()


def test_a_batch_is_made_at_its_providers_pace_and_lets_others_pass(state: Redis, lot: Lot) -> None:
    """Each call once and in order, next to nothing in the broker; who asks meanwhile does not wait for it."""
    with watched(state) as lengths:
        batch = enqueue_many(pace, range(300), batch_id="demo")
        until(lambda: len(lot.paths) > 30)
        asked = [pace.delay(1000 + number) for number in range(5)]
        assert [call.get(timeout=10) for call in asked] == [*range(1000, 1005)]
        results = [app.AsyncResult(batch.task_id(number)).get(timeout=30) for number in range(300)]

    assert (batch.count, batch.new, results) == (300, 300, [*range(300)])
    assert lot.numbers[-1] < 1000  # the batch still stood when the others were made
    own = [number for number in lot.numbers if number < 1000]
    assert sorted(own) == [*range(300)]
    assert max(abs(place - number) for place, number in enumerate(own)) <= SHUFFLED
    assert max(lengths) <= SHUFFLED
    arrivals = lot.arrivals
    assert 304 / 50 * 0.95 < arrivals[-1] - arrivals[0] < 304 / 50 * 1.5
    assert until(lambda: lot.empty)


def test_a_batch_that_has_run_is_not_run_again_under_its_name(lot: Lot) -> None:
    """Nor is any call of it whose result nobody wanted; what is new in it is."""
    first = enqueue_many(pace, range(20), batch_id="again", ignore_result=True, size=8)
    until(lambda: len(lot.paths) == 20 and lot.empty)

    again = enqueue_many(pace, range(23), batch_id="again", ignore_result=True, size=8)

    assert (first.new, again.new) == (20, 3)
    until(lambda: len(lot.paths) == 23 and lot.empty)
    assert sorted(lot.numbers) == [*range(23)]


def test_calls_of_a_batch_that_expire_in_line_are_revoked_and_never_made(state: Redis, lot: Lot) -> None:
    """As soon as their turn would have come; what stands behind them goes on."""
    with lot.shut():
        late = enqueue_many(pace, range(5), expires=0.5)
        alone = pace.apply_async((5,), lane="batch", expires=0.5)
        in_time = enqueue_many(pace, range(10, 15), expires=600)
        ends = int(lot.record(alone.id, "expires_at"))
        until(lambda: clock(state) > ends)

    assert [app.AsyncResult(in_time.task_id(n)).get(timeout=10) for n in range(5)] == [*range(10, 15)]
    for task_id in [*(late.task_id(n) for n in range(5)), alone.id]:
        with pytest.raises(TaskRevokedError):
            app.AsyncResult(task_id).get(timeout=10)
        assert app.AsyncResult(task_id).state == "REVOKED"
    assert sorted(lot.numbers) == [*range(10, 15)]
    assert until(lambda: lot.empty)


def test_a_call_for_later_joins_its_own_lane(lot: Lot) -> None:
    """When its time has come it stands behind those of its lane, and before those of a slower one."""
    with lot.shut():
        replayed = enqueue_many(pace, range(80), lane="replay")
        later = pace.apply_async((100,), lane="batch", countdown=0.3, expires=60)
        until(lambda: lot.record(later.id, "state") == "parked")
        assert lot.record(later.id, "lane") == "batch"

    assert later.get(timeout=10) == 100
    until(lambda: len(lot.paths) == replayed.count + 1)
    assert lot.numbers.index(100) <= SHUFFLED
    until(lambda: lot.empty)


def test_a_canvas_goes_through_the_lane_that_it_was_given(lot: Lot) -> None:
    """The members of a chord and its body stand in line where the whole was put."""
    with lot.shut():
        enqueue_many(pace, range(3))
        total = chord(
            [pace.si(number).set(lane="batch") for number in (20, 21)], tally.s().set(lane="replay")
        )
        result = total.apply_async()
        members = result.parent.results
        assert [lot.record(member.id, "lane") for member in members] == ["batch", "batch"]
        assert lot.parked == 5

    assert result.get(timeout=15) == 41
    assert lot.paths[-1] == "/tally"
    until(lambda: lot.empty)


def test_a_service_without_our_code_says_its_lane_in_a_header(lot: Lot, clean: Ground) -> None:
    """Its call stands there once a worker has seen it."""
    with Celery("stranger", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False) as other:
        with lot.shut():
            header = {"narrows": {"lane": "batch"}}
            call = other.send_task("paced.pace", [7], queue="paced", headers=header)
            until(lambda: lot.record(call.id, "state") == "parked")
            assert lot.record(call.id, "lane") == "batch"
        assert call.get(timeout=10) == 7
    until(lambda: lot.empty)
