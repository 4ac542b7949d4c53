"""A rate without Redis: each process keeps to its share, and all of them together to the whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.clock import Clock
from worker.provider import Rate
from worker.spare import Spare


def test_the_first_call_leaves_at_once_and_the_next_in_its_turn() -> None:
    """A call a second over four processes is one in four seconds for each."""
    spare = Spare(Rate(calls=1.0), 4, clock=Clock())

    assert [spare.moment(10.0) for _ in range(3)] == [0.0, 4.0, 8.0]


def test_a_call_without_the_patience_takes_no_turn() -> None:
    """So the one after it does not pay for it."""
    clock = Clock()
    spare = Spare(Rate(calls=1.0), 4, clock=clock)
    spare.moment(0.5)

    assert [spare.moment(0.5) for _ in range(3)] == [None, None, None]
    clock.now += 4.0
    assert spare.moment(0.5) == 0.0


def test_turns_that_nobody_took_are_not_saved_up() -> None:
    """There is no burst after a quiet hour."""
    clock = Clock()
    spare = Spare(Rate(calls=2.0), 1, clock=clock)
    spare.moment(1.0)
    clock.now += 3600.0

    assert [spare.moment(10.0) for _ in range(3)] == [0.0, 0.5, 1.0]


def test_without_a_rate_there_is_no_wait() -> None:
    """Whoever declares none has none."""
    spare = Spare(None, 4, clock=Clock())

    assert {spare.moment(0.0) for _ in range(100)} == {0.0}


@pytest.mark.parametrize("burst", [1, 50])
def test_the_burst_is_the_fleets_and_nobodys_own(burst: int) -> None:
    """Each process would take the whole of it."""
    spare = Spare(Rate(calls=1.0, burst=burst), 2, clock=Clock())

    assert [spare.moment(10.0) for _ in range(2)] == [0.0, 2.0]


@given(
    gaps=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=30),
    fleet=st.integers(1, 8),
    rate=st.floats(0.1, 50.0),
    patience=st.floats(0.0, 20.0),
)
def test_a_fleet_of_any_size_keeps_to_the_rate(
    gaps: Sequence[float], fleet: int, rate: float, patience: float
) -> None:
    """However calls arrive at all of its processes, none leaves sooner than its share allows."""
    clock = Clock()
    processes = [Spare(Rate(calls=rate), fleet, clock=clock) for _ in range(fleet)]
    left: list[float] = []
    for gap in gaps:
        clock.now += gap
        waits = [one.moment(patience) for one in processes]
        left += [clock.now + wait for wait in waits if wait is not None]
        assert all(wait is None or 0.0 <= wait <= patience for wait in waits)

    span = max(left) - min(left)
    assert len(left) <= fleet * (1 + span * rate / fleet + 1e-6)
