"""The rows that the sandbox serves: our own, and those that others recorded."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from tests.sandbox import BUSY_BBL, LOTS, Sandbox, bbls_in, generated_rows, load_recorded, service_requests

TODAY = date(2026, 11, 21)
DOB, HPD, CALLS, PERMITS = "3h2n-5cm9", "wvxf-dwi5", "erm2-nwe9", "ipu4-2q9a"


def test_the_same_seed_and_day_give_the_same_rows() -> None:
    """Another seed gives others."""
    assert generated_rows(today=TODAY) == generated_rows(today=TODAY)
    assert generated_rows(today=TODAY) != generated_rows(today=TODAY, seed=1)


def test_generated_rows_hold_the_traps_of_the_real_ones() -> None:
    """All paddings, missing BINs and BBLs, garbage dates, two shapes of dates, and test records."""
    rows = generated_rows(today=TODAY)

    assert {len(row.get("lot", "")) for row in rows[DOB]} >= {1, 3, 4, 5}
    assert any("bin" not in row for row in rows[DOB])
    assert any(not row["issue_date"].startswith(("19", "20")) for row in rows[DOB])
    assert any(row.get("lot") == "99999" for row in rows[DOB])
    assert any("inspectiondate" not in row for row in rows[HPD])
    assert sum(row["bbl"] == BUSY_BBL for row in rows[HPD]) > 1000
    assert any("bbl" not in row for row in rows[CALLS])
    assert any("bbl" not in row for row in rows[PERMITS])
    assert {"/" in row["issuance_date"] for row in rows[PERMITS]} == {True, False}


def test_generated_requests_end_at_the_given_day() -> None:
    """No 311 row is from the future, and the oldest is about a year old."""
    made = [row["created_date"] for row in generated_rows(today=TODAY)[CALLS]]

    assert max(made) <= "2026-11-21T00:00:00.000"
    assert min(made) >= "2025-10-01"


def test_every_lot_with_rows_is_a_lot_of_the_list() -> None:
    """The plain scan finds no lot that was not meant, and finds 1012650001 everywhere."""
    found = bbls_in(generated_rows(today=TODAY))

    assert set(found) <= {lot.bbl for lot in LOTS}
    assert {dataset: len(rows) for dataset, rows in found["1012650001"].items()} == {
        DOB: 8, HPD: 2, CALLS: 5, PERMITS: 5,
    }  # fmt: skip


def test_many_requests_can_be_made_for_imports() -> None:
    """Their keys are their own, and differ from those of the generated rows."""
    keys = {row["unique_key"] for row in service_requests(2500, today=TODAY)}

    assert len(keys) == 2500
    assert not keys & {row["unique_key"] for row in generated_rows(today=TODAY)[CALLS]}


@pytest.mark.parametrize(
    ("dataset", "row", "expected"),
    [
        (HPD, {"bbl": "3046740064"}, {"3046740064"}),
        (PERMITS, {"bbl": "1000010010.00000000"}, {"1000010010"}),
        (PERMITS, {"borough": "BROOKLYN", "block": "05327", "lot": "00058"}, {"3053270058"}),
        (DOB, {"boro": "1", "block": "00720", "lot": "055"}, {"1007200055"}),
        (DOB, {"boro": "2", "bin": "2087708"}, set()),
        (DOB, {"boro": "1", "block": "00854", "lot": "0"}, set()),
        (DOB, {"boro": "5", "block": "99999", "lot": "99999"}, set()),
        (PERMITS, {"bbl": "4284335"}, set()),
        (CALLS, {"borough": "BRONX"}, set()),
    ],
)
def test_a_row_belongs_to_the_lot_that_it_names(
    dataset: str, row: dict[str, str], expected: set[str]
) -> None:
    """By bbl or by borough, block and lot; a BIN in the bbl column names no lot."""
    assert expected == set(bbls_in({dataset: [row]}))


def test_recorded_rows_read_as_the_api_serves_them(contracts: Path) -> None:
    """Exports lose their headings, their dates and their empty cells; nothing is lost on the way."""
    rows = load_recorded(contracts)

    assert {dataset: len(each) for dataset, each in rows.items()} == {
        DOB: 105,
        HPD: 101,
        CALLS: 2,
        PERMITS: 3,
    }
    assert all(
        value not in {"", None}
        for each in rows.values()
        for row in each
        for value in row.values()
        if not isinstance(value, dict)
    )
    violation = next(row for row in rows[HPD] if row["violationid"] == "10000000")
    assert violation["inspectiondate"] == "2013-10-09T00:00:00.000"
    assert (violation["boro"], violation["zip"], violation["bbl"]) == ("BROOKLYN", "11203", "3047040044")
    assert "apartment" not in violation


def test_recorded_rows_can_be_served(contracts: Path) -> None:
    """Every recorded column is one that the sandbox knows."""
    Sandbox(load_recorded(contracts))


def test_a_row_with_an_unknown_column_is_not_served() -> None:
    """A mistake in a test's rows is found when they are given, not when they are missed."""
    with pytest.raises(ValueError, match="columns colour"):
        Sandbox({DOB: [{"colour": "red"}]})
    with pytest.raises(ValueError, match="zzzz-zzzz"):
        Sandbox({"zzzz-zzzz": []})
