"""Waits are read in every way in which providers write them."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.retry_after import Headroom, headroom, left_of_day, reset_after, retry_after, worded_wait

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("120", 120.0),
        (" 2 ", 2.0),
        ("0", 0.0),
        ("1.5", 1.5),
        (formatdate(NOW + 90, usegmt=True), 90.0),
        (formatdate(NOW - 90, usegmt=True), 0.0),
        ("Friday, 15-Jan-27 08:01:00 GMT", 60.0),
        ("Fri Jan 15 08:01:00 2027", 60.0),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("", None),
        ("9" * 400, None),
    ],
)
def test_retry_after_is_seconds_or_a_date_in_any_of_the_three_old_forms(
    value: str, wait: float | None
) -> None:
    """RFC 9110 lets a recipient meet all three; nonsense is no wait at all."""
    assert wait == retry_after({"retry-after": value}, now=NOW)


def test_a_date_is_compared_with_the_provider_s_own_clock_when_it_tells_the_time() -> None:
    """Our clocks may differ by minutes; the two dates of one answer do not."""
    headers = {"retry-after": formatdate(1000 + 30, usegmt=True), "date": formatdate(1000, usegmt=True)}
    assert retry_after(headers) == 30.0


def test_without_the_provider_s_clock_a_date_is_compared_with_ours() -> None:
    """To the second, which is all that a date can say."""
    wait = retry_after({"retry-after": formatdate(time.time() + 100, usegmt=True)})
    assert wait is not None
    assert 95 < wait <= 100


@pytest.mark.parametrize("name", ["x-ratelimit-reset", "x-rate-limit-reset", "ratelimit-reset"])
@pytest.mark.parametrize(
    ("value", "wait"),
    [
        (f"{NOW + 45:.0f}", 45.0),
        (f"{(NOW + 45) * 1000:.0f}", 45.0),
        ("45", 45.0),
        (f"{NOW - 5:.0f}", 0.0),
        ("never", None),
    ],
)
def test_a_reset_is_a_moment_in_seconds_or_milliseconds_or_a_wait(
    name: str, value: str, wait: float | None
) -> None:
    """Nobody standardised it, so its size tells which it is."""
    assert wait == reset_after({name: value}, now=NOW)


def test_retry_after_counts_before_a_reset() -> None:
    """It speaks of this call; the reset speaks of the whole window."""
    assert reset_after({"retry-after": "3", "x-ratelimit-reset": "60"}, now=NOW) == 3.0


def test_a_reset_alone_is_no_retry_after() -> None:
    """SendGrid sends it with every answer, also with those that are not about limits."""
    assert retry_after({"x-ratelimit-reset": "60"}, now=NOW) is None


@pytest.mark.parametrize("family", ["x-ratelimit-", "x-rate-limit-", "ratelimit-"])
@pytest.mark.parametrize(
    ("remaining", "reset", "expected"),
    [
        ("7", "30", Headroom(7, 30.0)),
        ("0", f"{NOW + 45:.0f}", Headroom(0, 45.0)),
        (" 12 ", f"{(NOW + 45) * 1000:.0f}", Headroom(12, 45.0)),
        ("3.0", "1.5", Headroom(3, 1.5)),
        ("0", f"{NOW - 5:.0f}", Headroom(0, 0.0)),
        ("7", "", None),
        ("", "30", None),
        ("-1", "30", None),
        ("many", "30", None),
        ("7", "never", None),
    ],
)
def test_what_is_left_is_known_when_a_count_and_its_reset_are(
    family: str, remaining: str, reset: str, expected: Headroom | None
) -> None:
    """One without the other says nothing that a bucket could use."""
    headers = {f"{family}remaining": remaining, f"{family}reset": reset}
    assert headroom(headers, now=NOW) == expected


def test_a_count_of_one_family_is_not_read_with_the_reset_of_another() -> None:
    """They may speak of different windows."""
    assert headroom({"x-ratelimit-remaining": "7", "ratelimit-reset": "30"}, now=NOW) is None


def test_a_reset_is_compared_with_the_provider_s_own_clock_when_it_tells_the_time() -> None:
    """Ours may be wrong by minutes, and would make the pause too long or none at all."""
    headers = {
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": f"{NOW + 20:.0f}",
        "date": formatdate(NOW, usegmt=True),
    }
    assert headroom(headers) == Headroom(0, 20.0)
    assert reset_after(headers) == 20.0


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_can_raise_or_ask_for_less_than_nothing(value: str, date: str) -> None:
    """Whatever a provider writes, the wait is a number from zero up, or none."""
    for name in ("retry-after", "x-ratelimit-reset"):
        wait = reset_after({name: value, "date": date})
        assert wait is None or wait >= 0.0
    left = headroom({"x-ratelimit-remaining": value, "x-ratelimit-reset": value, "date": date})
    assert left is None or (left.left >= 0 and left.seconds >= 0.0)


WORDS = (r"in (\d+) seconds?", r"in (?:(\d+)\.)?(\d+):(\d\d):(\d\d)", r"for (\d+(?:\.\d+)?)s")


@pytest.mark.parametrize(
    ("message", "wait"),
    [
        ("Rate limit is exceeded. Try again in 54 seconds.", 54.0),
        ("Try again in 1 second.", 1.0),
        ("Quota will be replenished in 01:02:03.", 3723.0),
        ("Quota will be replenished in 1.02:03:04.", 93_784.0),
        ("Quota will be replenished in 31.00:00:00.", 31 * 86_400.0),
        ("Quota will be replenished in 23:59:59, or in 5 seconds", 5.0),
        ("busy for 1.5s", 1.5),
        ("Try again soon.", None),
        ("Try again in many seconds.", None),
        ("", None),
    ],
)
def test_a_wait_may_stand_in_words(message: str, wait: float | None) -> None:
    """The first pattern that fits counts: seconds, or hours, minutes and seconds, at times behind days."""
    assert worded_wait(WORDS, message) == wait


def test_without_patterns_no_words_are_a_wait() -> None:
    """Most providers say it in a header."""
    assert worded_wait((), "Try again in 5 seconds.") is None


@given(st.text(max_size=60))
def test_no_words_can_raise_or_ask_for_less_than_nothing(message: str) -> None:
    """A message is the provider's, and may hold anything."""
    wait = worded_wait(WORDS, message)
    assert wait is None or wait >= 0.0


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("America/New_York", datetime(2026, 7, 1, 3, 0, tzinfo=UTC), 1),
        ("America/New_York", datetime(2026, 7, 1, 4, 0, tzinfo=UTC), 24),
        ("America/New_York", datetime(2026, 3, 8, 5, 0, tzinfo=UTC), 23),
        ("America/New_York", datetime(2026, 11, 1, 4, 0, tzinfo=UTC), 25),
        ("UTC", datetime(2026, 12, 31, 23, 0, tzinfo=UTC), 1),
    ],
)
def test_what_is_left_of_a_day_is_counted_in_the_providers_zone(
    zone: str, moment: datetime, hours: int
) -> None:
    """Also on the days on which the clocks change."""
    assert left_of_day(zone, now=moment) == hours * 3600.0


def test_without_a_moment_the_day_is_todays() -> None:
    """More than nothing, and no more than the longest day."""
    assert 0 < left_of_day("America/New_York") <= 25 * 3600
