"""What the bench reads out of arrivals."""

from __future__ import annotations

import os
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.arrivals import lateness, overrun, use
from bench.rss import megabytes

EVENLY = [10.0 + number / 20 for number in range(201)]
"""Twenty a second, for ten seconds."""

gaps = st.lists(st.floats(min_value=0, max_value=1), min_size=1, max_size=40)
rates = st.floats(min_value=0.5, max_value=100)


def test_calls_at_even_moments_use_the_whole_rate() -> None:
    """However long they go on."""
    assert use(EVENLY, 20) == pytest.approx(1.0)
    assert use(EVENLY[:50], 20) == pytest.approx(1.0)


def test_a_pause_is_rate_that_was_not_used() -> None:
    """Nothing for a second of eleven."""
    paused = [*EVENLY[:100], *(at + 1.0 for at in EVENLY[100:])]

    assert use(paused, 20) == pytest.approx(10 / 11)


@pytest.mark.parametrize("arrivals", [[], [1.0]])
def test_a_rate_that_nobody_used_is_no_error(arrivals: list[float]) -> None:
    """Celery's own limit lets that little through."""
    assert use(arrivals, 20) == 0.0


def test_even_calls_are_never_over() -> None:
    """A burst of one is the call itself."""
    assert overrun(EVENLY, 20, 1) == pytest.approx(0.0, abs=1e-9)


def test_calls_beyond_the_burst_are_over() -> None:
    """Eight at once where five may."""
    assert overrun([3.0] * 8, 50, 5) == 3.0


def test_a_late_call_comes_too_close_to_the_next() -> None:
    """30 ms late at 20/s are 0.6 of a call."""
    late = [*EVENLY[:7], EVENLY[7] + 0.03, *EVENLY[8:]]

    assert overrun(late, 20, 1) == pytest.approx(0.6)


@given(gaps, rates, st.integers(min_value=1, max_value=10))
def test_the_worst_interval_is_the_worst_of_all_pairs(gaps: list[float], rate: float, burst: int) -> None:
    """One pass finds what comparing each with each would."""
    arrivals = list(accumulate(gaps))
    pairs = [(first, last) for first in range(len(arrivals)) for last in range(first, len(arrivals))]

    expected = max(
        last - first + 1 - burst - rate * (arrivals[last] - arrivals[first]) for first, last in pairs
    )

    assert overrun(arrivals, rate, burst) == pytest.approx(expected, abs=1e-6)


def test_lateness_is_told_from_the_earliest_on() -> None:
    """The others were on time, for all that is known."""
    late = [*EVENLY[:7], EVENLY[7] + 0.03, *EVENLY[8:]]

    assert lateness(late, 20)[-1] == pytest.approx(0.03)
    assert lateness(late, 20)[:-1] == pytest.approx([0.0] * 200, abs=1e-9)


def test_a_process_has_some_memory() -> None:
    """This one holds more than 10 MB and less than 10 GB."""
    assert 10 < megabytes(os.getpid()) < 10_000
