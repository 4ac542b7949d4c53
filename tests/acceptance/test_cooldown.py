"""A provider says "too often" to one worker, and two leave it alone until the moment that it names."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from itertools import pairwise

import pytest
from celery.result import AsyncResult

from tests.acceptance.limited import HARBOR, PROVIDERS, STERN, STOIC, WEIR, ask
from tests.acceptance.scripted import arrivals, cleared, crowd, saying, too_many
from tests.fleet import Fleet, Ground, until
from tests.sandbox import Reply, Request, json_reply
from worker.errors import ProviderCooling, ProviderThrottled, RateLimitError
from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.provider import Provider

pytestmark = pytest.mark.usefixtures("fleet")

SET_OUT = 0.8
"""Seconds for which calls may still arrive that were let out before the provider spoke: they wait for their
moment in a slot."""

LATE = 2.0
"""Seconds by which a busy machine may be late to look."""

JOSTLED = 8
"""Calls by which a busy machine may bunch those that left in time; a herd would be all thirty."""

Plea = Callable[[], tuple[Reply, float]]
"""Makes a refusal, and the seconds that it asks for."""


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers."""
    with Fleet(clean, workers=2, concurrency=8) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def _fresh(clean: Ground) -> None:
    """Nobody remembers a throttling of the test before."""
    cleared(clean, *PROVIDERS)


def in_seconds() -> tuple[Reply, float]:
    """``Retry-After: 2``."""
    return too_many(**{"Retry-After": "2"}), 2.0


def as_a_date() -> tuple[Reply, float]:
    """``Retry-After: Sat, 21 Nov 2026 09:00:00 GMT``, which says whole seconds only."""
    now = time.time()
    return too_many(**{"Retry-After": formatdate(now + 3, usegmt=True)}), int(now + 3) - now


def as_an_epoch() -> tuple[Reply, float]:
    """``X-RateLimit-Reset: 1795250400``."""
    now = time.time()
    return too_many(**{"X-RateLimit-Reset": f"{now + 3:.0f}"}), round(now + 3) - now


def in_silence() -> tuple[Reply, float]:
    """A 429 and nothing else: the pause is the provider's declared one."""
    return too_many(), HARBOR.cooldown


def in_a_200() -> tuple[Reply, float]:
    """All is well by the status; the provider's own rule knows better."""
    return json_reply({"error": 29}), HARBOR.cooldown


class Interruption:
    """The script of a provider that refuses its third request.

    Attributes:
        at: When it did, seconds of the monotonic clock; 0.0 not yet.
        ends: The moment that it named.
    """

    def __init__(self, plea: Plea) -> None:
        self._plea, self._heard = plea, 0
        self.at = self.ends = 0.0

    def __call__(self, _: Request) -> Reply | None:
        self._heard += 1
        if self._heard != 3:
            return None
        reply, seconds = self._plea()
        self.at = time.monotonic()
        self.ends = self.at + seconds
        return reply


@pytest.mark.parametrize("plea", [in_seconds, as_a_date, as_an_epoch, in_silence, in_a_200])
def test_what_one_worker_hears_holds_the_fleet_until_then_and_no_herd_follows(
    clean: Ground, plea: Plea
) -> None:
    """However the provider says it; the call that it refused has used no attempt, of which there is one."""
    script = Interruption(plea)

    with saying(HARBOR, script):
        calls = [ask["harbor"].delay(number) for number in range(30)]
        _all_done(calls)

    arrived = arrivals(clean, HARBOR)
    after = [at for at in arrived if at >= script.ends]
    assert [call.result for call in calls] == list(range(30))
    assert not [at for at in arrived if script.at + SET_OUT < at < script.ends - 0.05]
    assert after[0] < script.ends + LATE
    assert crowd(after, rate=20.0, burst=2) <= JOSTLED
    assert len(arrived) == 31
    assert not _letters(clean, HARBOR)


def test_both_workers_are_held(fleet: Fleet) -> None:
    """Each has calls before and after the pause, and each says what held them."""
    before = fleet.metrics("adapter_calls_total", provider="harbor", status="success")
    script = Interruption(in_seconds)
    with saying(HARBOR, script):
        _all_done([ask["harbor"].delay(number) for number in range(40)])

    made = fleet.metrics("adapter_calls_total", provider="harbor", status="success")
    assert all(after > earlier for after, earlier in zip(made, before, strict=True))
    assert sum(fleet.metrics("adapter_calls_total", provider="harbor", status="rate_limited")) >= 1


def test_a_call_that_is_throttled_again_and_again_has_used_no_attempt(clean: Ground) -> None:
    """It has only one. Meanwhile whoever looks is told what it waits for."""
    refusals = iter(range(3))

    with saying(HARBOR, lambda _: next((too_many(**{"Retry-After": "1"}) for _ in refusals), None)):
        call = ask["harbor"].delay(7)
        until(lambda: "harbor cooldown" in str(call.info), told=lambda: call.info)
        state = call.state
        _all_done([call])

    arrived = arrivals(clean, HARBOR)
    assert call.result == 7
    assert state == "RETRY"
    assert len(arrived) == 4
    assert min(later - earlier for earlier, later in pairwise(arrived)) >= 0.95
    assert not _letters(clean, HARBOR)


def test_a_record_that_waits_says_that_the_provider_cools(clean: Ground) -> None:
    """The refused one and those behind it."""
    with saying(HARBOR, Interruption(in_seconds)), clean.client() as state:
        calls = [ask["harbor"].delay(number) for number in range(12)]
        at = keys("harbor")
        until(lambda: state.hget(at.limits, "cooldown_until"))

        def reasons() -> set[bytes]:
            parked = state.zrange(at.parked, 0, -1)
            return {state.hget(at.call(task_id.decode()), "reason") or b"" for task_id in parked}

        until(lambda: b"cooldown" in reasons(), told=reasons)
        _all_done(calls)


def test_a_pause_is_capped_and_a_patient_call_waits_on(clean: Ground) -> None:
    """For a provider that declares so, however long it asks for and however often."""
    refusals = iter(range(3))

    with saying(STOIC, lambda _: next((too_many(**{"Retry-After": "86400"}) for _ in refusals), None)):
        call = ask["stoic"].delay(1)
        _all_done([call])

    arrived = arrivals(clean, STOIC)
    gaps = [later - earlier for earlier, later in pairwise(arrived)]
    assert call.result == 1
    assert all(STOIC.max_cooldown <= gap + 0.05 < STOIC.max_cooldown + LATE for gap in gaps)


def test_a_pause_beyond_the_longest_gives_the_call_up_and_not_the_others(clean: Ground) -> None:
    """Its dead letter can be replayed; those that only waited are made after the longest pause."""
    script = Interruption(lambda: (too_many(**{"Retry-After": "600"}), STERN.max_cooldown))
    with saying(STERN, script):
        calls = [ask["stern"].delay(number) for number in range(10)]
        until(lambda: all(call.ready() for call in calls), 15.0)

    (letter,) = _letters(clean, STERN)
    states = sorted(call.state for call in calls)
    assert states == ["FAILURE", *["SUCCESS"] * 9]
    assert (letter["code"], letter["status"], letter["retryable"]) == ("throttled_too_long", 429, True)
    assert letter["attempts"] == 1
    assert not [at for at in arrivals(clean, STERN) if script.at + SET_OUT < at < script.ends - 0.05]


def test_pauses_that_are_too_long_in_sum_give_the_call_up_too(clean: Ground) -> None:
    """Each of them is short."""
    with saying(STERN, lambda _: too_many(**{"Retry-After": "1"})):
        call = ask["stern"].delay(1)
        until(call.ready, 15.0)

    (letter,) = _letters(clean, STERN)
    assert letter["code"] == "throttled_too_long"
    assert letter["id"] == call.id
    assert 2 <= len(arrivals(clean, STERN)) <= 3


def test_a_wait_of_nothing_is_not_taken_at_its_word(clean: Ground) -> None:
    """Or a provider without a rate would be asked as fast as the fleet can."""
    refusals = iter(range(3))

    with saying(WEIR, lambda _: next((too_many(**{"Retry-After": "0"}) for _ in refusals), None)):
        _all_done([ask["weir"].delay(1)])

    arrived = arrivals(clean, WEIR)
    assert len(arrived) == 4
    assert min(later - earlier for earlier, later in pairwise(arrived)) >= 0.95


def test_a_direct_call_hears_it_as_an_error_of_its_own(clean: Ground) -> None:
    """There is no record that could wait: the caller decides."""
    cleared(clean, HARBOR)
    with saying(HARBOR, lambda _: too_many(**{"Retry-After": "30"})):
        with pytest.raises(ProviderThrottled) as refused:
            ask["harbor"](1)
        with pytest.raises(RateLimitError) as held:
            ask["harbor"](1)

    assert refused.value.retry_after == 30.0
    assert isinstance(held.value, ProviderCooling)
    assert 29.0 < held.value.wait <= 30.0 + 1 / 20
    assert len(arrivals(clean, HARBOR)) == 1


def _all_done(calls: list[AsyncResult[int]]) -> None:
    """Return when every call has succeeded."""
    until(lambda: all(call.ready() for call in calls), 20.0, told=lambda: [call.state for call in calls])
    assert {call.state for call in calls} == {"SUCCESS"}


def _letters(ground: Ground, provider: Provider) -> list[dict[str, object]]:
    with ground.client() as state:
        return list(DeadLetters(state, provider.name))
