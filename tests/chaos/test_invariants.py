"""What counts as broken, on a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.chaos.invariants import Watch, look
from tests.fleet import until
from worker.keys import keys
from worker.record import Records

AT = keys("anybody")
STATES = {
    "queued": AT.queued,
    "running": AT.running,
    "waiting": AT.waiting,
    "parked": AT.parked,
    "slow": AT.slow,
}


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A client of an empty server."""
    with Redis.from_url(redis_url) as client:
        yield client


def put(redis: Redis, task_id: str, state: str, index: str = "") -> None:
    """A call in *state* that stands in *index*, its own when empty."""
    redis.hset(AT.call(task_id), mapping={"state": state, "lease_until": 1})
    redis.zadd(index or STATES[state], {task_id: 1.0})


def test_a_call_in_the_place_of_its_state_is_in_order(redis: Redis) -> None:
    """One in each; a call that has ended is nowhere."""
    for state in STATES:
        put(redis, state, state)
    redis.hset(AT.call("over"), "state", "ended")
    redis.zadd(AT.released, {"queued": 1.0})

    assert look(redis, AT) == (dict.fromkeys(STATES, 1), [])


def test_what_the_scripts_write_is_in_order(redis: Redis) -> None:
    """So the names are theirs."""
    records = Records(redis, redis, "anybody")
    records.write("a", "{}")
    records.write("b", "{}", due=2**52)
    records.park([("c", "{}")], lane="batch")

    assert look(redis, AT) == ({"queued": 1, "running": 0, "waiting": 1, "parked": 1, "slow": 0}, [])


def test_a_call_in_two_places_is_seen(redis: Redis) -> None:
    """It would run twice."""
    put(redis, "a", "parked")
    put(redis, "a", "running")

    assert look(redis, AT)[1] == ["a is running and parked", "a is parked, its record says running"]


def test_a_call_in_a_place_of_which_its_record_does_not_know_is_seen(redis: Redis) -> None:
    """Whoever takes it from there meets a stranger."""
    put(redis, "a", "queued", AT.parked)
    redis.zadd(AT.slow, {"b": 1.0})

    assert look(redis, AT)[1] == ["a is parked, its record says queued", "b is slow, its record says nothing"]


def test_a_call_that_is_nowhere_is_seen(redis: Redis) -> None:
    """Nobody would ever find it."""
    redis.hset(AT.call("a"), "state", "waiting")

    assert look(redis, AT)[1] == ["a is nowhere, its record says waiting"]


def test_a_released_call_that_is_not_queued_is_seen(redis: Redis) -> None:
    """It would take room from others for as long as it is remembered."""
    put(redis, "a", "running")
    redis.zadd(AT.released, {"a": 1.0, "b": 1.0})

    assert look(redis, AT)[1] == ["a is released and running", "b is released and nowhere"]


def test_a_running_call_has_a_lease(redis: Redis) -> None:
    """Without one it would run for ever."""
    put(redis, "a", "running")
    redis.hdel(AT.call("a"), "lease_until")

    assert look(redis, AT)[1] == ["a is running without a lease"]


def test_a_watch_remembers_the_most_and_all_that_was_broken(redis: Redis, redis_url: str) -> None:
    """What was put right meanwhile is not forgotten."""
    put(redis, "a", "parked")
    put(redis, "b", "queued", AT.parked)
    with Watch(lambda: Redis.from_url(redis_url), AT, every=0.01) as watch:
        until(lambda: watch.looks > 0)
        redis.flushall()
        seen = watch.looks
        until(lambda: watch.looks > seen + 1)

    assert watch.most == {"queued": 0, "running": 0, "waiting": 0, "parked": 2, "slow": 0}
    assert set(watch.broken) == {"b is parked, its record says queued"}
