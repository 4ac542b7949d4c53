"""Queries that fit their URLs, and pages that are read to the end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks import soql
from tasks.arguments.bbl import BBL
from tasks.datasets import COMPLAINTS_311, DATASETS, DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS, Dataset
from tasks.query import MOST, Query, read
from tests.driver import Driver
from worker.errors import CallError, ProviderUnavailable, ResponseUnreadable
from worker.request import Answer, Request

LOT = BBL.parse("1007200055")
ANY = st.builds(
    BBL,
    borough=st.integers(1, 5),
    block=st.one_of(st.integers(1, 20), st.integers(1, 99_999)),
    lot=st.integers(0, 9_999),
)
ROW = {"boro": "1", "block": "00720", "lot": "00055"}


def rows(count: int, first: int = 0) -> list[dict[str, str]]:
    """So many violations of LOT, numbered."""
    return [{**ROW, "isn_dob_bis_viol": str(first + n)} for n in range(count)]


def paged(kept: list[dict[str, str]]) -> Driver:
    """A provider that has *kept* and honours limit and offset."""

    def answer(request: Request) -> Answer:
        start, size = int(request.params["$offset"]), int(request.params["$limit"])
        return Answer(status=200, data=kept[start : start + size])

    return Driver(answer=answer)


def scripted(*answers: Answer | CallError) -> Driver:
    """A provider that gives these answers, in this order."""
    left = iter(answers)
    return Driver(answer=lambda _: next(left))


def query(dataset: Dataset = DOB_VIOLATIONS, *lots: BBL) -> Query:
    """A query for these lots, or for LOT."""
    return Query(dataset=dataset, bbls=lots or (LOT,))


@settings(max_examples=30, deadline=None)
@given(st.sets(ANY, min_size=1, max_size=100), st.sampled_from(list(DATASETS.values())))
def test_a_hundred_lots_take_at_most_two_requests_whichever_they_are(
    lots: set[BBL], dataset: Dataset
) -> None:
    """No lot is left out or asked for twice, and every URL stays below 7 KB."""
    asked = Query(dataset=dataset, bbls=tuple(lots), window="created_date >= '2026-01-01T00:00:00.000'")
    parts = asked.fitting()

    assert len(parts) <= 2
    assert sorted(lots) == [lot for part in parts for lot in part.bbls]
    assert all(part.length <= soql.LONGEST for part in parts)
    assert all(part.window == asked.window for part in parts)


@pytest.mark.parametrize("dataset", [DOB_VIOLATIONS, HPD_VIOLATIONS, PERMITS])
@pytest.mark.parametrize("crowded", [1, 2, 5])
def test_the_longest_hundred_lots_take_two_requests(dataset: Dataset, crowded: int) -> None:
    """Low blocks have most paddings: all 45 of one digit, and the rest of two, as scattered as can be."""
    lots = {BBL(borough=b, block=block, lot=block) for b in range(1, 6) for block in range(1, 10)}
    lots |= {BBL(borough=1 + n % crowded, block=10 + n, lot=7501) for n in range(55)}

    parts = query(dataset, *lots).fitting()

    assert [len(lots), len(parts)] == [100, 2]


def test_lots_of_one_block_share_its_condition() -> None:
    """A street of neighbours is the usual portfolio."""
    neighbours = [BBL(borough=3, block=5327, lot=lot) for lot in range(1, 101)]

    assert len(query(DOB_VIOLATIONS, *neighbours).fitting()) == 1


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
def test_pages_are_read_until_a_short_one(count: int) -> None:
    """1000 rows are a page and not the whole."""
    city = paged(rows(count))

    found = city.run(read(query()))

    assert found.rows == {LOT: rows(count)}
    assert [request.params["$offset"] for request in city.requests] == [
        str(offset) for offset in range(0, count + 1, 1000)
    ]


@pytest.mark.parametrize(("limit", "sizes"), [(10, [10]), (1000, [1000]), (1500, [1000, 1000])])
def test_a_limit_ends_the_reading(limit: int, sizes: list[int]) -> None:
    """No page is asked for that is not wanted."""
    city = paged(rows(5000))

    found = city.run(read(query(), limit=limit))

    assert len(found.rows[LOT]) >= limit
    assert sizes == [int(request.params["$limit"]) for request in city.requests]


def test_rows_of_other_lots_do_not_count_towards_the_limit() -> None:
    """A page that holds only foreign rows is not the end."""
    foreign = [{**row, "lot": "00056"} for row in rows(10)]
    city = paged(foreign + rows(10))

    found = city.run(read(query(), limit=10))

    assert found.rows == {LOT: rows(10)}


def test_each_row_goes_to_its_own_lot() -> None:
    """By its own columns, in whatever padding; a row of no lot asked for goes nowhere."""
    other = BBL.parse("3008540043")
    mine, padded, foreign = {**ROW, "lot": "55"}, {"boro": "3", "block": "854", "lot": "0043"}, {"boro": "2"}
    city = scripted(Answer(status=200, data=[mine, padded, foreign]))

    found = city.run(read(query(DOB_VIOLATIONS, LOT, other)))

    assert found.rows == {LOT: [mine], other: [padded]}


def test_an_offset_that_the_provider_ignores_comes_to_an_end() -> None:
    """The same full page for ever is no answer."""
    city = Driver(answer=lambda _: Answer(status=200, data=rows(1000)))

    with pytest.raises(ResponseUnreadable, match=f"more than {MOST} records"):
        city.run(read(query()))

    assert len(city.requests) == MOST // 1000 + 1


@pytest.mark.parametrize("data", [None, {"error": True}, "text", [1], [["row"]]])
def test_an_answer_that_is_no_list_of_rows_is_unreadable(data: object) -> None:
    """And says so without repeating it."""
    with pytest.raises(ResponseUnreadable, match="not a list of records"):
        scripted(Answer(status=200, data=data)).run(read(query()))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([("live", 0.0)], {"from": "live", "age": 0.0}),
        ([("cache", 12.0), ("live", 0.0)], {"from": "cache", "age": 12.0}),
        ([("cache", 12.0), ("stale", 4000.0), ("live", 0.0)], {"from": "stale", "age": 4000.0}),
    ],
)
def test_a_result_is_as_old_as_its_oldest_page(
    answers: list[tuple[str, float]], expected: dict[str, Any]
) -> None:
    """One stale page makes the whole stale."""
    pages = [
        Answer(status=200, data=rows(1000 if n < len(answers) else 1), source=source, age=age)
        for n, (source, age) in enumerate(answers, 1)
    ]

    assert scripted(*pages).run(read(query())).source == expected


def page(count: int, version: str | None, source: str = "live") -> Answer:
    """A page of the data set as it was at *version*."""
    headers = {"x-soda2-truth-last-modified": version} if version else {}
    return Answer(status=200, data=rows(count), headers=headers, source=source)


def test_pages_of_two_versions_are_read_once_more_and_anew() -> None:
    """A row added between two pages shifts all behind it: one would be missing without a sign."""
    city = scripted(page(1000, "old", "cache"), page(3, "new"), page(1000, "new"), page(4, "new"))

    found = city.run(read(query()))

    assert len(found.rows[LOT]) == 1004
    assert [request.fresh for request in city.requests] == [False, False, True, True]


@pytest.mark.parametrize("versions", [("same", "same"), (None, None), ("some", None)])
def test_pages_of_one_version_are_read_once(versions: tuple[str | None, str | None]) -> None:
    """A cached page may have lost its header; that is no sign of change."""
    city = scripted(page(1000, versions[0]), page(3, versions[1]))

    assert len(city.run(read(query())).rows[LOT]) == 1003


def test_an_error_reaches_whoever_asked() -> None:
    """Reading knows nothing of what to do about it."""
    with pytest.raises(ProviderUnavailable):
        scripted(page(1000, None), ProviderUnavailable()).run(read(query()))


def test_a_window_narrows_the_query() -> None:
    """Both hold: the lot and the time."""
    window = "created_date >= '2026-01-01T00:00:00.000'"
    request = Query(dataset=COMPLAINTS_311, bbls=(LOT,), window=window).request(limit=10)

    assert request.params["$where"] == f"bbl='1007200055' AND {window}"
    assert request.label == "complaints_311"
    assert request.path == "/resource/erm2-nwe9.json"
