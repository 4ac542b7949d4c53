"""Each provider asked too often, and each when it is down: what the fleet does, and what callers get."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from redis import Redis

from tests.acceptance.every_provider import PACE, ROWS, Call, Row
from tests.acceptance.provider_desk import Desk, unhurried
from tests.fleet import Fleet, Ground, until
from worker.cli.root import run
from worker.errors import CallInDoubt

HERE = {
    f"NARROWS_PROVIDERS__{name.upper()}__{setting}": value
    for name in ROWS
    for setting, value in {
        "CACHE_SECONDS": "0.2",  # an answer is soon an old one
        "MAX_CONCURRENCY": "1",  # the failures that open a breaker can be counted
        "RETRY_ATTEMPTS": "30",  # no call is given up before it opens, however the machine mixes them
    }.items()
}

EVERY = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
STALE = {name: row for name, row in ROWS.items() if row.down == "stale"}

LATE = 3.0
"""Seconds by which a busy machine may be late to look."""


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers that forget answers soon, and ask each provider one thing at a time."""
    with unhurried(clean), Fleet(clean, workers=2, env={**PACE, **HERE}) as fleet:
        yield fleet


@pytest.fixture
def desk(state: Redis, clean: Ground, row: Row) -> Iterator[Desk]:
    """Where the provider is watched; it has neither past nor, when the test is over, a future."""
    desk = Desk(state=state, ground=clean, row=row)
    desk.clear()
    yield desk
    desk.clear()


@EVERY
def test_who_is_throttled_waits_with_the_whole_fleet_for_as_long_as_it_is_told(
    desk: Desk, fleet: Fleet, row: Row, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the provider's own way of saying so; no attempt is used, and the breaker hears nothing of it."""
    retries = sum(fleet.metrics("retries_total", provider=row.name))
    plea = row.pleads()
    desk.misbehave(mode="throttle", times=1, **plea.fault)

    first = row.asked(0)
    until(lambda: desk.pause)
    second = row.asked(1)
    assert run(["limits", "show", row.name, "--json"]) == 0
    results = [call.get(timeout=plea.seconds + 20) for call in (first, second)]

    (shown,) = json.loads(capsys.readouterr().out)[0]["credentials"]
    throttled, *after = [each["at"] for each in desk.heard]
    assert desk.pause == pytest.approx(plea.seconds, abs=plea.slack)
    assert shown["throttled_at"]
    assert all(row.brings(result) for result in results)
    assert desk.pause - 0.1 <= after[0] - throttled < desk.pause + LATE
    assert sum(fleet.metrics("retries_total", provider=row.name)) == retries
    assert (desk.letters, desk.breaker.get("failures", "0")) == ([], "0")


@pytest.mark.parametrize("row", STALE.values(), ids=STALE)
def test_an_old_answer_stands_in_for_a_provider_that_is_down(desk: Desk, fleet: Fleet, row: Row) -> None:
    """The same result as before, though the provider was asked again and failed."""
    good = row.asked(0).get(timeout=20)
    stale = sum(fleet.metrics("cache_hits_total", provider=row.name, tier="stale"))
    desk.misbehave(status=500)
    asked = len(desk.heard)

    def failed() -> object:
        row.asked(0).get(timeout=20)
        return len(desk.heard) > asked

    until(failed)

    assert without_source(row.asked(0).get(timeout=20)) == without_source(good)
    assert sum(fleet.metrics("cache_hits_total", provider=row.name, tier="stale")) > stale
    assert desk.letters == []


@EVERY
def test_a_provider_that_is_down_is_left_alone_after_its_own_number_of_failures(
    desk: Desk, fleet: Fleet, row: Row
) -> None:
    """Its breaker opens for the fleet; who has no old answer waits, or is in doubt about what was sent."""
    desk.misbehave(status=500)
    calls = [row.asked(2 + number) for number in range(row.opens_after + 2)]
    until(lambda: desk.breaker.get("state") == "open", 60.0, told=lambda: f"{desk.breaker} {len(desk.heard)}")
    waiting = [call for call in calls if desk.submitted(call) != "in_doubt"]
    until(lambda: all(held(call) for call in waiting), 20.0, told=lambda: [call.info for call in waiting])
    until(lambda: fleet.gauge("circuit_breaker_state", provider=row.name) == 1, 20.0)
    asked = len(desk.heard)
    pending = {desk.submitted(call) for call in waiting}

    desk.behave()
    assert run(["breaker", "reset", row.name]) == 0
    until(lambda: all(call.ready() for call in waiting), 60.0, told=lambda: [call.info for call in waiting])

    assert asked == row.opens_after
    assert pending == {"pending_external" if row.down == "in_doubt" else ""}
    assert len(waiting) >= 2
    assert all(row.brings(call.get()) for call in waiting)
    doubts = [call for call in calls if call not in waiting]
    assert bool(doubts) == (row.down == "in_doubt")
    assert {type(call.result) for call in doubts if call.ready()} <= {CallInDoubt}


def held(call: Call) -> bool:
    """Whether the call waits for the breaker, or failed and waits to be tried again."""
    return bool(call.state == "RETRY")


def without_source(result: object) -> object:
    """A result but for where it came from and when, which differ."""
    if not isinstance(result, dict):
        return result
    return {name: value for name, value in result.items() if name not in {"age", "served", "source"}}
