"""A provider that fails open, on a real server that goes away: it is asked at a share of its rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from config.settings import ProviderSettings
from tasks.openweather import PROVIDER, current_weather, request
from tests.integration.cut import Hole
from tests.sandbox import TOKEN, Sandbox
from worker.cache.cache import Cache
from worker.claim import Claim
from worker.errors import CredentialsRefused, ProviderUnavailable, StateUnavailable
from worker.gateway import open_gateway
from worker.keys import keys
from worker.metrics.metrics import Metrics
from worker.operation import Steps
from worker.outbox import Outbox
from worker.performing import Performance
from worker.pipeline import Pipeline
from worker.provider import Provider, Rate
from worker.record import Records
from worker.stack.embedded import EmbeddedValkey
from worker.stores import Line, connect
from worker.watcher import Watcher

BRISK = Rate(calls=1000.0, burst=50)
"""Of which no share is felt."""


@pytest.fixture
def mortal() -> Iterator[EmbeddedValkey]:
    """A server of this test's own, to be killed."""
    with EmbeddedValkey() as server:
        yield server


@pytest.fixture
def redis(mortal: EmbeddedValkey) -> Iterator[Redis]:
    """Its client, which gives up soon."""
    client = connect(mortal.url, connect_timeout=0.5)
    yield client
    client.close()


Make = Callable[..., Pipeline]


@pytest.fixture
def make(redis: Redis, sandbox: Sandbox, state: Redis) -> Make:
    """Builds a worker's pipeline for the weather; answers are kept on another server, unless none are."""

    def pipeline(
        *, inline_wait: float = 0.5, fleet: int = 4, outbox: Outbox | None = None, **declared: Any
    ) -> Pipeline:
        usual: dict[str, Any] = {"base_url": sandbox.base_url("openweather"), "rate": BRISK, "caching": None}
        provider = replace(PROVIDER, **{**usual, **declared})
        settings = ProviderSettings(api_key=TOKEN)
        gateway = open_gateway(provider, settings, redis, redis, outbox, Cache(state), fleet=fleet)
        return Pipeline(lambda _: gateway, inline_wait=inline_wait, watcher=Watcher(Metrics()))

    return pipeline


def weather(pipeline: Pipeline, claim: Claim | None = None, latitude: float = 1.0) -> str:
    """Where the weather came from, asked for as a task that ends after it."""
    claim = claim or Claim()
    try:
        return pipeline.call(pipeline.gateway("openweather"), request(latitude, 2.0, "metric"), claim).source
    finally:
        pipeline.tell(claim)


def performed(pipeline: Pipeline, steps: Steps[Any], claim: Claim) -> Any:
    """What an operation of the weather's returns."""
    return Performance(pipeline, "openweather", "current_weather", claim, print).of(steps)


def arrived(sandbox: Sandbox) -> int:
    """How many requests reached the provider."""
    count: int = sandbox.control.counts("openweather")["count"]
    return count


def test_the_weather_fails_open() -> None:
    """As declared; a misspelt field would make these tests vain."""
    assert PROVIDER.fails_open is True
    assert Provider(name="other", base_url="http://127.0.0.1:9").fails_open is False


def test_a_call_is_made_while_redis_is_away(make: Make, mortal: EmbeddedValkey, sandbox: Sandbox) -> None:
    """The operation hears an answer like any other."""
    pipeline = make()
    mortal.kill()

    found = performed(pipeline, current_weather.operation.steps((1, 2), {}), Claim())

    assert found.temperature == 29.5
    assert arrived(sandbox) == 1


def test_a_provider_that_does_not_fail_open_stays_closed(
    make: Make, mortal: EmbeddedValkey, sandbox: Sandbox
) -> None:
    """Nothing leaves for it."""
    pipeline = make(fails_open=False)
    mortal.kill()

    with pytest.raises(StateUnavailable):
        weather(pipeline)

    assert arrived(sandbox) == 0


@pytest.mark.parametrize("recorded", [True, False], ids=["a task", "a direct call"])
def test_redis_may_go_between_two_calls_of_one_task(
    make: Make,
    mortal: EmbeddedValkey,
    redis: Redis,
    sandbox: Sandbox,
    recorded: bool,  # noqa: FBT001
) -> None:
    """The first is metered, and the second is made although nobody can be told of the first."""
    outbox = Outbox(Line(redis)) if recorded else None
    pipeline = make(outbox=outbox)
    claim = Claim()
    if recorded:
        Records(redis, redis, "openweather").write("t1", "[]")
        claim = Claim(home="openweather", task_id="t1", recorded=True)

    def twice() -> Steps[list[str]]:
        first = yield request(1.0, 2.0, "metric")
        mortal.kill()
        second = yield request(2.0, 2.0, "metric")
        return [first.source, second.source]

    assert performed(pipeline, twice(), claim) == ["live", "live"]
    assert arrived(sandbox) == 2


def test_redis_may_go_while_a_call_is_under_way(make: Make, mortal: EmbeddedValkey, sandbox: Sandbox) -> None:
    """Its answer is not lost with the server that let it out."""
    pipeline = make()
    sandbox.control.fault("openweather", latency_ms=700)

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            pipeline.call, pipeline.gateway("openweather"), request(1.0, 2.0, "metric"), Claim()
        )
        until_under_way(sandbox)
        mortal.kill()

        assert asked.result(timeout=10).source == "live"


def until_under_way(sandbox: Sandbox) -> None:
    """Wait until a request has arrived."""
    deadline = time.monotonic() + 10
    while not sandbox.control.counts("openweather")["in_flight"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_redis_a_process_keeps_to_its_share(
    make: Make, mortal: EmbeddedValkey, sandbox: Sandbox
) -> None:
    """Ten a second over four processes is one in 0.4 seconds for each."""
    pipeline = make(rate=Rate(calls=10.0, burst=10), fleet=4, inline_wait=30.0)
    mortal.kill()
    started = time.monotonic()

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda n: weather(pipeline, latitude=float(n)), range(4)))

    assert answers == ["live"] * 4
    assert time.monotonic() - started >= 1.2
    assert arrived(sandbox) == 4


def test_a_turn_that_is_far_away_is_not_waited_for_in_the_slot(
    make: Make, mortal: EmbeddedValkey, sandbox: Sandbox
) -> None:
    """The call waits where all wait that cannot be made."""
    pipeline = make(rate=Rate(calls=0.01), fleet=4, inline_wait=0.5)
    mortal.kill()
    started = time.monotonic()

    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda n: _tried(pipeline, n), range(6)))

    assert sorted(answers) == ["live", *["stays closed"] * 5]
    assert time.monotonic() - started < 60  # and the next turn is in 400
    assert arrived(sandbox) == 1


def _tried(pipeline: Pipeline, n: int) -> str:
    try:
        return weather(pipeline, latitude=float(n))
    except StateUnavailable:
        return "stays closed"


def test_a_redis_that_says_nothing_is_away_too(sandbox: Sandbox, state: Redis) -> None:
    """It takes the connection, and that is all; the call leaves once that is clear."""
    provider = replace(PROVIDER, base_url=sandbox.base_url("openweather"), caching=None)
    with Hole() as hole, connect(hole.url, timeout=0.2) as silent:
        settings = ProviderSettings(api_key=TOKEN)
        gateway = open_gateway(provider, settings, silent, silent, None, Cache(state), fleet=1)
        pipeline = Pipeline(lambda _: gateway, inline_wait=0.5, watcher=Watcher(Metrics()))

        assert weather(pipeline) == "live"


def test_a_redis_that_is_full_is_away_too(make: Make, redis: Redis, sandbox: Sandbox) -> None:
    """It answers, and cannot count: a provider that fails open is asked, and no other is."""
    redis.config_set("maxmemory", "1")

    assert weather(make()) == "live"
    with pytest.raises(StateUnavailable):
        weather(make(fails_open=False))
    assert arrived(sandbox) == 1


def test_what_is_known_is_told_without_a_turn(make: Make, mortal: EmbeddedValkey, sandbox: Sandbox) -> None:
    """The cache is asked first, as ever."""
    pipeline = make(caching=PROVIDER.caching, rate=Rate(calls=1.0), fleet=60)
    first = weather(pipeline)
    mortal.kill()

    again = [weather(pipeline) for _ in range(5)]

    assert (first, set(again)) == ("live", {"cache"})
    assert arrived(sandbox) == 1


def test_a_failure_without_redis_is_a_failure_like_any_other(
    make: Make, mortal: EmbeddedValkey, sandbox: Sandbox
) -> None:
    """Nobody counts it, and it is told to whoever asked."""
    pipeline = make()
    mortal.kill()
    sandbox.control.fault("openweather", status=503, times=1)
    with pytest.raises(ProviderUnavailable):
        weather(pipeline)
    sandbox.control.fault("openweather", status=401, times=1)
    with pytest.raises(CredentialsRefused):
        weather(pipeline)

    assert weather(pipeline) == "live"


def test_once_redis_is_back_calls_are_counted_again(make: Make, mortal: EmbeddedValkey, redis: Redis) -> None:
    """By the same worker, without a word from anybody."""
    pipeline = make()
    weather(pipeline)
    before = used(redis)
    mortal.kill()
    weather(pipeline)
    mortal.start()
    deadline = time.monotonic() + 10

    while used(redis) <= before:
        weather(pipeline)
        assert time.monotonic() < deadline


def used(redis: Redis) -> int:
    """Calls that the day's quota has been charged with."""
    (limits,) = keys("openweather").limits_of([TOKEN])
    return int(redis.hget(limits, "quota_used") or 0)
