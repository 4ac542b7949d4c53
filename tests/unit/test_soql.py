"""Conditions and parameters as Socrata reads them."""

from __future__ import annotations

from datetime import date

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tasks import soql
from tests.table import rows_where


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_no_text_escapes_its_quotes(value: str) -> None:
    """A quote is doubled, so a value is a value and never part of the condition."""
    rows = [{"name": value}, {"name": value + "x"}]

    assert rows_where(rows, ["name"], f"name={soql.text(value)}") == rows[:1]


def test_one_value_is_an_equation_and_several_are_a_list() -> None:
    """Short where it can be."""
    assert soql.one_of("lot", ["00055"]) == "lot='00055'"
    assert soql.one_of("lot", ["00055", "0055"]) == "lot in('00055','0055')"


@pytest.mark.parametrize(
    ("held", "expected"),
    [("00055", True), ("0055", True), ("055", True), ("55", True)]
    + [(other, False) for other in ("5", "155", "00155", "10055", "550", "", "55A", None)],
)
def test_padding_makes_no_difference_and_other_digits_do(held: str | None, expected: object) -> None:
    """One comparison for every padding that the data sets use."""
    condition = soql.ends_with("lot", "00055")

    assert expected is bool(rows_where([{"lot": held}], ["lot"], condition))


def test_the_padding_cannot_be_taken_for_a_number() -> None:
    """``||`` takes numbers too: a literal of zeros alone could come out as one zero."""
    assert soql.ends_with("lot", "00055") == "'x0000'||lot like '%00055'"


def test_either_or_is_bracketed_beside_another_condition() -> None:
    """AND binds tighter than OR."""
    either = soql.any_of(["a='1'", "b='2'"])

    assert soql.all_of(either, "c='3'") == "(a='1' OR b='2') AND c='3'"
    assert soql.all_of("a='1'", "", "c='3'") == "a='1' AND c='3'"


def test_a_window_begins_with_its_first_day_and_ends_before_its_last() -> None:
    """Half open, so that neighbouring windows share no row; in the notation without a zone."""
    expected = "at >= '2026-01-01T00:00:00.000' AND at < '2026-02-01T00:00:00.000'"

    assert expected == soql.during("at", date(2026, 1, 1), date(2026, 2, 1))


def test_every_page_is_ordered_to_the_last_row() -> None:
    """Without an order pages overlap; the row's own id settles equal keys."""
    assert soql.params("a='1'", order="key", limit=1000, offset=2000) == {
        "$where": "a='1'",
        "$order": "key,:id",
        "$limit": "1000",
        "$offset": "2000",
    }


def test_the_length_counted_is_the_length_sent() -> None:
    """Measured against the library that sends it."""
    query = soql.params("lot in('00055','0055') AND 'x'||b like '%1'", order="key", limit=1000)
    sent = requests.Request("GET", "http://h/resource/3h2n-5cm9.json", params=query).prepare().url

    assert soql.url_length("/resource/3h2n-5cm9.json", query) == len(str(sent)) - len("http://h")
