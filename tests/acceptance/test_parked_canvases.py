"""What travels with a message lies in the lot with it: next steps, priority, what becomes of the result."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from redis import Redis

from tests.acceptance.lot import Lot
from tests.acceptance.providers import echo, increment, pace, tally, total
from tests.fleet import Fleet, Ground, held, until


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker."""
    with Fleet(clean, workers=1) as fleet:
        yield fleet


@pytest.fixture
def steady(state: Redis, clean: Ground) -> Lot:
    """The lot of one that takes calls as they come."""
    return Lot(state, clean, "steady")


@pytest.fixture
def stranger(clean: Ground) -> Iterator[Celery]:
    """A Celery application that has none of our code."""
    with Celery("stranger", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False) as other:
        yield other


def test_the_links_of_a_chain_go_on_behind_a_parked_one(lot: Lot, steady: Lot) -> None:
    """In the middle of three; the rest of the chain travels with the record."""
    with lot.shut():
        last = chain(increment.s(1), pace.s(), increment.s()).apply_async()
        lot.holds(1)
        assert steady.paths == ["/increment/1"]
    assert last.get(timeout=10) == 3
    assert (lot.paths, steady.paths) == (["/pace/2"], ["/increment/1", "/increment/2"])
    assert until(lambda: lot.empty)
    assert until(lambda: steady.empty)


@pytest.mark.parametrize("body", [total, tally], ids=["elsewhere", "in line at the same provider"])
def test_a_chord_whose_header_is_parked_calls_its_body_once(lot: Lot, steady: Lot, body: Any) -> None:
    """When the last member has run; of the members too each runs once."""
    with lot.shut():
        result = chord((pace.s(number) for number in range(5)), body.s()).apply_async()
        lot.holds(5)
        assert steady.paths == []
    assert result.get(timeout=15) == 10
    asked = [path for path in lot.paths + steady.paths if path.startswith(("/total", "/tally"))]
    assert len(asked) == 1
    assert sorted(path for path in lot.paths if path != "/tally") == [f"/pace/{n}" for n in range(5)]
    assert until(lambda: lot.empty)


def test_a_member_that_is_revoked_in_the_lot_fails_its_chord(lot: Lot, steady: Lot) -> None:
    """As Celery has it: the body is not called, and whoever waits for it hears so."""
    with lot.shut():
        members = [pace.s(number).set(task_id=f"member-{number}") for number in range(3)]
        result = chord(members, total.s()).apply_async()
        lot.holds(3)
        pace.AsyncResult("member-1").revoke()
    until(result.ready, told=lambda: result.state)
    assert result.failed()
    assert (sorted(lot.numbers), steady.paths) == ([0, 2], [])
    assert until(lambda: lot.empty)


def test_a_group_gathers_its_parked_members_in_order(lot: Lot) -> None:
    """Whoever was first."""
    with lot.shut():
        gathered = group(pace.s(number) for number in range(10)).apply_async()
        lot.holds(10)
        assert gathered.completed_count() == 0
    assert gathered.get(timeout=15) == [*range(10)]


def test_link_and_link_error_are_called_after_the_lot(lot: Lot, steady: Lot, clean: Ground) -> None:
    """With the result of one call, and with the failure of another."""
    clean.sandbox.control.fault("paced", status=404, only="/pace/61")
    with lot.shut():
        pace.apply_async((60,), link=increment.s())
        pace.apply_async((61,), link_error=echo.si(62))
        lot.holds(2)
        assert steady.paths == []
    until(lambda: sorted(steady.paths) == ["/echo/62", "/increment/60"], told=lambda: steady.paths)
    assert until(lambda: lot.empty)
    assert until(lambda: steady.empty)


def test_a_parked_call_keeps_its_priority(state: Redis, lot: Lot) -> None:
    """And all else that its message says: it is published as it was."""
    with lot.shut():
        call = pace.apply_async((1,), priority=7, correlation_id="mine", headers={"tenant": "acme"})
        lot.holds(1)
        with held("paced", workers=1):
            state.delete(lot.keys.limits)
            until(lambda: state.llen("paced") == 1)
            (raw,) = state.lrange("paced", 0, -1)
    message = json.loads(raw)
    assert message["properties"]["priority"] == 7
    assert message["properties"]["correlation_id"] == "mine"
    assert message["headers"]["tenant"] == "acme"
    assert call.get(timeout=10) == 1


def test_a_result_that_nobody_wants_is_not_stored_on_the_way(state: Redis, lot: Lot) -> None:
    """Neither while it waits nor after; it runs once."""
    with lot.shut():
        call = pace.apply_async((1,), ignore_result=True)
        lot.holds(1)
    until(lambda: lot.paths == ["/pace/1"])
    until(lambda: lot.empty)
    assert not state.exists(f"celery-task-meta-{call.id}")


def test_a_call_by_bare_name_is_parked_like_any_other(lot: Lot, stranger: Celery) -> None:
    """With its link; its producer, which knows nothing of the lot, waits through it."""
    with lot.shut():
        link = stranger.signature("steady.increment", queue="steady")
        call = stranger.send_task("paced.pace", [1], queue="paced", link=link)
        lot.holds(1)
        assert call.state == "RETRY"
    assert call.get(timeout=10) == 1
    (child,) = call.children
    assert child.get(timeout=10) == 2
    assert until(lambda: lot.empty)


def test_a_parked_call_that_a_service_without_our_code_revokes_never_runs(lot: Lot, stranger: Celery) -> None:
    """It only tells the workers that are up; they drop the call when its turn comes, and the record ends."""
    with lot.shut():
        call = stranger.send_task("paced.pace", [1], queue="paced")
        lot.holds(1)
        stranger.control.revoke(call.id, reply=True, timeout=5.0, limit=2)
    until(lambda: call.state == "REVOKED", told=lambda: call.state)
    assert until(lambda: lot.empty)
    assert lot.paths == []
