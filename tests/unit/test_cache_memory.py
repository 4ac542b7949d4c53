"""The cache without Redis, and the logic of its two tiers, with a clock that the test holds."""

from __future__ import annotations

import fakeredis
import pytest

from tests.clock import Clock
from worker.cache.cache import Cache
from worker.cache.decorator import cached
from worker.errors import CacheError

KEY = "narrows:{city}:cache:a"


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still."""
    return Clock()


@pytest.fixture
def alone(clock: Clock) -> Cache:
    """Memory alone."""
    return Cache(None, clock=clock)


def tiers(clock: Clock) -> tuple[Cache, Cache, fakeredis.FakeRedis]:
    """Two processes' caches over one Redis."""
    redis = fakeredis.FakeRedis()
    return Cache(redis, clock=clock), Cache(redis, clock=clock), redis


def test_memory_alone_keeps_an_entry_while_it_is_fresh(alone: Cache, clock: Clock) -> None:
    """There is nobody else to ask, so its memory seconds do not matter."""
    alone.put(KEY, {"a": 1}, fresh=60, memory=5)
    clock.now += 59
    entry = alone.get(KEY)
    assert entry is not None
    assert (entry.value, entry.tier, entry.fresh, entry.age) == ({"a": 1}, "memory", True, 59.0)
    clock.now += 1
    assert alone.get(KEY) is None


def test_an_entry_without_memory_seconds_is_never_kept_in_memory(alone: Cache) -> None:
    """The caller said that every reader asks Redis."""
    alone.put(KEY, 1, fresh=60)
    assert alone.get(KEY) is None


def test_changing_what_was_read_or_written_changes_nothing_in_the_cache(alone: Cache) -> None:
    """Memory holds bytes, not objects that callers share."""
    value = {"rows": [1]}
    alone.put(KEY, value, fresh=60, memory=60)
    value["rows"].append(2)
    first = alone.get(KEY)
    assert first is not None
    first.value["rows"].append(3)
    second = alone.get(KEY)
    assert second is not None
    assert second.value == {"rows": [1]}


def test_memory_is_bounded_in_entries_and_in_bytes_and_the_least_used_go_first(clock: Clock) -> None:
    """Whichever bound is met first."""
    few = Cache(None, memory_items=10, clock=clock)
    for number in range(30):
        few.put(f"k{number}", number, fresh=60, memory=60)
        few.get("k0")
    kept = [number for number in range(30) if few.get(f"k{number}")]
    assert kept == [0, *range(21, 30)]

    small = Cache(None, memory_bytes=10_000, clock=clock)
    for number in range(100):
        small.put(f"k{number}", [f"{number}-{other * 7919}" for other in range(60)], fresh=60, memory=60)
    assert 0 < small.statistics().memory_bytes <= 10_000
    small.put("huge", [f"{number * 7919}" for number in range(30_000)], fresh=60, memory=60)
    assert small.get("huge") is None


def test_a_large_answer_that_does_not_fit_forgets_the_older_one_of_its_key(clock: Clock) -> None:
    """Better none than yesterday's."""
    small = Cache(None, memory_bytes=2_000, memory_items=10, clock=clock)
    small.put(KEY, "old", fresh=60, memory=60)
    small.put(KEY, [f"{number * 7919}" for number in range(5_000)], fresh=60, memory=60)
    assert small.get(KEY) is None


def test_memory_answers_alone_for_its_seconds_and_asks_redis_after_them(clock: Clock) -> None:
    """So what another process changed is seen soon."""
    here, there, _ = tiers(clock)
    here.put(KEY, "old", fresh=60, memory=5)
    there.put(KEY, "new", fresh=60, memory=5)

    clock.now += 4.9
    first = here.get(KEY)
    clock.now += 0.1
    second = here.get(KEY)

    assert first is not None
    assert second is not None
    assert [(first.value, first.tier), (second.value, second.tier)] == [("old", "memory"), ("new", "redis")]


def test_what_redis_answered_is_kept_in_memory_for_its_seconds(clock: Clock) -> None:
    """Counted from the reading, and never beyond its freshness."""
    here, there, redis = tiers(clock)
    here.put(KEY, 1, fresh=60, memory=5)
    clock.now += 57
    assert there.get(KEY) is not None
    redis.flushall()
    clock.now += 2.9
    kept = there.get(KEY)
    assert kept is not None
    assert kept.tier == "memory"
    clock.now += 0.1
    assert there.get(KEY) is None


def test_what_was_deleted_elsewhere_is_gone_here_when_redis_is_asked(clock: Clock) -> None:
    """Memory keeps it no longer than its seconds."""
    here, there, _ = tiers(clock)
    here.put(KEY, 1, fresh=60, memory=5)
    there.delete(KEY)
    clock.now += 5
    assert here.get(KEY) is None
    assert here.statistics().memory_entries == 0


def test_a_stale_entry_is_found_and_says_so(clock: Clock) -> None:
    """It lies in Redis for the time that the provider is down, and never in memory."""
    here, _, redis = tiers(clock)
    here.put(KEY, 1, fresh=60, memory=60, stale=600, etag='"v1"')
    assert 655_000 < redis.pttl(KEY) <= 660_000
    clock.now += 61
    for _ in range(2):
        entry = here.get(KEY)
        assert entry is not None
        assert (entry.fresh, entry.age, entry.tier, entry.etag) == (False, 61.0, "redis", '"v1"')


def test_what_is_not_json_is_not_kept_and_counts_as_an_error(alone: Cache) -> None:
    """A write never raises; the rest of a batch is kept."""
    alone.put(KEY, object(), fresh=60, memory=60)
    alone.mset({"a": 1, "b": {2}}, fresh=60, memory=60)
    assert [entry and entry.value for entry in alone.mget([KEY, "a", "b"])] == [None, 1, None]
    assert alone.statistics().errors == 2


def test_clearing_matches_as_redis_does(alone: Cache) -> None:
    """Braces are no pattern; what cannot be told apart is cleared too."""
    alone.mset(dict.fromkeys(["narrows:{a}:cache:1", "narrows:{b}:cache:1", "other"], 0), fresh=9, memory=9)
    assert alone.clear("narrows:{a}:cache:*") == 1
    assert [bool(entry) for entry in alone.mget(["narrows:{a}:cache:1", "narrows:{b}:cache:1"])] == [
        False,
        True,
    ]
    assert alone.clear() == 1
    assert alone.get("other") is not None
    assert alone.clear(r"nothing\*") == 1


def test_statistics_tell_hits_by_tier_from_stale_ones_and_misses(clock: Clock) -> None:
    """Each read counts once."""
    here, there, _ = tiers(clock)
    here.put(KEY, 1, fresh=60, memory=5, stale=60)
    here.get(KEY)
    there.get(KEY)
    there.get("absent")
    clock.now += 60
    there.mget([KEY, "absent"])
    seen = there.statistics()
    assert (seen.memory_hits, seen.redis_hits, seen.stale_hits, seen.misses, seen.errors) == (0, 1, 1, 2, 0)
    assert here.statistics().memory_hits == 1
    assert (seen.redis_entries, seen.redis_bytes > 40) == (1, True)


def test_warming_names_the_batch_with_a_value_that_is_no_json(alone: Cache) -> None:
    """An operator asked for it, so it is said."""
    with pytest.raises(CacheError, match="one of values 1 to 2 is not JSON"):
        alone.warm([("a", 1), ("b", {2})], fresh=9, memory=9)


def test_a_cached_function_is_asked_once_per_set_of_arguments(alone: Cache, clock: Clock) -> None:
    """However they are written; and again after its time."""
    asked: list[tuple[str, int]] = []

    @cached(alone, ttl=60)
    def find(name: str, *, limit: int = 10) -> list[str] | None:
        """What was found."""
        asked.append((name, limit))
        return None if name == "nobody" else [name] * limit

    assert [find("a", limit=2), find(name="a", limit=2), find("b"), find("b", limit=10)] == [
        ["a", "a"],
        ["a", "a"],
        ["b"] * 10,
        ["b"] * 10,
    ]
    assert [find("nobody"), find("nobody")] == [None, None]
    assert asked == [("a", 2), ("b", 10), ("nobody", 10)]
    clock.now += 60
    find("b")
    find.forget("a", limit=2)
    find("a", limit=2)
    assert asked[3:] == [("b", 10), ("a", 2)]
    assert find.__doc__ == "What was found."


def test_a_cached_function_that_raises_is_asked_again(alone: Cache) -> None:
    """A failure is no answer."""
    asked: list[int] = []

    @cached(alone, ttl=60, key="narrows:{x}:cache:fixed")
    def flaky() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise ConnectionError
        return 7

    with pytest.raises(ConnectionError):
        flaky()
    assert [flaky(), flaky()] == [7, 7]
    assert len(asked) == 2


def test_a_cached_function_can_name_its_own_keys(alone: Cache) -> None:
    """So that an operator can clear them by a pattern of theirs."""

    @cached(alone, ttl=60, key=lambda city: f"narrows:{{x}}:cache:{city}")
    def population(city: str) -> int:
        return len(city)

    population("Queens")
    assert alone.get("narrows:{x}:cache:Queens") is not None
