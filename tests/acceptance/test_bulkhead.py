"""A slow provider keeps its share of the slots, and its bound on calls at once holds over the whole fleet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
from celery.result import AsyncResult
from redis import Redis

from tests.acceptance.lot import Lot
from tests.acceptance.providers import FERRY, cross, drag, echo
from tests.fleet import Fleet, Ground, until

SLOTS = 8
SHARE = SLOTS // 2
AT_ONCE = FERRY.max_concurrency or 0
LEASE = FERRY.timeouts.total + 5.0
SHORT = {"NARROWS_CLAIM_LEASE": "5"}
PROMPT = 1.0
"""Seconds within which a neighbour's call is answered; the slow provider takes two."""


@pytest.fixture(scope="module", params=[1, 2])
def fleet(clean: Ground, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """So many workers, whose leases end soon; one fleet after the other."""
    with Fleet(clean, workers=request.param, concurrency=SLOTS, env=SHORT) as fleet:
        yield fleet


@pytest.fixture
def slow(state: Redis, ground: Ground) -> Redis:
    """The state Redis; the slow providers are slow."""
    for name in ("sluggish", "ferry"):
        ground.sandbox.control.fault(name, latency_ms=2000)
    return state


def answered_at_once(calls: int) -> float:
    """The longest that one of so many calls of a neighbour took."""
    longest = 0.0
    for number in range(calls):
        started = time.monotonic()
        assert echo.delay(number).get(timeout=10) == number
        longest = max(longest, time.monotonic() - started)
    return longest


def most_in_flight(ground: Ground, provider: str) -> int:
    """How many calls the provider had at once."""
    return int(ground.sandbox.control.counts(provider)["max_in_flight"])


def test_processes_are_bound_over_the_fleet_though_not_by_their_workers_share(ground: Ground) -> None:
    """A child of a prefork pool does not see its siblings: only ``max_concurrency`` leaves room there."""
    ground.clear()
    for name in ("sluggish", "ferry"):
        ground.sandbox.control.fault(name, latency_ms=2000)
    with ground.client() as state, Fleet(ground, workers=1, pool="prefork", concurrency=4):
        lot = Lot(state, ground, "ferry")
        calls = [cross.delay(number) for number in range(6)]
        until(lambda: most_in_flight(ground, "ferry") == AT_ONCE)
        assert answered_at_once(10) < PROMPT
        assert [call.get(timeout=30) for call in calls] == [*range(6)]
        assert most_in_flight(ground, "ferry") == AT_ONCE
        assert sorted(lot.numbers) == [*range(6)]

        slow = [drag.delay(number) for number in range(8)]
        assert [call.get(timeout=30) for call in slow] == [*range(8)]
        assert most_in_flight(ground, "sluggish") > 2  # what its share would be


def test_a_slow_provider_leaves_half_of_each_workers_slots_to_the_others(
    slow: Redis, ground: Ground, fleet: Fleet
) -> None:
    """Its calls beyond that are parked; a neighbour's go on at once; all of its own are made in the end."""
    lot, workers = Lot(slow, ground, "sluggish"), len(fleet.pids)
    calls = [drag.delay(number) for number in range(workers * SLOTS * 2)]
    until(lambda: most_in_flight(ground, "sluggish") == workers * SHARE)
    until(lambda: lot.parked > SHARE)

    assert answered_at_once(20) < PROMPT

    assert [call.get(timeout=30) for call in calls] == [*range(len(calls))]
    assert most_in_flight(ground, "sluggish") == workers * SHARE
    assert sorted(lot.numbers) == [*range(len(calls))]
    assert until(lambda: lot.empty)


@pytest.mark.parametrize("fleet", [2], indirect=True)
def test_at_most_so_many_calls_are_under_way_over_the_whole_fleet(
    slow: Redis, ground: Ground, fleet: Fleet
) -> None:
    """Two, however many workers have room for more; and as soon as one ends the next one leaves."""
    lot = Lot(slow, ground, "ferry")
    ground.sandbox.control.fault("ferry", latency_ms=500)
    calls = [cross.delay(number) for number in range(16)]
    assert answered_at_once(10) < PROMPT
    assert [call.get(timeout=30) for call in calls] == [*range(16)]

    assert fleet.ready
    assert most_in_flight(ground, "ferry") == AT_ONCE
    assert sorted(lot.numbers) == [*range(16)]
    assert max(later - earlier for earlier, later in pairwise(lot.arrivals)) < 1.5


@pytest.mark.parametrize("fleet", [1], indirect=True)
def test_what_a_killed_worker_held_is_free_again_when_its_leases_end(
    slow: Redis, ground: Ground, fleet: Fleet
) -> None:
    """Until then they count: nobody knows whether the provider still works on those calls."""
    lot = Lot(slow, ground, "ferry")
    calls = [cross.delay(number) for number in range(6)]
    until(lambda: len(lot.arrivals) == AT_ONCE)
    begun = lot.arrivals[0]
    fleet.kill(0)
    ground.sandbox.control.clear("ferry")

    until(lambda: all(call.ready() for call in calls), LEASE + 20.0, told=lambda: _states(calls))

    assert [call.get() for call in calls] == [*range(6)]
    assert lot.arrivals[AT_ONCE] - begun > LEASE - 0.5
    assert lot.arrivals[AT_ONCE] - begun < LEASE + 10.0
    assert most_in_flight(ground, "ferry") == AT_ONCE


def _states(calls: list[AsyncResult[int]]) -> list[str]:
    return [call.state for call in calls]
