"""A lot's number in every spelling that callers and data sets use."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tasks.arguments.bbl import BBL, BOROUGHS, BBLText

LOTS = st.builds(
    BBL,
    borough=st.integers(1, 5),
    block=st.one_of(st.integers(1, 99), st.integers(1, 99_999)),
    lot=st.one_of(st.integers(0, 99), st.integers(0, 9_999)),
)


@pytest.mark.parametrize("value", ["1012650001", 1012650001, "1-01265-0001", "1-1265-1", " 1012650001 "])
def test_a_caller_may_write_a_lot_in_any_usual_way(value: object) -> None:
    """Text, whole number or with dashes: one lot."""
    parsed = BBL.parse(value)

    assert BBL(borough=1, block=1265, lot=1) == parsed
    assert str(parsed) == "1012650001"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (True, "10 digits as text or as a whole number"),
        (None, "10 digits as text or as a whole number"),
        (1012650001.0, "10 digits as text or as a whole number"),
        (["1012650001"], "10 digits as text or as a whole number"),
        ("", "10 digits as text or as a whole number"),
        ("101265000X", "10 digits as text or as a whole number"),
        ("١٠١٢٦٥٠٠٠١", "10 digits as text or as a whole number"),
        ("-1012650001", "10 digits as text or as a whole number"),
        ("101265001", "10 digits, not 9"),
        (101265000100, "10 digits, not 12"),
        ("91-01265-0001", "10 digits, not 11"),
        ("0012650001", "a borough from 1 to 5"),
        ("6012650001", "a borough from 1 to 5"),
        ("1000000001", "a block from 00001 to 99999"),
    ],
)
def test_what_is_no_lot_is_refused_with_a_right_one_shown_and_the_wrong_one_not(
    value: object, said: str
) -> None:
    """The message helps whoever reads it and leaks nothing into logs."""
    with pytest.raises(ValueError, match=r"takes|begins|has") as refused:
        BBL.parse(value)

    message = str(refused.value)
    assert said in message
    assert '"1012650001"' in message
    assert not value or isinstance(value, list) or str(value) not in message


def test_a_lot_that_is_parsed_already_stays_itself() -> None:
    """So that parsing twice, in the caller and in the worker, does no harm."""
    lot = BBL(borough=3, block=854, lot=43)

    assert BBL.parse(lot) is lot


@given(LOTS)
def test_ten_digits_and_back_is_the_same_lot(lot: BBL) -> None:
    """Writing and reading are each other's inverse."""
    assert lot == BBL.parse(str(lot))
    assert lot == BBL.parse(int(str(lot)))
    assert lot == BBL.from_column(str(lot))


@given(LOTS, st.integers(0, 5), st.integers(0, 5), st.sampled_from(["name", "number"]))
def test_the_parts_of_a_lot_are_read_in_every_padding(
    lot: BBL, block: int, lot_width: int, spelled: str
) -> None:
    """However the columns are padded, and whether the borough is a name or a number."""
    borough = BOROUGHS[lot.borough - 1] if spelled == "name" else str(lot.borough)

    assert lot == BBL.from_columns(borough, f"{lot.block:0{block}d}", f"{lot.lot:0{lot_width}d}")


def test_recorded_spellings_of_one_lot_are_one_lot() -> None:
    """DOB writes "0055" beside "00055" for one building, and Socrata numbers have decimals."""
    lot = BBL(borough=1, block=720, lot=55)

    for padded in ("00055", "0055", "055", "55", "55.00000000"):
        assert lot == BBL.from_columns("1", "00720", padded)
    assert BBL.from_column("1007200055.00000000") == lot
    assert BBL.from_column("1007200055") == lot


@pytest.mark.parametrize(
    "value", [None, "", "0", "4284335", "2000759", "1000000000", "9999999999", "10072000551"]
)
def test_a_bbl_column_that_holds_something_else_names_no_lot(value: object) -> None:
    """Some rows hold a building's number there, or nothing: their other columns decide."""
    assert BBL.from_column(value) is None


@pytest.mark.parametrize(
    ("borough", "block", "lot"),
    [
        ("1", None, "0"),
        ("2", None, None),
        ("1", "", "0"),
        ("5", "99999", "99999"),
        ("0", "00720", "00055"),
        ("", "00720", "00055"),
        ("1", "00000", "00055"),
        ("1", "007 20", "00055"),
        ("NEW YORK", "00720", "00055"),
    ],
)
def test_garbage_in_the_columns_names_no_lot(borough: object, block: object, lot: object) -> None:
    """Empty blocks, the City's TEST RECORD and the like belong to nobody."""
    assert BBL.from_columns(borough, block, lot) is None


def test_a_block_is_offered_in_every_padding_once() -> None:
    """Five digits first, because nearly all rows have them."""
    assert BBL(borough=1, block=720, lot=55).blocks == ("00720", "0720", "720")
    assert BBL(borough=1, block=16350, lot=400).blocks == ("16350",)
    assert BBL(borough=1, block=7, lot=1).blocks == ("00007", "0007", "007", "07", "7")


@pytest.mark.parametrize("value", ["1012650001", 1012650001, "1-01265-0001"])
def test_an_argument_goes_on_the_wire_as_ten_digits(value: Any) -> None:
    """Whatever the caller wrote: a fingerprint must not depend on it."""
    adapter = TypeAdapter(BBLText)

    assert json.dumps(adapter.dump_python(adapter.validate_python(value), mode="json")) == '"1012650001"'


def test_a_wrong_argument_is_pydantics_error() -> None:
    """The engine turns it into one line for the caller."""
    with pytest.raises(ValidationError):
        TypeAdapter(BBLText).validate_python("6012650001")
