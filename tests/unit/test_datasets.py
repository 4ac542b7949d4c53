"""How each data set is asked for lots, and whose row a row is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.arguments.bbl import BBL
from tasks.datasets import (
    COMPLAINTS_311,
    DATASETS,
    DOB_VIOLATIONS,
    HPD_VIOLATIONS,
    PERMITS,
    Dataset,
    LotColumns,
)
from tests.table import columns_named, rows_where

# Few blocks and lots, so that neighbours that could be mistaken for one another meet often.
NEAR = st.builds(
    BBL,
    borough=st.integers(1, 3),
    block=st.sampled_from([1, 7, 70, 72, 172, 720, 7200, 72001, 17200]),
    lot=st.sampled_from([0, 1, 5, 10, 11, 51, 55, 101, 155, 1001, 1055, 7501]),
)
WIDTHS = st.integers(0, 5)


def parts(dataset: Dataset, lot: BBL, block_width: int, lot_width: int) -> dict[str, str]:
    """The columns of a row of *lot* that has no bbl, padded to these widths."""
    assert dataset.lot
    return {
        dataset.lot.borough: dataset.lot.spelled(lot),
        dataset.lot.block: f"{lot.block:0{block_width}d}",
        dataset.lot.lot: f"{lot.lot:0{lot_width}d}",
    }


@settings(max_examples=60, deadline=None)
@given(
    asked=st.lists(NEAR, min_size=1, max_size=12, unique=True),
    others=st.lists(NEAR, max_size=12),
    widths=st.lists(st.tuples(WIDTHS, WIDTHS), min_size=24, max_size=24),
    dataset=st.sampled_from([DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS]),
)
def test_a_lot_is_found_in_every_padding_and_no_other_lot_is(
    asked: list[BBL], others: list[BBL], widths: list[tuple[int, int]], dataset: Dataset
) -> None:
    """A padding that is not asked for would read as "no violations"."""
    lots = asked + others
    rows = [parts(dataset, lot, *width) for lot, width in zip(lots, widths, strict=False)]

    found = rows_where(rows, dataset.columns, dataset.where(asked))

    assert [row for lot, row in zip(lots, rows, strict=True) if lot in asked] == found


@given(NEAR, WIDTHS, WIDTHS, st.sampled_from([DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS]))
def test_a_row_is_of_the_lot_that_its_parts_name(
    lot: BBL, block: int, lot_width: int, dataset: Dataset
) -> None:
    """The way back from a row to its lot reads what the way there asks for."""
    assert lot == dataset.owner(parts(dataset, lot, block, lot_width))


def test_a_permit_without_a_bbl_is_found_by_its_parts() -> None:
    """Three permits in a hundred are such."""
    lot = BBL.parse("3053270058")
    row = {"borough": "BROOKLYN", "block": "05327", "lot": "00058"}

    assert rows_where([row], PERMITS.columns, PERMITS.where([lot])) == [row]
    assert PERMITS.owner(row) == lot


def test_a_bbl_outranks_the_parts_and_a_false_one_does_not() -> None:
    """A condominium's unit has the building's bbl and its own lot; a building's number is no bbl."""
    parts_of_unit = {"borough": "MANHATTAN", "block": "01265", "lot": "01001"}

    assert PERMITS.owner({**parts_of_unit, "bbl": "1012657501.00000000"}) == BBL.parse("1012657501")
    assert PERMITS.owner({**parts_of_unit, "bbl": "1035319"}) == BBL.parse("1012651001")
    assert PERMITS.owner(parts_of_unit) == BBL.parse("1012651001")


def test_a_complaint_without_a_bbl_is_of_no_lot() -> None:
    """Street corners have none, and 311 keeps no block or lot."""
    assert COMPLAINTS_311.owner({"borough": "MANHATTAN"}) is None
    assert COMPLAINTS_311.owner({"bbl": "1000670001"}) == BBL.parse("1000670001")


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
def test_only_columns_that_exist_are_asked_for(dataset: Dataset) -> None:
    """A misspelt one would be a 400 for every caller."""
    where = dataset.where([BBL.parse("1012650001"), BBL.parse("5000010001")])

    assert columns_named(where) <= dataset.columns
    assert dataset.key in dataset.columns


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "isn_dob_bis_vio"},
        {"bbl": "bbl"},
        {"created": "created"},
        {"lot": ("borough", "block", "lot")},
    ],
)
def test_a_misspelt_column_is_caught_when_the_data_set_is_declared(wrong: Mapping[str, Any]) -> None:
    """At import, in our tests, and not at the provider."""
    lot = LotColumns(borough="boro", block="block", lot="lot", spelled=str)
    if "lot" in wrong:
        borough, block, number = wrong["lot"]
        wrong = {"lot": LotColumns(borough=borough, block=block, lot=number, spelled=str)}
    declared = {"name": "x", "id": "3h2n-5cm9", "key": "isn_dob_bis_viol", "lot": lot, **wrong}

    with pytest.raises(ValueError, match="x has no column"):
        Dataset(columns=DOB_VIOLATIONS.columns, **declared)
