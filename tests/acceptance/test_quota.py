"""The day's calls are spent: two workers wait for the provider's next day, or give up at once."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from tests.acceptance.limited import BRISK, HASTY, SAVER, ask
from tests.acceptance.scripted import arrivals, cleared
from tests.fleet import Fleet, Ground, until
from worker.errors import QuotaSpent, RateLimitError
from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.provider import Provider

pytestmark = pytest.mark.usefixtures("fleet")


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers."""
    with Fleet(clean, workers=2, concurrency=8) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def _fresh(clean: Ground) -> None:
    """A new day."""
    cleared(clean, SAVER, HASTY, BRISK)


def test_calls_beyond_the_quota_wait_for_the_next_day(fleet: Fleet, clean: Ground) -> None:
    """They wait in Redis, whoever asks is told for what, and the new day begins with them."""
    calls = [ask["saver"].delay(number) for number in range(9)]
    until(lambda: _told(calls) == ["parked · saver quota"] * 4, told=lambda: _told(calls))
    ends = _day_ends_in(1.5, clean, SAVER)
    left = fleet.gauge("quota_remaining", provider="saver")
    _all_done(calls)

    before = [at for at in arrivals(clean, SAVER) if at < ends]
    assert [call.result for call in calls] == list(range(9))
    assert left == 0
    assert len(before) == 5
    assert len(arrivals(clean, SAVER)) == 9
    assert not _letters(clean, SAVER)


def test_calls_beyond_the_quota_are_given_up_at_once_where_that_is_declared(clean: Ground) -> None:
    """For callers to whom tomorrow's answer is worth nothing; a replay may still make them."""
    calls = [ask["hasty"].delay(number) for number in range(9)]
    until(lambda: all(call.ready() for call in calls), told=lambda: [call.state for call in calls])

    letters = _letters(clean, HASTY)
    assert sorted(call.state for call in calls) == ["FAILURE"] * 4 + ["SUCCESS"] * 5
    assert {(letter["code"], letter["attempts"], letter["retryable"]) for letter in letters} == {
        ("quota_spent", 0, True)
    }
    assert {letter["id"] for letter in letters} == {call.id for call in calls if call.failed()}
    assert len(arrivals(clean, HASTY)) == 5


def test_calls_that_stood_in_line_when_the_quota_was_spent_are_given_up_too(clean: Ground) -> None:
    """They do not lie there until tomorrow."""
    calls = [ask["brisk"].delay(number) for number in range(12)]
    until(lambda: all(call.ready() for call in calls), told=lambda: [call.state for call in calls])

    assert {letter["code"] for letter in _letters(clean, BRISK)} == {"quota_spent"}
    assert len(arrivals(clean, BRISK)) == 5


def test_a_direct_call_hears_that_the_quota_is_spent(clean: Ground) -> None:
    """Whether or not a task would wait for it."""
    for number in range(5):
        ask["saver"](number)

    with pytest.raises(RateLimitError) as held:
        ask["saver"](5)

    assert isinstance(held.value, QuotaSpent)
    assert held.value.code == "quota_spent"
    assert 0.0 < held.value.wait <= 25 * 3600
    assert len(arrivals(clean, SAVER)) == 5


def _day_ends_in(seconds: float, ground: Ground, provider: Provider) -> float:
    """Have the provider's present day end so soon; the moment, of the monotonic clock."""
    with ground.client() as state:
        now, micros = state.time()
        ends = now * 1000 + micros // 1000 + round(seconds * 1000)
        state.hset(keys(provider.name).limits, "quota_until", ends)
    return time.monotonic() + seconds


def _told(calls: list[AsyncResult[int]]) -> list[str]:
    """What whoever asks is told of the calls that wait, without place and time."""
    waiting = [call for call in calls if not call.ready()]
    return [" · ".join(str(call.info).split(" · ")[:2]) for call in waiting]


def _letters(ground: Ground, provider: Provider) -> list[dict[str, object]]:
    with ground.client() as state:
        return list(DeadLetters(state, provider.name))


def _all_done(calls: list[AsyncResult[int]]) -> None:
    """Return when every call has succeeded."""
    until(lambda: all(call.ready() for call in calls), 20.0, told=lambda: [call.state for call in calls])
    assert {call.state for call in calls} == {"SUCCESS"}
