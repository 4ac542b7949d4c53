"""The way of a call, with a real gate, a real cache and a provider behind a socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from tests.sandbox import Sandbox
from worker.breaker import BreakerOpen
from worker.cache.cache import Cache
from worker.claim import Claim
from worker.errors import (
    BucketEmpty,
    CallDeferred,
    CallInDoubt,
    DuplicateDelivery,
    ProviderCooling,
    ProviderThrottled,
    ProviderUnavailable,
    RequestInvalid,
    StateUnavailable,
)
from worker.gateway import Gateway, open_gateway
from worker.keys import keys
from worker.metrics.metrics import Metrics
from worker.operation import Progress, Steps
from worker.performing import Performance
from worker.pipeline import Pipeline
from worker.provider import Breaker, Caching, Provider, Rate
from worker.record import Records
from worker.request import Answer, Request
from worker.stores import connect
from worker.watcher import Watcher

PERMITS = Request(path="/resource/ipu4-2q9a.json", params={"$limit": "3", "$order": ":id"})
CACHED = Caching(memory=0.0, redis=60.0, stale_if_error=600.0)

MakePipeline = Callable[..., Pipeline]


@pytest.fixture
def make(state: Redis, sandbox: Sandbox) -> MakePipeline:
    """Builds a worker's pipeline for one provider; each call of it is another worker."""

    def pipeline(*, inline_wait: float = 0.5, client: Redis = state, **declared: Any) -> Pipeline:
        provider = Provider(
            name="nyc_open_data", **{"base_url": sandbox.base_url("nyc_open_data"), **declared}
        )
        gateway = open_gateway(provider, None, client, client, None, Cache(client))
        return Pipeline(lambda _: gateway, inline_wait=inline_wait, watcher=Watcher(Metrics()))

    return pipeline


def ask(pipeline: Pipeline, request: Request = PERMITS, claim: Claim | None = None) -> Answer:
    """One call and its report, as a task that ends after it."""
    claim = claim or Claim()
    try:
        return pipeline.call(gateway_of(pipeline), request, claim)
    finally:
        pipeline.tell(claim)


def gateway_of(pipeline: Pipeline) -> Gateway:
    """The only gateway of these tests."""
    return pipeline.gateway("nyc_open_data")


def arrived(sandbox: Sandbox) -> int:
    """How many requests reached the provider."""
    count: int = sandbox.control.counts("nyc_open_data")["count"]
    return count


def test_a_second_question_is_answered_from_the_cache(make: MakePipeline, sandbox: Sandbox) -> None:
    """Whichever worker asks it."""
    first = ask(make(caching=CACHED))
    second = ask(make(caching=CACHED))

    assert (first.source, second.source) == ("live", "cache")
    assert second.data == first.data
    assert arrived(sandbox) == 1


def test_a_fresh_answer_is_one_given_since_the_call_was_enqueued(
    make: MakePipeline, sandbox: Sandbox
) -> None:
    """So that a task that comes back after a wait does not ask everything again."""
    pipeline, wanted = make(caching=CACHED), replace(PERMITS, fresh=True)
    before = time.time()
    ask(pipeline)

    asked_before = ask(pipeline, wanted, Claim(created_at=before))
    asked_now = ask(pipeline, wanted, Claim(created_at=time.time() + 1))

    assert (asked_before.source, asked_now.source) == ("cache", "live")
    assert arrived(sandbox) == 2


def test_a_provider_that_fails_is_answered_for_by_the_last_answer(
    make: MakePipeline, sandbox: Sandbox
) -> None:
    """Marked as stale, with its age; who wants it fresh hears the failure."""
    pipeline = make(caching=Caching(memory=0.0, redis=0.05, stale_if_error=600.0))
    ask(pipeline)
    wait_until(lambda: not entry_of(pipeline).fresh)
    sandbox.control.fault("nyc_open_data", status=500)

    stale = ask(pipeline)

    assert stale.source == "stale"
    assert stale.age > 0.0
    with pytest.raises(ProviderUnavailable):
        ask(pipeline, replace(PERMITS, fresh=True))


def test_an_open_breaker_is_answered_for_by_the_last_answer(make: MakePipeline, sandbox: Sandbox) -> None:
    """And nothing reaches the provider."""
    pipeline = make(caching=Caching(memory=0.0, redis=0.05, stale_if_error=600.0))
    ask(pipeline)
    wait_until(lambda: not entry_of(pipeline).fresh)
    gateway_of(pipeline).breaker.open()

    assert ask(pipeline).source == "stale"
    assert arrived(sandbox) == 1


def test_an_old_answer_that_is_still_true_is_not_sent_again(make: MakePipeline, sandbox: Sandbox) -> None:
    """The provider's 304 makes it fresh."""
    pipeline = make(caching=Caching(memory=0.0, redis=0.05, stale_if_error=600.0))
    first = ask(pipeline)
    wait_until(lambda: not entry_of(pipeline).fresh)
    given = entry_of(pipeline).stored_at

    again = ask(pipeline)

    assert again.source == "live"
    assert again.data == first.data
    assert sandbox.control.counts("nyc_open_data")["statuses"] == {"200": 1, "304": 1}
    assert entry_of(pipeline).stored_at > given


def test_identical_questions_in_flight_share_one_call(make: MakePipeline, sandbox: Sandbox) -> None:
    """Over the whole fleet: forty askers in two workers, one request."""
    workers = [make(caching=CACHED, inline_wait=10.0) for _ in range(2)]
    sandbox.control.fault("nyc_open_data", latency_ms=200)

    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda n: ask(workers[n % 2]), range(40)))

    assert arrived(sandbox) == 1
    assert len({str(answer.data) for answer in answers}) == 1


def test_a_short_wait_is_waited_out_in_the_slot(make: MakePipeline) -> None:
    """Nothing is deferred that comes back within the inline wait."""
    pipeline = make(rate=Rate(calls=50, burst=1), inline_wait=0.5)

    answers = [ask(pipeline, replace(PERMITS, params={"$limit": str(n)})) for n in range(1, 5)]

    assert [answer.status for answer in answers] == [200] * 4


def test_a_long_wait_leaves_the_slot_with_its_reason(make: MakePipeline, sandbox: Sandbox) -> None:
    """And an honest time."""
    pipeline = make(rate=Rate(calls=1, per=60, burst=1), inline_wait=0.1)
    ask(pipeline)

    with pytest.raises(BucketEmpty) as held:
        ask(pipeline)

    assert held.value.passing is False  # it has no task that would wait
    assert 59.0 < held.value.wait <= 60.0
    assert arrived(sandbox) == 1


def test_one_workers_429_holds_the_whole_fleet(make: MakePipeline, sandbox: Sandbox) -> None:
    """Until the time that the provider names."""
    one, other = make(), make()
    sandbox.control.fault("nyc_open_data", mode="throttle", retry_after="30", times=1)
    with pytest.raises(ProviderThrottled):
        ask(one)

    with pytest.raises(ProviderCooling) as held:
        ask(other)

    assert 29.0 < held.value.wait <= 30.0
    assert arrived(sandbox) == 1


def test_five_failures_open_the_breaker_for_everybody(make: MakePipeline, sandbox: Sandbox) -> None:
    """Two workers, one count."""
    workers = [make(), make()]
    sandbox.control.fault("nyc_open_data", status=500)
    for n in range(5):
        with pytest.raises(ProviderUnavailable):
            ask(workers[n % 2])

    with pytest.raises(BreakerOpen):
        ask(workers[1])

    assert arrived(sandbox) == 5
    assert [gateway_of(worker).breaker.current_state for worker in workers] == ["open", "open"]


def test_a_rejection_is_proof_of_life(make: MakePipeline, sandbox: Sandbox) -> None:
    """Bad questions do not open the breaker."""
    pipeline = make(breaker=Breaker(failures=1))
    for _ in range(3):
        with pytest.raises(RequestInvalid):
            ask(pipeline, replace(PERMITS, params={"nonsense": "1"}))

    assert gateway_of(pipeline).breaker.current_state == "closed"
    assert arrived(sandbox) == 3


def test_no_call_leaves_while_redis_is_away(make: MakePipeline, sandbox: Sandbox) -> None:
    """An unmetered call can get a key banned; a late one only waits."""
    nowhere = connect("redis://127.0.0.1:1/0", connect_timeout=0.2)

    pipeline = make(client=nowhere)

    with pytest.raises(StateUnavailable):
        pipeline.call(gateway_of(pipeline), PERMITS, Claim())

    assert arrived(sandbox) == 0


def test_a_second_copy_of_a_task_makes_no_call(make: MakePipeline, state: Redis, sandbox: Sandbox) -> None:
    """The record's claim stands before the provider."""
    Records(state, state, "nyc_open_data").write("t1", "[]")
    pipeline = make()
    pipeline.call(gateway_of(pipeline), PERMITS, Claim(home="nyc_open_data", task_id="t1", recorded=True))

    with pytest.raises(DuplicateDelivery):
        ask(pipeline, claim=Claim(home="nyc_open_data", task_id="t1", recorded=True))

    assert arrived(sandbox) == 1


def test_a_call_is_over_for_the_gate_when_its_task_says_so(make: MakePipeline, state: Redis) -> None:
    """The outcome rides on what the task says to Redis next; nothing is left behind."""
    pipeline, claim = make(), Claim()
    pipeline.call(gateway_of(pipeline), PERMITS, claim)
    in_flight = state.zcard(keys("nyc_open_data").leases)

    pipeline.tell(claim)

    assert in_flight == 1
    assert state.zcard(keys("nyc_open_data").leases) == 0


def test_an_operation_hears_errors_where_it_asked(make: MakePipeline, sandbox: Sandbox) -> None:
    """And may go on without that answer."""
    sandbox.control.fault("nyc_open_data", status=500, only="wvxf-dwi5")
    seen: list[Progress] = []

    def steps() -> Steps[list[str]]:
        heard = []
        for dataset in ("wvxf-dwi5", "ipu4-2q9a"):
            try:
                answer = yield Request(path=f"/resource/{dataset}.json")
                heard.append(answer.source)
            except ProviderUnavailable as why:
                heard.append(why.code)
            yield Progress(done=len(heard), total=2)
        return heard

    result = Performance(make(), "nyc_open_data", "both", Claim(), seen.append).of(steps())

    assert result == ["upstream_error", "live"]
    assert [progress.done for progress in seen] == [1, 2]


def test_twenty_calls_through_one_breaker_are_in_flight_together(
    make: MakePipeline, sandbox: Sandbox
) -> None:
    """Pybreaker's own call holds a lock for the whole call; ours holds none."""
    breaker = gateway_of(make()).breaker
    together = threading.Barrier(20, timeout=10)

    with ThreadPoolExecutor(20) as pool:
        passed = list(pool.map(lambda _: breaker.call(together.wait), range(20)))

    assert sorted(passed) == list(range(20))
    assert arrived(sandbox) == 0


def test_a_denied_call_is_an_error_of_the_deferred_branch(make: MakePipeline) -> None:
    """Callers catch pybreaker's error or ours; it is both."""
    breaker = gateway_of(make()).breaker
    breaker.open()

    with pytest.raises(CallDeferred) as held:
        breaker.call(lambda: None)

    assert isinstance(held.value, BreakerOpen)


def entry_of(pipeline: Pipeline) -> Any:
    """What is kept of the permits."""
    entry = gateway_of(pipeline).recall(PERMITS)
    assert entry is not None
    return entry


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Return when *condition* holds; fail after *seconds*."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


def test_a_post_that_may_have_arrived_is_in_doubt(make: MakePipeline, sandbox: Sandbox) -> None:
    """It is neither a failure to be tried again nor an answer."""
    sandbox.control.fault("nyc_open_data", mode="reset")
    pipeline = make()

    with pytest.raises(CallInDoubt):
        ask(pipeline, Request(path="/x", method="POST", data={}))
    with pytest.raises(ProviderUnavailable):
        ask(pipeline, Request(path="/x", method="POST", data={}, pure=True))


def test_a_post_that_never_left_is_a_plain_failure(make: MakePipeline) -> None:
    """Nobody was there to hear it."""
    pipeline = make(base_url="http://127.0.0.1:1")

    with pytest.raises(ProviderUnavailable):
        ask(pipeline, Request(path="/x", method="POST", data={}))


def test_a_throttled_post_was_not_acted_on(make: MakePipeline, sandbox: Sandbox) -> None:
    """429 says that nobody looked at it."""
    sandbox.control.fault("nyc_open_data", mode="throttle", retry_after="1")

    with pytest.raises(ProviderThrottled):
        ask(make(), Request(path="/x", method="POST", data={}))
