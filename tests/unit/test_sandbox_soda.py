"""NYC Open Data as the sandbox plays it, over real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import requests

from tests.sandbox import LOTS, POISON, TOKEN, Sandbox, generated_rows

TODAY = date(2026, 11, 21)
DOB, HPD, CALLS, PERMITS = "3h2n-5cm9", "wvxf-dwi5", "erm2-nwe9", "ipu4-2q9a"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """One sandbox for the module; its tests change nothing that stays."""
    with Sandbox(generated_rows(today=TODAY), today=TODAY) as running:
        yield running


@pytest.fixture
def session() -> Iterator[requests.Session]:
    """A client as Narrows uses one."""
    with requests.Session() as one:
        yield one


class Soda:
    """Asks the sandbox; ``__`` in a keyword stands for the dollar of ``$limit``."""

    def __init__(self, sandbox: Sandbox, session: requests.Session) -> None:
        self._base = sandbox.base_url("nyc_open_data")
        self._session = session

    def ask(self, dataset: str, *, headers: Any = None, **params: str) -> requests.Response:
        """The answer to one query."""
        named = {name.replace("__", "$"): value for name, value in params.items()}
        url = f"{self._base}/resource/{dataset}.json"
        return self._session.get(url, params=named, headers=headers, timeout=10)

    def rows(self, dataset: str, **params: str) -> Any:
        """The rows of a query that succeeds."""
        answer = self.ask(dataset, **params)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def soda(sandbox: Sandbox, session: requests.Session) -> Soda:
    """Asks the sandbox."""
    return Soda(sandbox, session)


def test_nulls_are_left_out_and_numbers_are_text(soda: Soda) -> None:
    """A row holds what it has, and may hold nothing of what was selected."""
    rows = soda.rows(PERMITS, __select="bbl,hic_license", bbl="1012650001")
    bare = soda.rows(PERMITS, __select="hic_license", __limit="1")

    assert rows[0] == {"bbl": "1012650001"}
    assert bare == [{}]


def test_a_page_has_a_thousand_rows_unless_told_otherwise(soda: Soda) -> None:
    """The default limit truncates in silence; a higher one does not."""
    (counted,) = soda.rows(HPD, __select="count(*) as n")

    assert len(soda.rows(HPD)) == 1000
    assert len(soda.rows(HPD, __limit="60000")) == int(counted["n"]) > 1000
    assert counted == {"n": str(int(counted["n"]))}


def test_without_an_order_the_order_is_another_each_time(soda: Soda) -> None:
    """Pages of an unordered query overlap, as the real ones may."""
    first, second = ([row["unique_key"] for row in soda.rows(CALLS, __select="unique_key")] for _ in range(2))

    assert first != second
    assert sorted(first) == sorted(second)


def test_ordered_pages_neither_overlap_nor_skip(soda: Soda) -> None:
    """``$order=:id`` makes ``$offset`` mean something."""
    pages = [
        soda.rows(CALLS, __order=":id", __limit="50", __offset=str(offset)) for offset in range(0, 300, 50)
    ]

    keys = [row["unique_key"] for page in pages for row in page]
    assert len(keys) == len(set(keys)) == int(soda.rows(CALLS, __select="count(*) as n")[0]["n"])


def test_orders_may_be_several_and_descending(soda: Soda) -> None:
    """The second order decides where the first does not; nulls come last."""
    rows = soda.rows(HPD, __order="boroid desc, inspectiondate", __limit="60000")

    boroughs = [row["boroid"] for row in rows]
    staten = [row.get("inspectiondate", "9") for row in rows if row["boroid"] == "1"]
    assert boroughs == sorted(boroughs, reverse=True)
    assert staten == sorted(staten)


def test_an_unknown_column_is_refused_wherever_it_stands(soda: Soda) -> None:
    """DOB violations have no bbl: asking for one is an error, not an empty answer."""
    asked: list[dict[str, str]] = [
        {"bbl": "1012650001"},
        {"__where": "bbl='1012650001'"},
        {"__select": "bbl"},
        {"__order": "bbl"},
        {"__group": "bbl", "__select": "bbl"},
    ]

    for params in asked:
        answer = soda.ask(DOB, **params)
        assert (answer.status_code, answer.json()["errorCode"]) == (400, "query.soql.no-such-column")
        assert answer.json()["data"]["column"] == "bbl"


def test_the_error_points_at_the_column(soda: Soda) -> None:
    """The position counts from one and the line marks the place."""
    position = soda.ask(DOB, __where="boro='1' and bbl='1'").json()["data"]["position"]

    line, mark = position["line"].split("\n")
    assert line[position["column"] - 1 :].startswith("bbl")
    assert mark == " " * (position["column"] - 1) + "^"


@pytest.mark.parametrize(
    "where",
    ["boro=", "boro='1", "boro='1' and", "(boro='1'", "boro in ()", "boro = 'O\\'Brien'", "boro ! '1'"],
)
def test_what_is_no_soql_is_malformed(soda: Soda, where: str) -> None:
    """A syntax error has the older envelope."""
    answer = soda.ask(DOB, __where=where)

    assert (answer.status_code, answer.json()["code"]) == (400, "query.compiler.malformed")


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"__limit": "many"}, 400),
        ({"__offset": "-1"}, 400),
        ({"__wehre": "boro='1'"}, 400),
        ({"__query": "SELECT *"}, 501),
        ({"__having": "n > 1"}, 501),
    ],
)
def test_a_parameter_that_is_not_understood_is_refused(
    soda: Soda, params: dict[str, str], status: int
) -> None:
    """Nothing is ignored that was meant to matter."""
    assert soda.ask(DOB, **params).status_code == status


def test_an_unknown_dataset_is_missing(soda: Soda) -> None:
    """404, in the core layer's envelope."""
    answer = soda.ask("zzzz-zzzz")

    assert answer.status_code == 404
    assert answer.json() == {
        "code": "dataset.missing",
        "error": True,
        "message": "Not found",
        "data": {"id": "zzzz-zzzz"},
    }


def test_a_bad_token_is_worse_than_none(soda: Soda) -> None:
    """A known token and none at all are fine; a revoked one fails every call."""
    statuses = [
        soda.ask(DOB, headers=headers, __limit="1").status_code
        for headers in ({}, {"X-App-Token": TOKEN}, {"X-App-Token": "revoked"})
    ]

    assert statuses == [200, 200, 403]
    assert soda.ask(DOB, **{"$$app_token": "revoked"}).json()["code"] == "permission_denied"


def test_an_answer_can_be_revalidated(soda: Soda) -> None:
    """The ETag and the date bring 304 until the rows change."""
    first = soda.ask(DOB, boro="1")

    by_tag = soda.ask(DOB, boro="1", headers={"If-None-Match": first.headers["ETag"]})
    by_date = soda.ask(DOB, boro="1", headers={"If-Modified-Since": first.headers["Last-Modified"]})
    other = soda.ask(DOB, boro="2", headers={"If-None-Match": first.headers["ETag"]})

    assert [by_tag.status_code, by_date.status_code, other.status_code] == [304, 304, 200]
    assert by_tag.content == b""


def test_changed_rows_have_another_etag_and_a_later_date(session: requests.Session) -> None:
    """What was loaded anew is told apart from what was there before, which a stale replica still shows."""
    with Sandbox({DOB: [{"boro": "1"}]}, today=TODAY) as sandbox:
        soda = Soda(sandbox, session)
        before = soda.ask(DOB)
        sandbox.nyc_open_data.load({DOB: [{"boro": "2"}]})
        after = soda.ask(DOB, headers={"If-None-Match": before.headers["ETag"]})
        sandbox.nyc_open_data.out_of_date = True
        stale = soda.ask(DOB)

    assert (after.status_code, after.json()) == (200, [{"boro": "2"}])
    modified = "X-SODA2-Truth-Last-Modified"
    assert before.headers[modified] < after.headers[modified]
    assert after.headers["X-SODA2-Data-Out-Of-Date"] == "false"
    assert (stale.json(), stale.headers["X-SODA2-Data-Out-Of-Date"]) == ([{"boro": "1"}], "true")
    assert stale.headers[modified] == after.headers[modified]
    known = "X-SODA2-Secondary-Last-Modified"
    assert stale.headers[known] == before.headers[known] != after.headers[known]


def test_rows_that_are_served_for_a_while_leave_the_old_ones_behind(session: requests.Session) -> None:
    """Others ask the same sandbox; each of the three is told apart from the one before by its date."""
    with Sandbox({DOB: iter([{"boro": "1"}])}, today=TODAY) as sandbox:
        soda = Soda(sandbox, session)
        before = soda.ask(DOB)
        with sandbox.nyc_open_data.serving({DOB: [{"boro": "2"}]}):
            meanwhile = soda.ask(DOB)
        after = soda.ask(DOB)

    assert [each.json() for each in (before, meanwhile, after)] == [[{"boro": n}] for n in "121"]
    assert len({each.headers["X-SODA2-Truth-Last-Modified"] for each in (before, meanwhile, after)}) == 3


def test_an_address_over_eight_kilobytes_is_too_long(soda: Soda) -> None:
    """A list of a thousand lots does not fit."""
    listed = ",".join(f"'{number}'" for number in range(1_000_000_000, 1_000_001_000))

    assert soda.ask(CALLS, __where=f"bbl in({listed})").status_code == 414


def test_a_marked_query_fails_however_often_it_is_asked(soda: Soda) -> None:
    """Some of Socrata's 500s are for good: same question, same tag."""
    answers = [soda.ask(DOB, street=POISON) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {500}
    assert len({answer.json()["data"]["tag"] for answer in answers}) == 1


def test_a_cast_that_a_row_does_not_take_is_an_internal_error(soda: Soda) -> None:
    """Garbage among text dates turns a range over a cast into a 500 (recorded for another dataset)."""
    answer = soda.ask(DOB, __where="issue_date::floating_timestamp > '2020-01-01'")

    assert (answer.status_code, answer.json()["errorCode"]) == (500, "internal-error")


def test_large_answers_are_compressed_for_those_who_can_read_it(soda: Soda) -> None:
    """Both readings hold the same rows."""
    packed = soda.ask(HPD, __order=":id")
    plain = soda.ask(HPD, __order=":id", headers={"Accept-Encoding": "identity"})

    assert packed.headers.get("Content-Encoding") == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.json() == plain.json()


def test_rows_can_be_counted_in_groups(soda: Soda) -> None:
    """Groups add up to the whole, and may be ordered by what was counted."""
    groups = soda.rows(CALLS, __select="borough, count(*) as n", __group="borough", __order="n desc")

    counts = [int(group["n"]) for group in groups]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == int(soda.rows(CALLS, __select="count(*)")[0]["count"])
    assert soda.ask(CALLS, __select="borough, count(*)").json()["errorCode"].endswith("not-in-group-bys")


def test_every_lot_can_be_asked_for_in_the_way_of_its_dataset(soda: Soda) -> None:
    """The four ways of PROVIDERS.md find what was generated for 1012650001."""
    paddings = "boro='1' AND block='01265' AND lot in('00001','0001','001','1')"

    assert len(soda.rows(DOB, __where=paddings)) == 8
    assert len(soda.rows(DOB, boro="1", block="01265", lot="00001")) == 2
    assert len(soda.rows(HPD, boroid="1", block="1265", lot="1")) == len(soda.rows(HPD, bbl=LOTS[0].bbl)) == 2
    assert len(soda.rows(PERMITS, borough="MANHATTAN", block="01265", lot="00001")) == 5
    assert len(soda.rows(PERMITS, bbl="1012650001")) == 4
    assert len(soda.rows(CALLS, bbl="1012650001")) == 5
    assert soda.rows(CALLS, bbl="5999999999") == []
