"""What a provider says of its limits, on the way of a call: real gate, real sockets, several keys."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis

from config.settings import ProviderSettings
from tests.integration.conftest import HeldClock
from tests.sandbox import TOKEN, Sandbox
from worker.cache.cache import Cache
from worker.claim import Claim
from worker.errors import (
    BucketEmpty,
    CredentialsAside,
    CredentialsRefused,
    ProviderCooling,
    ProviderThrottled,
    ProviderUnavailable,
    ThrottledTooLong,
)
from worker.gate import Gate
from worker.gateway import open_gateway
from worker.metrics.metrics import Metrics
from worker.pipeline import Pipeline
from worker.provider import Auth, Breaker, Provider, Rate
from worker.record import Records
from worker.request import Answer, Request
from worker.watcher import Watcher

NAME = "nyc_open_data"
PERMITS = Request(path="/resource/ipu4-2q9a.json", params={"$limit": "3", "$order": ":id"})
APP_TOKEN = Auth(header="X-App-Token")
SELDOM = Rate(calls=1, per=3600, burst=10)

Make = Callable[..., Pipeline]


@pytest.fixture
def make(state: Redis, sandbox: Sandbox) -> Make:
    """Builds a worker's pipeline for one provider, with a pool of keys if need be."""

    def pipeline(*, pool: tuple[str, ...] = (), **declared: Any) -> Pipeline:
        provider = Provider(name=NAME, base_url=sandbox.base_url(NAME), **declared)
        chosen = ProviderSettings(api_keys=tuple(SecretStr(key) for key in pool))
        gateway = open_gateway(provider, chosen, state, state, None, Cache(state))
        return Pipeline(lambda _: gateway, inline_wait=0.2, watcher=Watcher(Metrics()))

    return pipeline


def ask(pipeline: Pipeline, claim: Claim | None = None) -> Answer:
    """One call and its report, as a task that ends after it."""
    claim = claim or Claim()
    try:
        return pipeline.call(pipeline.gateway(NAME), PERMITS, claim)
    finally:
        pipeline.tell(claim)


def arrived(sandbox: Sandbox) -> int:
    """How many requests reached the provider."""
    count: int = sandbox.control.counts(NAME)["count"]
    return count


def says(sandbox: Sandbox, **headers: str) -> None:
    """Have the provider answer well, with these headers; each name has dashes for its underscores."""
    dashed = {name.replace("_", "-"): value for name, value in headers.items()}
    sandbox.control.fault(NAME, mode="headed", headers=dashed)


@pytest.mark.parametrize("family", ["X-RateLimit", "X-Rate-Limit", "RateLimit"])
def test_an_answer_that_says_nothing_is_left_holds_the_others_until_the_reset(
    make: Make, sandbox: Sandbox, family: str
) -> None:
    """However the provider spells it, and before anybody has to be refused."""
    one, other = make(), make()
    says(sandbox, **{f"{family}-Remaining": "0", f"{family}-Reset": "30"})
    ask(one)

    with pytest.raises(ProviderCooling) as held:
        ask(other)

    assert 29.0 < held.value.wait <= 30.0
    assert arrived(sandbox) == 1


def test_a_reset_is_read_by_the_providers_own_clock(make: Make, sandbox: Sandbox) -> None:
    """Its answer dates from 2001, and the reset is twenty seconds later."""
    says(
        sandbox,
        Date="Sun, 09 Sep 2001 01:46:40 GMT",
        X_RateLimit_Remaining="0",
        X_RateLimit_Reset="1000000020",
    )
    pipeline = make()
    ask(pipeline)

    with pytest.raises(ProviderCooling) as held:
        ask(pipeline)

    assert 19.0 < held.value.wait <= 20.0


def test_a_reset_is_not_believed_for_ever(make: Make, sandbox: Sandbox) -> None:
    """This one is in the year 5138."""
    says(sandbox, X_RateLimit_Remaining="0", X_RateLimit_Reset="99999999999")
    pipeline = make(max_cooldown=60.0)
    ask(pipeline)

    with pytest.raises(ProviderCooling) as held:
        ask(pipeline)

    assert 59.0 < held.value.wait <= 60.0


def test_the_bucket_never_holds_more_than_the_provider_says_is_left(make: Make, sandbox: Sandbox) -> None:
    """It held nine."""
    pipeline = make(rate=SELDOM)
    says(sandbox, X_RateLimit_Remaining="2", X_RateLimit_Reset="3000")
    ask(pipeline)
    sandbox.control.clear(NAME)
    ask(pipeline)
    ask(pipeline)

    with pytest.raises(BucketEmpty):
        ask(pipeline)

    assert arrived(sandbox) == 3


def test_more_left_than_the_bucket_holds_does_not_fill_it(make: Make, sandbox: Sandbox) -> None:
    """Headers correct it downwards only: our rate may be our own politeness."""
    pipeline = make(rate=Rate(calls=1, per=3600))
    says(sandbox, X_RateLimit_Remaining="900", X_RateLimit_Reset="3000")
    ask(pipeline)

    with pytest.raises(BucketEmpty):
        ask(pipeline)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"Retry-After": "0"}, 1.0), ({"X-RateLimit-Reset": "1000000000"}, 1.0), ({}, 4.0)],
)
def test_a_throttled_answer_always_pauses_the_fleet(
    make: Make, sandbox: Sandbox, headers: dict[str, str], wait: float
) -> None:
    """For a second at least; for the declared pause when it names none."""
    pipeline = make(cooldown=4.0)
    sandbox.control.fault(NAME, status=429, headers=headers)
    with pytest.raises(ProviderThrottled) as refused:
        ask(pipeline)

    with pytest.raises(ProviderCooling) as held:
        ask(pipeline)

    assert refused.value.retry_after == wait
    assert wait - 0.5 < held.value.wait <= wait


def test_a_pause_longer_than_the_longest_is_an_error_of_its_own(make: Make, sandbox: Sandbox) -> None:
    """The fleet pauses for the longest, all the same."""
    sandbox.control.fault(NAME, status=429, retry_after="86400")
    pipeline = make(max_cooldown=60.0)

    with pytest.raises(ThrottledTooLong, match="held back for 86400 s"):
        ask(pipeline)
    with pytest.raises(ProviderCooling) as held:
        ask(pipeline)

    assert held.value.wait <= 60.0


def test_a_failure_that_names_a_day_is_tried_again_within_the_longest_pause(
    make: Make, state: Redis, sandbox: Sandbox
) -> None:
    """A 503's Retry-After holds its own call only, and would keep it out of sight until tomorrow."""
    Records(state, state, NAME).write("t1", "[]")
    claim = Claim(home=NAME, task_id="t1", recorded=True)
    sandbox.control.fault(NAME, status=503, retry_after="86400")

    with pytest.raises(ProviderUnavailable):
        ask(make(max_cooldown=60.0), claim)

    assert claim.retry_in is not None
    assert claim.retry_in <= 60.0


def test_a_forbidden_key_is_set_aside_and_the_other_asked_at_once(make: Make, sandbox: Sandbox) -> None:
    """The breaker hears of no failure, the call of no attempt, the next call of no refusal."""
    pipeline, claim = make(pool=("bad", TOKEN), auth=APP_TOKEN, breaker=Breaker(failures=1)), Claim()

    first = ask(pipeline, claim)
    second = ask(pipeline)

    statuses = [entry["status"] for entry in sandbox.control.journal(NAME)]
    assert (first.status, second.status, claim.attempt) == (200, 200, 0)
    assert statuses == [403, 200, 200]
    assert pipeline.gateway(NAME).breaker.current_state == "closed"


def test_a_single_key_is_never_set_aside(make: Make, sandbox: Sandbox) -> None:
    """There is no other: each call hears the refusal itself."""
    pipeline = make(pool=("bad",), auth=APP_TOKEN)
    for _ in range(2):
        with pytest.raises(CredentialsRefused):
            ask(pipeline)

    assert arrived(sandbox) == 2


def test_when_all_keys_are_refused_a_direct_call_hears_that_and_the_next_that_they_are_aside(
    make: Make, sandbox: Sandbox
) -> None:
    """Nobody is asked in between."""
    pipeline = make(pool=("bad", "worse"), auth=APP_TOKEN)
    sandbox.control.fault(NAME, status=401)

    with pytest.raises(CredentialsRefused) as refused:
        ask(pipeline)
    with pytest.raises(CredentialsAside) as held:
        ask(pipeline)

    assert refused.value.status == 401
    assert 899.0 < held.value.wait <= 900.0
    assert arrived(sandbox) == 2


def test_a_key_whose_time_aside_is_over_is_tried_by_one_call(state: Redis, clock: HeldClock) -> None:
    """Refused again, it is set aside again; the others never notice."""
    provider = Provider(name="acme", base_url="http://127.0.0.1", breaker=Breaker(failures=None))
    gate = Gate(state, provider, credentials=("a", "b"), now=clock)
    used = []
    for _ in range(4):
        decision, report = gate.begin(Claim())
        assert decision.word == "admit"
        used.append(report.credential)
        if report.credential == 0:
            report.outcome, report.pause = "refused", 900.0
        gate.finish(report, Claim())
        clock.ms += 450_000

    assert used == [0, 1, 0, 1]


def test_throttling_that_comes_back_halves_the_rate_and_answers_restore_it(
    state: Redis, clock: HeldClock
) -> None:
    """A twentieth of the declared rate in each second: after a halving ten seconds of answers."""
    provider = Provider(
        name="acme", base_url="http://127.0.0.1", rate=Rate(calls=10), breaker=Breaker(failures=None)
    )
    gate = Gate(state, provider, now=clock)
    for _ in range(2):
        _end(gate, "throttled", pause=1.0)
        clock.ms += 2000
    halved = _calls_in(gate, clock, seconds=1.0)

    moments = list[float]()
    for _ in range(12):
        clock.ms += 1000
        _end(gate, "success")
        moments.append(_factor(state, gate))
    restored = _calls_in(gate, clock, seconds=1.0)

    assert (halved, restored) == (5, 10)
    assert all(later > earlier for earlier, later in pairwise(moments[:10]))
    assert moments[-1] == 1.0


def test_throttling_once_in_a_while_leaves_the_rate_alone(state: Redis, clock: HeldClock) -> None:
    """Six minutes lie between: each is an event of its own."""
    provider = Provider(
        name="acme", base_url="http://127.0.0.1", rate=Rate(calls=10), breaker=Breaker(failures=None)
    )
    gate = Gate(state, provider, now=clock)
    for _ in range(3):
        _end(gate, "throttled", pause=1.0)
        clock.ms += 360_000

    assert _factor(state, gate) == 1.0


def _end(gate: Gate, outcome: Any, pause: float = 0.0) -> None:
    """One admitted call that ended so."""
    decision, report = gate.begin(Claim())
    assert decision.word == "admit"
    report.outcome, report.pause = outcome, pause
    gate.finish(report, Claim())


def _calls_in(gate: Gate, clock: HeldClock, *, seconds: float) -> int:
    """How many calls are let out in so long, from an empty bucket on; nothing is learnt of them."""
    while gate.begin(Claim())[0].word == "admit":
        pass
    admitted = 0
    for _ in range(math.ceil(seconds * 50)):
        clock.ms += 20
        decision, report = gate.begin(Claim())
        if decision.word == "admit":
            admitted += 1
            gate.finish(report, Claim())
    return admitted


def _factor(state: Redis, gate: Gate) -> float:
    return float(state.hget(gate.limits[0], "factor") or 1.0)
