"""An outage fails many calls at once, and two workers do not multiply it by trying them all again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from tests.acceptance.limited import FLOOD, ask
from tests.acceptance.scripted import arrivals, cleared
from tests.fleet import Fleet, Ground, until
from worker.keys import keys
from worker.letters.deadletter import DeadLetters

pytestmark = pytest.mark.usefixtures("fleet")

CALLS = 60
AT = keys("flood")
SHARE, FLOOR = FLOOD.retry.budget or 0.0, FLOOD.retry.floor


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers."""
    with Fleet(clean, workers=2, concurrency=8) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def _fresh(clean: Ground) -> None:
    """The budget is whole."""
    cleared(clean, FLOOD)


def test_a_storm_of_failures_is_retried_within_the_budget_and_the_rest_is_done_later(
    fleet: Fleet, clean: Ground
) -> None:
    """There is no breaker here that would help. Nothing is lost, and nothing is given up."""
    clean.sandbox.control.fault("flood", status=500)

    calls = [ask["flood"].delay(number) for number in range(CALLS)]
    until(lambda: _settled(clean), 30.0, told=lambda: _lanes(clean))

    asked = len(arrivals(clean, FLOOD))
    retries = asked - CALLS
    assert FLOOR <= retries <= max(FLOOR, SHARE * asked)
    assert _lanes(clean)["slow"] == CALLS
    assert sum(fleet.metrics("deferrals_total", provider="flood", reason="retry_budget")) >= CALLS
    assert sum(fleet.metrics("retries_total", provider="flood")) <= retries
    assert {call.state for call in calls} == {"RETRY"}

    clean.sandbox.control.clear("flood")
    until(lambda: _done_in_time(clean, calls), 60.0, told=lambda: _lanes(clean))

    assert [call.result for call in calls] == list(range(CALLS))
    succeeded = [entry["path"] for entry in clean.sandbox.control.journal("flood") if entry["status"] == 200]
    assert sorted(succeeded) == sorted(f"/ask/{number}" for number in range(CALLS))
    with clean.client() as state:
        assert not list(DeadLetters(state, "flood"))


def test_those_that_wait_for_the_budget_are_let_out_within_it(clean: Ground) -> None:
    """A minute later there is room again, and no more than that many are tried while the outage lasts."""
    clean.sandbox.control.fault("flood", status=500)
    calls = [ask["flood"].delay(number) for number in range(CALLS)]
    until(lambda: _settled(clean), 30.0, told=lambda: _lanes(clean))
    before = len(arrivals(clean, FLOOD))

    _two_minutes_later(clean)
    until(lambda: len(arrivals(clean, FLOOD)) > before and _settled(clean), 30.0, told=lambda: _lanes(clean))

    asked = len(arrivals(clean, FLOOD)) - before
    assert asked <= max(FLOOR, SHARE * asked)
    clean.sandbox.control.clear("flood")
    until(lambda: _done_in_time(clean, calls), 60.0, told=lambda: _lanes(clean))


def test_a_provider_that_is_seldom_called_may_always_be_asked_again(fleet: Fleet, clean: Ground) -> None:
    """A share of few calls would be none: the floor is for them."""
    held_back = sum(fleet.metrics("deferrals_total", provider="flood", reason="retry_budget"))
    clean.sandbox.control.fault("flood", status=500, times=FLOOR)

    calls = [ask["flood"].delay(number) for number in range(2)]
    until(lambda: all(call.ready() for call in calls), 20.0, told=lambda: _lanes(clean))

    assert [call.result for call in calls] == [0, 1]
    assert len(arrivals(clean, FLOOD)) == FLOOR + 2
    assert sum(fleet.metrics("deferrals_total", provider="flood", reason="retry_budget")) == held_back


def _lanes(ground: Ground) -> dict[str, int]:
    """How many calls are in each state."""
    states = ("queued", "running", "waiting", "parked", "slow")
    with ground.client() as state, state.pipeline() as look:
        for name in states:
            look.zcard(getattr(AT, name))
        return dict(zip(states, look.execute(), strict=True))


def _settled(ground: Ground) -> bool:
    """Whether every call that has not ended waits for the budget."""
    lanes = _lanes(ground)
    return lanes.pop("slow") > 0 and not any(lanes.values())


def _two_minutes_later(ground: Ground) -> None:
    """Have all that was counted be two minutes old."""
    with ground.client() as state:
        state.delete(AT.budget)


def _done_in_time(ground: Ground, calls: list[AsyncResult[int]]) -> bool:
    """Whether all calls have ended, while minutes pass as moments."""
    _two_minutes_later(ground)
    return all(call.successful() for call in calls)
