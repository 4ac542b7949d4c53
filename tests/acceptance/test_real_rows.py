"""Real buildings through a real worker: every recorded row reaches its lot, and no other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from celery import group

from tasks import fetch_311_complaints, fetch_bbl, fetch_bbls, fetch_permits
from tasks.datasets import DATASETS
from tests.acceptance.envelopes import Envelopes
from tests.fleet import Fleet, Ground
from tests.sandbox import bbls_in, load_recorded
from worker.errors import CallError

ROOM = {"NARROWS_PROVIDERS__NYC_OPEN_DATA__RATE": "1000", "NARROWS_PROVIDERS__NYC_OPEN_DATA__BURST": "1000"}

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def rows(recordings: Path) -> Rows:
    """Every recorded row, by dataset id."""
    return load_recorded(recordings)


@pytest.fixture(scope="module")
def lots(rows: Rows) -> list[str]:
    """Every BBL that occurs in them."""
    return sorted(bbls_in(rows))


@pytest.fixture(scope="module")
def fleet(clean: Ground, rows: Rows) -> Iterator[Fleet]:
    """A worker whose provider has the recorded rows."""
    with (
        clean.sandbox.nyc_open_data.serving(rows),
        Fleet(clean, workers=1, concurrency=16, env=ROOM) as fleet,
    ):
        yield fleet


def expected(rows: Rows, lots: list[str]) -> dict[str, dict[str, list[str]]]:
    """The rows of each lot by data set, found by looking at every row; no complaint is recent."""
    named = bbls_in(rows)
    return {
        bbl: {
            name: [] if each.created else texts(named[bbl].get(each.id, ()))
            for name, each in DATASETS.items()
        }
        for bbl in lots
    }


def found_in(report: dict[str, Any]) -> dict[str, list[str]]:
    """The rows of one lot's report by data set."""
    return {name: texts(report[name]) for name in DATASETS}


def texts(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """*rows* as text, in an order of their own."""
    return sorted(json.dumps(row, sort_keys=True) for row in rows)


def test_fetch_bbl_finds_every_recorded_row_of_every_lot_and_no_foreign_one(
    fleet: Fleet, rows: Rows, lots: list[str]
) -> None:
    """Whatever the padding, with and without a bbl column."""
    reports = group(fetch_bbl.s(bbl) for bbl in lots).apply_async().get(timeout=60)

    assert len(lots) > 150
    assert expected(rows, lots) == {each["bbl"]: found_in(each) for each in reports}
    assert {source["from"] for each in reports for source in each["sources"].values()} == {"live"}
    assert fleet.stack.workers[0].restarts == 0


def test_fetch_bbls_finds_the_same_in_a_few_requests(
    fleet: Fleet, clean: Ground, rows: Rows, lots: list[str]
) -> None:
    """All lots of all boroughs together, in two requests for each data set and hundred lots."""
    before = clean.sandbox.control.counts("nyc_open_data")["count"]

    reports = fetch_bbls.delay(lots).get(timeout=30)

    made = clean.sandbox.control.counts("nyc_open_data")["count"] - before
    assert expected(rows, lots) == {bbl: found_in(each) for bbl, each in reports.items()}
    assert made <= 2 * len(DATASETS) * -(-len(lots) // 100)
    assert fleet.pids[0]


def test_the_recorded_complaint_is_found_in_its_own_month(fleet: Fleet, rows: Rows) -> None:
    """It is of 2015: nobody sees it today, everybody does as of then."""
    (row,) = [row for row in rows["erm2-nwe9"] if "bbl" in row]

    then = fetch_311_complaints.delay(row["bbl"], as_of_date=row["created_date"][:10]).get(timeout=10)
    now = fetch_311_complaints.delay(row["bbl"]).get(timeout=10)

    assert [row] == then
    assert now == []
    assert fleet.pids[0]


@pytest.fixture(scope="module")
def quoting(clean: Ground, fleet: Fleet) -> Iterator[Fleet]:
    """A worker whose provider says what was recorded; the other one has done its work."""
    fleet.__exit__()
    env = {
        "NARROWS_PROVIDERS__NYC_OPEN_DATA__BASE_URL": clean.sandbox.base_url("envelopes"),
        "NARROWS_PROVIDERS__NYC_OPEN_DATA__RETRY_ATTEMPTS": "1",
    }
    with Fleet(clean, workers=1, env=env) as other:
        yield other


def recorded_errors(contracts: Path) -> dict[str, tuple[int, Any, str]]:
    """Status, body and our code for each error that Socrata was seen to send."""
    folder = contracts / "recorded" / "socrata"
    documented = json.loads((contracts / "recorded" / "error_envelopes_documented.json").read_text())
    quoted = {each["status"]: each["body_json"] for each in documented if each["provider"] == "socrata"}
    bad_column = json.loads((folder / "dob_legacy" / "query_ipu4-2q9a_bad-column_http400.json").read_text())
    probes = (folder / "dob_legacy" / "query_log_key_probes.txt").read_text()
    crash = json.loads(re.findall(r"HTTP: 500\n(.*)", probes)[0])
    old_refusal = json.loads((folder / "sodapy" / "403_response_json.txt").read_text())
    return {
        "bad column": (400, bad_column, "upstream_rejected"),
        "refused token": (403, quoted[403], "upstream_rejected"),
        "older refusal": (403, old_refusal, "upstream_rejected"),
        "missing data set": (404, quoted[404], "upstream_rejected"),
        "internal error": (500, quoted[500], "upstream_error"),
        "recorded crash": (500, crash, "upstream_error"),
    }


@pytest.mark.parametrize(
    "which",
    ["bad column", "refused token", "older refusal", "missing data set", "internal error", "recorded crash"],
)
def test_a_recorded_error_ends_as_the_error_that_it_means(
    quoting: Fleet, envelopes: Envelopes, recordings: Path, which: str
) -> None:
    """As the provider's own words, through a worker, to the caller, who sees none of its text."""
    status, body, code = recorded_errors(recordings)[which]
    envelopes.status, envelopes.body = status, body

    with pytest.raises(CallError) as caught:
        fetch_permits.delay("1012650001").get(timeout=10)

    assert caught.value.code == code
    assert f"answered {status}" in str(caught.value)
    assert body["message"] not in str(caught.value)
    assert quoting.stack.workers[0].restarts == 0
