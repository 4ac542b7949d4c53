"""Each provider by a real worker, one test for each column of the table in every_provider.py."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from redis import Redis

import tasks
from tasks.demo_tour import STOPS
from tests.acceptance.every_provider import PACE, ROWS, Row
from tests.acceptance.provider_desk import Desk, unhurried
from tests.fleet import Fleet, Ground, until
from tests.sandbox.settings import DOORS
from worker.errors import ResponseUnreadable

NUMBERS = itertools.count()
"""Each call asks something new, so that no kept answer stands in for it."""

EVERY = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
LOST = {name: row for name, row in ROWS.items() if row.lost}


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker that knows every provider."""
    with unhurried(clean), Fleet(clean, workers=1, env=PACE) as fleet:
        yield fleet


@pytest.fixture
def desk(state: Redis, clean: Ground, row: Row) -> Desk:
    """Where the provider is watched; it has no past."""
    desk = Desk(state=state, ground=clean, row=row)
    desk.clear()
    return desk


def test_the_table_and_the_demonstration_have_every_provider_that_can_be_called() -> None:
    """One that is added to ``tasks`` is missed here until it stands in both, and in the settings."""
    operations = [getattr(getattr(tasks, name), "operation", None) for name in tasks.__all__]
    called = {each.provider.name for each in operations if each is not None}

    assert set(ROWS) == set(DOORS) == {stop.provider for stop in STOPS} == called
    assert len(ROWS) == 12


def answered(fleet: Fleet, row: Row) -> float:
    """How many of its exchanges went well."""
    return sum(fleet.metrics("adapter_calls_total", provider=row.name, status="success"))


@EVERY
def test_what_is_there_is_brought(desk: Desk, fleet: Fleet, row: Row) -> None:
    """One call, its result in the documented shape, and nothing to worry about."""
    before = answered(fleet, row)

    call = row.asked(next(NUMBERS))

    assert row.brings(call.get(timeout=20))
    assert desk.heard
    assert answered(fleet, row) > before
    assert (desk.letters, desk.breaker.get("failures", "0")) == ([], "0")


@pytest.mark.parametrize("row", LOST.values(), ids=LOST)
def test_what_is_not_there_is_a_result(desk: Desk, fleet: Fleet, row: Row) -> None:
    """None for one thing, an empty list for many: no error, no dead letter, no failure of the provider."""
    assert row.lost is not None
    refused = sum(fleet.metrics("retries_total", provider=row.name))

    found = row.lost().get(timeout=20)

    assert row.nothing(found)
    assert desk.heard
    assert (desk.letters, desk.breaker.get("failures", "0")) == ([], "0")
    assert sum(fleet.metrics("retries_total", provider=row.name)) == refused


@EVERY
@pytest.mark.parametrize("mode", ["garbage", "nonsense", "html"])
def test_an_answer_that_makes_no_sense_is_asked_for_once_and_is_no_failure(
    desk: Desk, row: Row, mode: str
) -> None:
    """A dead letter at once; a doubt about what may have been taken, which is settled otherwise."""
    desk.misbehave(mode=mode)

    call = row.asked(next(NUMBERS))
    until(lambda: desk.rests(call) or "in_doubt" in desk.submitted(call), 20.0, told=lambda: call.info)

    assert [(letter["code"], letter["id"]) for letter in desk.letters] == [(row.letter, call.id)][
        : bool(row.letter)
    ]
    assert desk.submitted(call) == ("in_doubt" if row.down == "in_doubt" else "")
    assert row.down == "in_doubt" or isinstance(call.result, ResponseUnreadable)
    assert len(desk.heard) == 1
    assert (desk.breaker.get("state", "closed"), desk.breaker.get("failures", "0")) == ("closed", "0")
