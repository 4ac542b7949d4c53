"""Beat's scheduler at the moments that are hard to hit from outside; test_beats.py has real processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from redbeat import RedBeatSchedulerEntry
from redis import Redis

from config.celery import BEAT_LOCK, BEAT_PREFIX, celery_settings
from tests.integration.deployment import Deployment
from worker.beat import AGAIN, LockLost, Scheduler

Made = Callable[[], Scheduler]
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def scheduler(redis_url: str, state: Redis) -> Iterator[Made]:
    """Makes the scheduler of one more beat, with one entry that is due, and then in an hour."""
    apps: list[Celery] = []

    def make() -> Scheduler:
        apps.append(app := Celery("beat", set_as_current=False))
        app.conf.update(celery_settings(Deployment(url=redis_url).engine.settings))
        app.conf.beat_schedule = {"hourly": {"task": "elsewhere.tick", "schedule": 3600.0}}
        made = Scheduler(app, state=state)
        if len(apps) == 1:
            RedBeatSchedulerEntry.from_key(f"{BEAT_PREFIX}hourly", app=app).reschedule(LONG_AGO)
        return made

    yield make
    for app in apps:
        app.close()


def started(state: Redis) -> int:
    """How many ticks were published."""
    return state.llen("elsewhere")


def test_one_beat_ticks_and_the_other_asks_again_soon(scheduler: Made, state: Redis) -> None:
    """The lock is held for its whole time again after each look."""
    first, second = scheduler(), scheduler()

    first.tick()
    again = second.tick()

    assert (again, started(state)) == (AGAIN, 1)
    assert 10_000 < state.pttl(BEAT_LOCK) <= 15_000


def test_a_beat_that_ends_lets_the_other_follow_at_once(scheduler: Made, state: Redis) -> None:
    """What was started stays noted, so it is not started again."""
    first, second = scheduler(), scheduler()
    first.tick()

    first.close()
    second.tick()

    assert state.exists(BEAT_LOCK)
    assert second.tick() != AGAIN
    assert started(state) == 1


def test_a_beat_that_was_stopped_between_looking_and_starting_starts_nothing(
    scheduler: Made, state: Redis
) -> None:
    """Its lock ran out meanwhile, and the other one, which has it now, started the same."""
    slow, other = scheduler(), scheduler()
    slow._lease.take()
    (due,) = slow.schedule.values()

    state.delete(BEAT_LOCK)
    other.tick()
    with pytest.raises(LockLost):
        slow.reserve(due)

    assert started(state) == 1
    assert slow.tick() == AGAIN


def test_a_beat_that_ends_late_does_not_take_the_lock_from_another(scheduler: Made, state: Redis) -> None:
    """It gives back only what is its own."""
    slow, other = scheduler(), scheduler()
    slow.tick()
    state.delete(BEAT_LOCK)
    other.tick()

    slow.close()

    assert slow.tick() == AGAIN
    assert other.tick() != AGAIN


def test_a_tick_that_the_broker_did_not_take_is_published_once_it_does(scheduler: Made, state: Redis) -> None:
    """The schedule's Redis stays, as with RabbitMQ; whoever has the lock by then, it is made once."""
    state.hset("elsewhere", "in the way", "")  # its broker refuses the message, and nothing else
    slow, other = scheduler(), scheduler()
    slow.tick()

    state.delete("elsewhere", BEAT_LOCK)
    other.tick()
    assert started(state) == 0
    assert slow.tick() == AGAIN
    slow.tick()

    assert started(state) == 1


def test_a_tick_that_is_due_again_is_not_made_up_for(scheduler: Made, state: Redis) -> None:
    """A broker that was away for hours gets one message."""
    state.hset("elsewhere", "in the way", "")
    beat = scheduler()
    beat.tick()

    beat._owed["hourly"].last_run_at = LONG_AGO  # hours go by
    RedBeatSchedulerEntry.from_key(f"{BEAT_PREFIX}hourly", app=beat.app).reschedule(LONG_AGO)
    state.delete("elsewhere")
    beat.tick()
    beat.tick()

    assert started(state) == 1


def test_a_clock_that_was_ahead_does_not_hold_the_schedule_back(scheduler: Made, state: Redis) -> None:
    """Ticks of a beat whose clock was a day ahead count as made now by the one that follows."""
    beat = scheduler()
    entry = RedBeatSchedulerEntry.from_key(f"{BEAT_PREFIX}hourly", app=beat.app)
    entry.reschedule(entry.default_now() + timedelta(days=1))

    beat.tick()

    due = state.zscore(f"{BEAT_PREFIX}:schedule", f"{BEAT_PREFIX}hourly")
    assert isinstance(due, float)
    assert 3500.0 < due - time.time() <= 3600.0
    assert started(state) == 0
