"""How the provider's visits are read, on a few of them."""

from __future__ import annotations

from math import inf

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.pace import above, overlapping, resumed, share
from tests.chaos.witness import Visit


def visit(call: str, at: float, until: float) -> Visit:
    """One request."""
    return Visit(call=call, at=at, until=until)


def test_two_requests_for_one_call_at_the_same_time_are_seen() -> None:
    """Though others came in between, and one of the two is long."""
    visits = [visit("a", 1.0, 9.0), visit("b", 2.0, 2.1), visit("c", 3.0, 3.1), visit("a", 8.0, 8.1)]

    assert overlapping(visits) == ["a"]


def test_a_short_request_inside_a_long_one_does_not_hide_a_third() -> None:
    """The long one is still in flight."""
    assert overlapping([visit("a", 1.0, 9.0), visit("a", 2.0, 3.0), visit("a", 4.0, 5.0)]) == ["a"]


def test_a_request_after_the_answer_is_none_of_those() -> None:
    """A GET may be made again; nor do two calls disturb one another."""
    assert overlapping([visit("a", 1.0, 2.0), visit("a", 2.0, 3.0), visit("b", 2.5, 3.0)]) == []


def test_a_provider_asked_at_its_rate_after_a_burst_was_not_asked_too_often() -> None:
    """The burst stands at the beginning, where it is allowed."""
    arrivals = [0.0] * 5 + [number / 10 for number in range(1, 100)]

    assert above(arrivals, rate=10, burst=5) <= 1e-9


def test_a_second_burst_in_the_midst_is_too_many() -> None:
    """Three more than the bucket had."""
    arrivals = sorted([number / 10 for number in range(100)] + [5.0] * 7)

    assert round(above(arrivals, rate=10, burst=5), 6) == 3


def test_a_flock_shorter_than_the_interval_counts_with_all_of_its_seconds() -> None:
    """Twenty at one moment, where a second allows fifteen."""
    assert above([0.0] * 20, rate=10, burst=5) == 5


def test_nobody_at_all_is_not_too_many() -> None:
    """There is no interval to speak of."""
    assert above([], rate=10, burst=5) == -inf


@given(
    st.lists(st.integers(min_value=0, max_value=400), max_size=30),
    st.integers(min_value=1, max_value=20),
    st.integers(min_value=1, max_value=5),
)
def test_the_worst_interval_is_found(hundredths: list[int], rate: int, burst: int) -> None:
    """The same as looking at every pair of arrivals, one by one."""
    arrivals = sorted(moment / 64 for moment in hundredths)  # exact in binary, so that nothing is rounded

    pairs = [
        last - first + 1 - rate * max(1.0, arrivals[last] - arrivals[first])
        for first in range(len(arrivals))
        for last in range(first, len(arrivals))
    ]

    assert above(arrivals, rate=rate, burst=burst) == max(pairs, default=-inf) - burst


def test_a_return_is_followed_by_the_next_arrival() -> None:
    """An arrival at the very moment came from before."""
    assert resumed([1.0, 2.0, 5.5], [2.0, 5.0, 6.0]) == [3.5, 0.5, inf]


def test_the_share_of_the_rate_is_of_the_time_between() -> None:
    """Whatever came before and after."""
    assert share([0.0, 1.0, 1.5, 2.0, 9.0], 1.0, 3.0, rate=3) == 0.5
    assert share([1.0], 1.0, 1.0, rate=3) == 0.0
