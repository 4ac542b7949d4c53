"""Our reading of NYC Open Data against rows and errors that the City itself sent.

The owner of each row is found here by plain arithmetic, beside the code under test.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from jsonschema_path.handlers import file_handler

from tasks.arguments.bbl import BBL
from tasks.datasets import COMPLAINTS_311, DATASETS, DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS, Dataset
from tasks.importing import pages
from tasks.nyc_open_data import PROVIDER, fetch_bbls, judge
from tasks.query import Query, read
from tests.contract.tally import Tally
from tests.driver import Driver
from tests.table import rows_where
from worker.errors import ResponseUnreadable
from worker.http.verdict import verdict
from worker.provider import Verdict
from worker.request import Answer

Rows = list[dict[str, Any]]


@pytest.fixture
def socrata(contracts: Path) -> Path:
    """The folder of recorded answers."""
    return contracts / "recorded" / "socrata"


@pytest.fixture
def recorded(socrata: Path) -> dict[str, Rows]:
    """Every recorded row of our four data sets, under the columns that the API names."""
    legacy = socrata / "dob_legacy"
    return {
        "dob_violations": _exported(socrata / "nycdb_csv" / "dob_violations.csv")
        + _sent(legacy / "sample_3h2n-5cm9.json")
        + _sent(legacy / "query_3h2n-5cm9_bin1006014_positive.json"),
        "hpd_violations": _exported(socrata / "nycdb_csv" / "hpd_violations.csv")
        + _sent(socrata / "sample_wvxf-dwi5_hpd_violation.json"),
        "complaints_311": _sent(socrata / "sample_erm2-nwe9_with_bbl.json")
        + _sent(socrata / "sample_erm2-nwe9_without_bbl.json"),
        "permits": _sent(legacy / "sample_ipu4-2q9a.json") + _sent(socrata / "sample_ipu4-2q9a_no_bbl.json"),
    }


def _sent(path: Path) -> Rows:
    rows: Rows = json.loads(path.read_text(encoding="utf-8"))
    return rows


def _exported(path: Path) -> Rows:
    """Rows of a bulk export: its headings in lower case are the API's names; the API omits what is empty."""
    with path.open(encoding="utf-8", newline="") as lines:
        return [
            {name.lower(): value for name, value in row.items() if value} for row in csv.DictReader(lines)
        ]


def plainly(name: str, row: dict[str, Any]) -> str | None:
    """The row's BBL, by arithmetic and without our code."""
    if "bbl" in row:
        return str(int(float(row["bbl"])))
    names = ["MANHATTAN", "BRONX", "BROOKLYN", "QUEENS", "STATEN ISLAND"]
    if name == "complaints_311" or not row.get("block") or int(row["lot"]) > 9999:
        return None
    borough = names.index(row["borough"]) + 1 if name == "permits" else int(row.get("boroid") or row["boro"])
    return str(borough * 10**9 + int(row["block"]) * 10**4 + int(row["lot"]))


def lots_in(rows: Rows, name: str) -> list[str]:
    """Every BBL that occurs, once."""
    return sorted({bbl for row in rows if (bbl := plainly(name, row))})


@pytest.mark.parametrize("dataset", [DOB_VIOLATIONS, PERMITS], ids=lambda dataset: dataset.name)
def test_our_columns_are_those_that_the_city_publishes(socrata: Path, dataset: Dataset) -> None:
    """All of them, and none besides."""
    views = json.loads((socrata / "dob_legacy" / "views_metadata_extract_17_datasets.json").read_text())
    published = {column["fieldName"] for column in views["datasets"][dataset.id]["columns"]}

    assert dataset.columns == published


@pytest.mark.parametrize("dataset", [HPD_VIOLATIONS, COMPLAINTS_311], ids=lambda dataset: dataset.name)
def test_no_recorded_row_has_a_column_that_we_do_not_know(socrata: Path, dataset: Dataset) -> None:
    """These two have no recorded inventory: their rows must do."""
    rows = [row for path in socrata.glob(f"sample_{dataset.id}_*.json") for row in _sent(path)]

    assert rows
    assert {column for row in rows for column in row} <= dataset.columns


@pytest.mark.parametrize("name", DATASETS)
def test_every_recorded_row_has_the_owner_that_plain_arithmetic_gives_it(
    recorded: dict[str, Rows], name: str
) -> None:
    """Empty blocks, TEST RECORDs of lot 99999 and street corners have none."""
    owners = [DATASETS[name].owner(row) for row in recorded[name]]

    assert [plainly(name, row) for row in recorded[name]] == [owner and str(owner) for owner in owners]


def test_the_housing_rows_name_the_same_lot_twice(recorded: dict[str, Rows]) -> None:
    """Their bbl and their unpadded parts agree in every one: the parts are a sound second way."""
    for row in recorded["hpd_violations"]:
        assert BBL.from_column(row["bbl"]) == BBL.from_columns(row["boroid"], row["block"], row["lot"])


def test_the_recordings_hold_lots_of_four_and_of_five_digits(recorded: dict[str, Rows]) -> None:
    """So that the tests below meet what they are about."""
    assert {4, 5} <= {len(row.get("lot", "")) for row in recorded["dob_violations"]}
    assert any("bbl" not in row for row in recorded["permits"])


@pytest.mark.parametrize("name", DATASETS)
def test_a_query_for_each_recorded_lot_selects_its_rows_and_no_others(
    recorded: dict[str, Rows], name: str, tally: Tally
) -> None:
    """Whatever their padding."""
    dataset, rows = DATASETS[name], recorded[name]

    for bbl in lots_in(rows, name):
        where = dataset.where([BBL.parse(bbl)])
        expected = [row for row in rows if plainly(name, row) == bbl]
        assert rows_where(rows, dataset.columns, where) == expected
    tally.validated("nyc_open_data", len(lots_in(rows, name)))


@pytest.mark.parametrize("name", DATASETS)
def test_queries_for_all_recorded_lots_together_select_every_row_that_has_one(
    recorded: dict[str, Rows], name: str
) -> None:
    """Coalesced or one by one: the same rows."""
    dataset, rows = DATASETS[name], recorded[name]
    lots = tuple(map(BBL.parse, lots_in(rows, name)))

    selected = [
        row
        for part in Query(dataset=dataset, bbls=lots).fitting()
        for row in rows_where(rows, dataset.columns, dataset.where(part.bbls))
    ]

    expected = [row for row in rows if plainly(name, row)]
    assert sorted(map(json.dumps, expected)) == sorted(map(json.dumps, selected))


def test_recorded_rows_are_split_back_to_their_lots(recorded: dict[str, Rows], tally: Tally) -> None:
    """Also when the provider sends more than was asked for: nothing missing, nothing foreign."""
    everything = {DATASETS[name].path: rows for name, rows in recorded.items()}
    provider = Driver(answer=lambda request: Answer(status=200, data=everything[request.path]))
    lots = sorted({bbl for name, rows in recorded.items() for bbl in lots_in(rows, name)})

    reports = provider.run(fetch_bbls.operation.function(lots))

    assert len(lots) > 100
    for bbl, report in reports.items():
        for name, rows in recorded.items():
            assert report[name] == [row for row in rows if plainly(name, row) == bbl]
    tally.parsed("nyc_open_data", 9)  # the files that the fixture reads


def test_a_recorded_number_with_decimals_is_a_bbl(socrata: Path, tally: Tally) -> None:
    """Socrata writes number columns so."""
    wrapped = json.loads((socrata / "pluto" / "F12_bbl_decimal_serialization.json").read_text())
    rows = json.loads(wrapped["response_body_raw"])

    assert [row["bbl"] for row in rows] == ["1000010010.00000000", "1000010100.00000000"]
    assert [str(BBL.from_column(row["bbl"])) for row in rows] == ["1000010010", "1000010100"]
    tally.parsed("nyc_open_data")


def test_recorded_pages_end_with_the_short_one(socrata: Path, tally: Tally) -> None:
    """A full page of 1000 is followed by another request, a short one by none."""
    pages = [_sent(socrata / "sodapy" / f"bike_counts_page_{n}.json") for n in (1, 2)]
    provider = Driver(
        answer=lambda request: Answer(status=200, data=pages[int(request.params["$offset"]) // 1000])
    )

    provider.run(read(Query(dataset=DOB_VIOLATIONS, bbls=(BBL.parse("1012650001"),))))

    assert [len(pages[0]), len(pages[1]) < 1000, len(provider.requests)] == [1000, True, 2]
    tally.parsed("nyc_open_data", 2)


# --- what an import asks ----------------------------------------------------------------------------

PAGES = ("F06a_pagination_page1", "F06b_pagination_page2")
SINCE = "2026-07-16T17:40:22.000Z"


@pytest.fixture
def neighbours(socrata: Path) -> list[dict[str, Any]]:
    """Two recorded pages of five lots each, in the order of their BBL, with what was asked for them."""
    return [json.loads((socrata / "pluto" / f"{name}.json").read_text()) for name in PAGES]


@pytest.fixture
def probes(socrata: Path) -> list[tuple[dict[str, list[str]], str]]:
    """Recorded questions that were answered, by their parameters, and the answers."""
    text = (socrata / "dob_legacy" / "query_log_key_probes.txt").read_text()
    found = re.findall(r"URL: (\S+)\nHTTP: 200\n(\[.*?\])\n", text, re.DOTALL)
    return [(parse_qs(urlsplit(unquote(url)).query), said) for url, said in found]


def named(rows: Rows) -> Rows:
    """*rows* under ids that stand in the recorded order; none was recorded."""
    return [{":id": row["bbl"], **row} for row in rows]


def test_an_import_asks_in_the_way_of_recorded_questions(
    neighbours: list[dict[str, Any]], probes: list[tuple[dict[str, list[str]], str]], tally: Tally
) -> None:
    """The same parameters, functions and places; ``:*`` and the system's columns are the documentation's."""
    asked = [parse_qs(urlsplit(each["request_url"]).query) for each in neighbours]
    asked += [params for params, _ in probes]
    names = {name for params in asked for name in params}
    functions = {each for params in asked for each in re.findall(r"(\w+)\(", params.get("$select", [""])[0])}
    place = re.compile(r"https://data\.cityofnewyork\.us/resource/\w{4}-\w{4}\.json")
    id_ = COMPLAINTS_311.id

    for request in (
        pages.count(id_, ""),
        pages.count(id_, SINCE),
        pages.page(id_, "", "", limit=5),
        pages.page(id_, SINCE, "row-1", limit=5),
    ):
        assert set(request.params) <= names
        assert set(re.findall(r"(\w+)\(", request.params["$select"])) <= functions
        assert place.fullmatch(PROVIDER.base_url + request.path)
        tally.validated("nyc_open_data")
    assert all(place.match(each["request_url"]) for each in neighbours)


def test_recorded_counts_are_read_as_numbers(
    probes: list[tuple[dict[str, list[str]], str]], tally: Tally
) -> None:
    """They are text; of what changed when none was recorded."""
    counts = [row["n"] for _, said in probes for row in json.loads(said) if "n" in row]

    assert len(counts) > 4
    for n in counts:
        answer = Answer(status=200, data=[{"total": n, "newest": SINCE}])
        assert (pages.counted(answer).total, pages.counted(answer).newest) == (int(n), SINCE)
        tally.parsed("nyc_open_data")


def test_pages_behind_the_last_row_are_the_recorded_ones_by_offset(
    neighbours: list[dict[str, Any]], tally: Tally
) -> None:
    """No row is in both, and none is between them."""
    first, second = (named(json.loads(each["response_body_raw"])) for each in neighbours)
    read = pages.rows_of(Answer(status=200, data=first), after="")
    after = read[-1][":id"]
    request = pages.page("64uk-42ks", "", after, limit=len(first))
    where = request.params["$where"].replace(":id", "bbl")

    assert rows_where(first + second, {"bbl"}, where)[: len(first)] == second
    assert pages.rows_of(Answer(status=200, data=second), after=after) == second
    assert [row[":id"] for row in read + second] == sorted(row[":id"] for row in read + second)
    with pytest.raises(ResponseUnreadable):
        pages.rows_of(Answer(status=200, data=first), after=after)
    tally.validated("nyc_open_data")
    tally.parsed("nyc_open_data", 2)


def test_the_recorded_headers_say_until_when_the_rows_are_known(socrata: Path, tally: Tally) -> None:
    """And which columns there are, in an answer that has no value in one."""
    lines = (socrata / "dob_legacy" / "response_headers_3h2n-5cm9_count.txt").read_text().splitlines()[1:]
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    answer = Answer(status=200, data=[{}], headers=headers)

    assert pages.known_until(answer) == SINCE
    assert pages.columns_of(answer) == {"n"}
    assert headers[pages.TRUTH] == headers["x-soda2-secondary-last-modified"]
    tally.parsed("nyc_open_data")


# --- errors and statuses ----------------------------------------------------------------------------


def test_recorded_errors_mean_what_they_should(socrata: Path, tally: Tally) -> None:
    """A misspelt column is left to its status, 400; a refused token is an alarm."""
    bad_column = _sent(socrata / "dob_legacy" / "query_ipu4-2q9a_bad-column_http400.json")
    refused = _sent(socrata / "sodapy" / "403_response_json.txt")

    assert judge(400, {}, bad_column) is None
    assert judge(403, {}, refused) == "credentials"
    tally.parsed("nyc_open_data", 2)


DOCUMENTED: dict[int, Verdict] = {
    200: "ok",
    202: "pending",
    400: "rejected",
    401: "credentials",
    403: "credentials",
    404: "missing",
    429: "throttled",
    500: "unavailable",
}


def test_every_documented_status_means_what_the_owner_says(contracts: Path, tally: Tally) -> None:
    """All that it lists, and none that it does not."""
    with (contracts / "specs" / "socrata_response_codes.yml").open(encoding="utf-8") as stream:
        listed = {each["code"]: each for each in file_handler(stream)}

    rows = [{"violationid": "1"}]
    meant = {code: verdict(PROVIDER, code, {}, rows if code == 200 else None) for code in listed}

    assert meant == DOCUMENTED
    assert {code for code in meant if listed[code]["class"] == "good"} == {200, 202}
    tally.parsed("nyc_open_data", len(meant))
