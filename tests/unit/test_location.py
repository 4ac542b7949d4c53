"""Where something is: every way to say it has one spelling, and a refusal helps and repeats nothing."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.arguments.location import Location, location
from tasks.geocoding import geocode
from worker.errors import ArgumentsInvalid

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("280 Riverside Drive, Manhattan", {"address": "280 RIVERSIDE DRIVE, MANHATTAN"}),
        ("1018890001", {"bbl": "1018890001"}),
        (1018890001, {"bbl": "1018890001"}),
        ("1-01889-1", {"bbl": "1018890001"}),
        ("1\u201301889\u20131", {"bbl": "1018890001"}),
        (" 1057127 ", {"bin": "1057127"}),
        (1057127, {"bin": "1057127"}),
        ({"bin": 1057127, "zip": None}, {"bin": "1057127"}),
        ({"bbl": "1-01889-0001"}, {"bbl": "1018890001"}),
        (
            {"address": "280 Riverside Dr", "borough": "MN", "zip": "10025-1234"},
            {"address": "280 RIVERSIDE DR", "borough": "Manhattan", "zip": "10025"},
        ),
        (
            {"house_number": "72 \u2013 03", "street": "37  avenue", "borough": "the bronx"},
            {"house_number": "72-03", "street": "37 AVENUE", "borough": "Bronx"},
        ),
        (
            {"house_number": 280, "street": "Riverside Drive", "zip": "10025"},
            {"house_number": "280", "street": "RIVERSIDE DRIVE", "zip": "10025"},
        ),
        (
            {"intersection": ["Broadway", "W 100 St"], "borough": 5, "compass": "n"},
            {"intersection": ("BROADWAY", "W 100 ST"), "borough": "Staten Island", "compass": "N"},
        ),
    ],
)
def test_every_way_to_say_where_has_one_spelling(said: Any, expected: dict[str, Any]) -> None:
    """What callers write differently is asked once."""
    assert location(said) == Location(**expected)


@pytest.mark.parametrize(
    "said",
    [
        "280 riverside drive, manhattan",
        "  280\tRiverside   Drive ,Manhattan ",
        "280 RIVERSIDE DRIVE,, MANHATTAN,",
        {"address": "280 Riverside Drive, Manhattan"},
        Location(address="280 riverside drive, manhattan"),
    ],
)
def test_case_and_spaces_make_no_difference(said: Any) -> None:
    """The cache goes by the question, and there is one."""
    assert location(said) == Location(address="280 RIVERSIDE DRIVE, MANHATTAN")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("", "takes an address in one line"),
        ("1 \x00 street", "takes an address in one line"),
        ("½ 12!", "a street and not only numbers"),
        ("1 main street; 2 main street", "without semicolons"),
        ("main " * 17, "16 words at most"),
        ("a" * 201, "200 characters"),
        ("12345", "a BIN of 7 digits or a BBL, which takes 10 digits, not 5"),
        ("72-03", "a BIN of 7 digits or a BBL"),
        ("9057127", "takes a BIN: 7 digits that begin with a borough from 1 to 5"),
        ("4000000", "the City's placeholder"),
        ("6018890001", "begins with a borough from 1 to 5"),
        (None, "takes a text"),
        (True, "takes a text"),
        (1.5, "takes a text"),
        (["1 Main Street"], "takes a text"),
        ({}, "it names none of them"),
        ({"borough": "Queens"}, "it names none of them"),
        ({"bbl": "1018890001", "bin": "1057127"}, "it names bbl and bin"),
        ({"bbl": "1018890001", "adress": "x"}, "its parts are address, house_number"),
        ({1: 2}, "its parts are address"),
        ({"bin": "1057127", "zip": "10025"}, "zip: does not go with bin"),
        ({"address": "1 Main Street", "compass": "N"}, "compass: does not go with address"),
        ({"intersection": ["a", "b"]}, "borough: is needed with intersection"),
        (
            {"intersection": ["a"], "borough": "Queens"},
            'intersection: takes two streets, for example ["Broadw',
        ),
        ({"intersection": "ab", "borough": "Queens"}, "intersection: takes two streets"),
        ({"intersection": ["a", "b"], "borough": "Queens", "compass": "up"}, "compass: takes N, S, E or W"),
        ({"street": "37 Avenue", "borough": "Queens"}, "house_number: is needed with street"),
        ({"street": "37 Avenue", "house_number": "72-03"}, "borough: is needed with street"),
        ({"street": "37", "house_number": "1", "zip": "11372"}, "street: takes the name of a street"),
        ({"street": "37 Ave", "house_number": "x", "zip": "11372"}, "house_number: takes a house number"),
        ({"street": "37 Ave", "house_number": True, "zip": "11372"}, "house_number: takes a house number"),
        ({"street": "37 Ave", "house_number": "1", "zip": "1137"}, "zip: takes a zip of five digits"),
        ({"street": "37 Ave", "house_number": "1", "zip": 11372}, "zip: takes a zip of five digits as text"),
        ({"address": "1 Main St", "borough": "Kings"}, "borough: takes Manhattan, Bronx"),
        ({"bin": "1000000"}, "bin: takes a BIN"),
        ({"bbl": True}, "bbl: takes 10 digits"),
    ],
)
def test_what_is_wrong_is_named_with_what_it_takes(said: Any, told: str) -> None:
    """The first thing that a caller reads is what to change."""
    with pytest.raises(ValueError, match=re.escape(told)):
        location(said)


def test_a_refusal_is_the_callers_and_repeats_nothing() -> None:
    """It is raised by ``delay``, and where somebody lives stands in no error."""
    with pytest.raises(ArgumentsInvalid) as refused:
        geocode.operation.checked(({"address": "7 CANARY LANE", "borough": "CANARY"},), {})

    assert str(refused.value).startswith("geocode: location: borough: takes Manhattan")
    assert "CANARY" not in str(refused.value)
    assert "CANARY" not in repr(location("7 Canary Lane"))


def test_what_is_checked_is_a_plain_object_and_stays_as_it_is() -> None:
    """It travels as JSON, and the worker checks it again."""
    (sent,), _ = geocode.operation.checked(({"intersection": ["Broadway", "W 100 St"], "borough": 1},), {})

    assert isinstance(sent, dict)
    assert sent["intersection"] == ["BROADWAY", "W 100 ST"]
    assert geocode.operation.checked((sent,), {}) == ([sent], {})


@given(JSON | st.dictionaries(st.sampled_from(list(Location.__dataclass_fields__)), JSON, max_size=4))
def test_whatever_is_said_is_a_place_or_refused(said: Any) -> None:
    """A stranger's message may hold anything; and what was understood once is understood again."""
    try:
        found = location(said)
    except ValueError:
        return
    assert location(found) == found
    assert (found.words == "") == bool(found.bbl or found.bin)
