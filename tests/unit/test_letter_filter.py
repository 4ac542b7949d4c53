"""Which dead letters a filter means."""

from __future__ import annotations

from typing import Any

import pytest

from worker.letters.filter import LetterFilter, failed_at

LETTER: dict[str, Any] = {
    "id": "0af7",
    "operation": "fetch_permits",
    "code": "upstream_error",
    "status": 500,
    "error": "nyc_open_data answered 500",
    "payload_excerpt": "bbl='1012650001'",
    "trace_id": "4bf9",
    "failed_at": "1970-01-01T01:00:00.000Z",
    "kwargs": {"note": "canary"},
}


@pytest.mark.parametrize(
    "wanted",
    [
        LetterFilter(),
        LetterFilter(code="upstream_error", operation="fetch_permits", status=500),
        LetterFilter(since=3600.0),
        LetterFilter(older=3600.001),
        LetterFilter(since=0.0, older=7200.0),
        LetterFilter(text="ANSWERED"),
        LetterFilter(text="1012650001"),
        LetterFilter(text="4bf9"),
    ],
    ids=repr,
)
def test_a_letter_fits_what_is_true_of_it(wanted: LetterFilter) -> None:
    """All that is asked, and nothing more."""
    assert wanted.fits(LETTER)


@pytest.mark.parametrize(
    "wanted",
    [
        LetterFilter(code="upstream_rejected"),
        LetterFilter(code="upstream_error", status=404),
        LetterFilter(since=3600.001),
        LetterFilter(older=3600.0),
        LetterFilter(text="canary"),
    ],
    ids=repr,
)
def test_a_letter_does_not_fit_what_is_false_of_it(wanted: LetterFilter) -> None:
    """One thing is enough; arguments are not searched."""
    assert not wanted.fits(LETTER)


@pytest.mark.parametrize("letter", [{}, {"failed_at": None}, {"failed_at": "soon"}])
def test_a_letter_without_a_time_fits_no_time(letter: dict[str, Any]) -> None:
    """Better left alone than taken for old."""
    assert failed_at(letter) is None
    assert not LetterFilter(since=0.0).fits(letter)
    assert not LetterFilter(older=1e12).fits(letter)
    assert LetterFilter().fits(letter)


def test_what_says_no_code_is_unreadable() -> None:
    """By this word it is listed and counted, and so it is found."""
    assert LetterFilter(code="unreadable").fits({"id": "one"})
    assert not LetterFilter(code="unreadable").fits(LETTER)
