"""When a line will have been served, and when a quota ends: arithmetic, without any server."""

from __future__ import annotations

from datetime import datetime
from math import ceil, inf
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.forecast import Line, Source, quota_ends, slipping

NOW = 1_000_000.0
EVEN = Source(rate=1.0)
NEW_YORK = ZoneInfo("America/New_York")


def about(seconds: float) -> object:
    """A moment so many seconds from now, to the millisecond."""
    return pytest.approx(NOW + seconds, abs=1e-3)


def line(*sources: Source, **more: float) -> Line:
    """A line that is looked at now."""
    return Line(at=NOW, sources=sources, **more)  # type: ignore[arg-type]


def test_an_empty_bucket_serves_one_after_the_other() -> None:
    """At one a second the place is the wait."""
    assert line(EVEN).moment(1) == about(1)
    assert line(EVEN).moment(812) == about(812)


def test_tokens_serve_at_once_and_debts_are_paid_first() -> None:
    """Whoever was let out ahead has its token already."""
    assert line(Source(rate=1.0, tokens=3.0, burst=5.0)).moment(3) == about(0)
    assert line(Source(rate=1.0, tokens=-2.0)).moment(1) == about(3)


def test_credentials_serve_side_by_side() -> None:
    """Two keys of one a second are two a second; one that is set aside joins when its time is over."""
    aside = Source(rate=1.0, free_at=NOW + 100)

    assert line(EVEN, EVEN).moment(100) == about(50)
    assert line(EVEN, aside).moment(50) == about(50)
    assert line(EVEN, aside).moment(101) == about(100)
    assert line(EVEN, aside).moment(103) == about(101)


def test_while_nobody_is_served_the_bucket_fills_to_its_burst_and_no_further() -> None:
    """A minute of an open breaker is no credit of sixty calls."""
    shut = line(Source(rate=1.0, burst=10.0), opens_at=NOW + 60)

    assert shut.moment(10) == about(60)
    assert shut.moment(11) == about(61)


def test_a_breaker_that_a_person_holds_open_has_no_date() -> None:
    """Nobody can say."""
    assert line(EVEN, opens_at=inf).moment(1) is None


def test_what_the_quota_does_not_reach_slips_to_the_days_that_follow() -> None:
    """A hundred today, a thousand tomorrow, the rest the day after."""
    spare = Source(rate=1.0, left=100, daily=1000)
    short = line(spare, day_end=NOW + 5000)

    assert short.moment(100) == about(100)
    assert short.moment(101) == about(5000)
    assert short.moment(1100) == about(5000 + 999)
    assert short.moment(1101) == about(5000 + 86_400)
    assert slipping(short, 300) == 200


def test_a_day_can_also_end_before_the_quota_does() -> None:
    """At one a second fifty seconds are fifty calls, whatever the quota."""
    assert slipping(line(Source(rate=1.0, left=1000, daily=1000), day_end=NOW + 50), 80) == 30


def test_without_a_quota_nothing_slips() -> None:
    """There is no tomorrow to slip to."""
    assert slipping(line(EVEN), 1_000_000) == 0
    assert quota_ends(line(EVEN), 0, 5.0) is None


def test_a_line_of_more_than_ten_years_has_no_date() -> None:
    """And is worked out in no time."""
    assert line(Source(rate=None, left=0, daily=1), day_end=NOW + 10).moment(1_000_000) is None


def test_midnights_follow_the_providers_own_clock() -> None:
    """On the first of November 2026 New York's day has 25 hours."""
    before = datetime(2026, 10, 31, 12, tzinfo=NEW_YORK).timestamp()
    midnight = datetime(2026, 11, 1, tzinfo=NEW_YORK).timestamp()
    source = Source(rate=None, left=0, daily=10)
    spent = Line(at=before, sources=(source,), day_end=midnight, zone="America/New_York")

    assert spent.moment(10) == midnight
    assert spent.moment(11) == midnight + 25 * 3600


def test_a_quota_ends_at_the_present_pace() -> None:
    """A hundred calls at two a second."""
    rest = line(Source(rate=10.0, left=100, daily=1000), day_end=NOW + 5000)

    assert quota_ends(rest, 0, 2.0) == about(50)


def test_who_waits_is_served_at_the_lines_rate_before_the_pace_counts() -> None:
    """Fifty in line at one a second, then fifty more at half of that."""
    rest = line(Source(rate=1.0, left=100, daily=1000), day_end=NOW + 5000)

    assert quota_ends(rest, 50, 0.5) == about(50 + 100)
    assert quota_ends(rest, 500, 0.0) == about(100)
    assert quota_ends(rest, 50, 0.0) is None


def test_a_quota_that_lasts_for_the_day_has_no_end_and_one_that_is_spent_ended_now() -> None:
    """Only what happens before the reset is told."""
    lasting = line(Source(rate=1.0, left=100, daily=1000), day_end=NOW + 99)
    spent = line(Source(rate=1.0, left=0, daily=1000), day_end=NOW + 99)

    assert quota_ends(lasting, 0, 1.0) is None
    assert quota_ends(spent, 7, 1.0) == NOW


@given(
    places=st.lists(st.integers(1, 5000), min_size=2, max_size=8),
    rate=st.floats(0.05, 50),
    tokens=st.floats(-20, 5),
    left=st.integers(0, 300),
    daily=st.integers(1, 300),
    day=st.floats(1, 5000),
    pause=st.floats(0, 10_000),
)
def test_nobody_is_served_before_those_in_front_or_faster_than_the_rules_allow(
    places: list[int], rate: float, tokens: float, left: int, daily: int, day: float, pause: float
) -> None:
    """Whatever the numbers: the order holds, the rate holds, and no day sees more than its quota."""
    source = Source(rate=rate, tokens=tokens, burst=5.0, free_at=NOW + pause, left=left, daily=daily)
    found = Line(at=NOW, sources=(source,), day_end=NOW + day)

    moments = [found.moment(place) for place in sorted(places)]

    known = [moment for moment in moments if moment is not None]
    assert known == sorted(known)
    assert all(moment >= NOW + pause - 1e-3 for moment in known)
    for place, moment in zip(sorted(places), known, strict=False):
        days = max(0, ceil((moment + 1e-3 - NOW - day) / 86_400))
        assert place <= left + days * daily
        assert place <= 5.0 * (days + 1) + rate * (moment - NOW) + 1e-2
