"""The tasks of NYC Open Data: what they ask, what they give back, what they refuse."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest

import tasks
from tasks.arguments.bbl import BBL
from tasks.datasets import DATASETS
from tasks.nyc_open_data import (
    PROVIDER,
    fetch_311_complaints,
    fetch_bbl,
    fetch_bbls,
    fetch_dob_violations,
    fetch_hpd_violations,
    fetch_permits,
    judge,
    today,
)
from tests.driver import Driver
from worker.errors import ArgumentsInvalid, BucketEmpty, CallError, ProviderUnavailable, RequestInvalid
from worker.operation import Progress
from worker.provider import Auth
from worker.request import Answer, Request

BBL_TEXT = "1007200055"
NAMES = {dataset.path: name for name, dataset in DATASETS.items()}
ROWS: dict[str, dict[str, Any]] = {
    "dob_violations": {"boro": "1", "block": "00720", "lot": "0055"},
    "hpd_violations": {"bbl": "1007200055.00000000"},
    "complaints_311": {"bbl": "1007200055"},
    "permits": {"borough": "MANHATTAN", "block": "00720", "lot": "00055"},
}


def city(**failing: CallError) -> Driver:
    """A provider with one row of the lot in each data set, but for those that fail."""

    def answer(request: Request) -> Answer | CallError:
        name = NAMES[request.path]
        return failing.get(name) or Answer(status=200, data=[ROWS[name]], source="cache", age=7.0)

    return Driver(answer=answer)


def passing() -> ProviderUnavailable:
    """A failure that the engine will try again."""
    error = ProviderUnavailable()
    error.passing = True
    return error


def test_the_package_exports_its_tasks_sorted() -> None:
    """``from tasks import fetch_bbl`` is all that a service needs."""
    assert sorted(tasks.__all__) == tasks.__all__
    assert {getattr(tasks, name).name for name in tasks.__all__} >= {
        f"nyc_open_data.{name}"
        for name in (
            "fetch_311_complaints",
            "fetch_bbl",
            "fetch_bbls",
            "fetch_dob_violations",
            "fetch_hpd_violations",
            "fetch_permits",
        )
    }


@pytest.mark.parametrize(
    ("task", "name"),
    [
        (fetch_dob_violations, "dob_violations"),
        (fetch_hpd_violations, "hpd_violations"),
        (fetch_311_complaints, "complaints_311"),
        (fetch_permits, "permits"),
    ],
)
def test_a_task_gives_its_data_sets_rows_as_they_are(task: Any, name: str) -> None:
    """One request, and nothing added to or taken from a row."""
    provider = city()

    assert provider.run(task.operation.function(BBL_TEXT)) == [ROWS[name]]
    assert [(request.path, request.label) for request in provider.requests] == [(DATASETS[name].path, name)]


def test_no_more_records_come_than_were_asked_for() -> None:
    """The last page may hold more."""
    provider = Driver(answer=lambda _: Answer(status=200, data=[ROWS["complaints_311"]] * 1000))

    assert len(provider.run(fetch_311_complaints.operation.function(BBL_TEXT, limit=1500))) == 1500


def test_complaints_reach_back_from_the_end_of_the_day_asked_for() -> None:
    """Thirty days, and the day itself."""
    provider = city()

    provider.run(fetch_311_complaints.operation.function(BBL_TEXT, days=30, as_of_date="2026-03-31"))

    where = provider.requests[0].params["$where"]
    assert where == (
        "bbl='1007200055' AND created_date >= '2026-03-01T00:00:00.000'"
        " AND created_date < '2026-04-01T00:00:00.000'"
    )


def test_today_is_new_yorks() -> None:
    """At three in the morning UTC, New York is still in the day before."""
    assert today(datetime(2026, 7, 1, 3, 59, tzinfo=UTC)) == date(2026, 6, 30)
    assert today(datetime(2026, 7, 1, 4, 0, tzinfo=UTC)) == date(2026, 7, 1)
    assert today(datetime(2026, 1, 1, 4, 59, tzinfo=UTC)) == date(2025, 12, 31)


def test_a_report_holds_every_data_set_and_where_it_came_from() -> None:
    """The shape that callers build on."""
    report = city().run(fetch_bbl.operation.function(BBL_TEXT))

    assert report == {
        "bbl": BBL_TEXT,
        **{name: [row] for name, row in ROWS.items()},
        "sources": {name: {"from": "cache", "age": 7.0} for name in ROWS},
    }


def test_a_data_set_that_is_not_included_is_empty_and_has_no_source() -> None:
    """And costs no request."""
    provider = city()

    report = provider.run(fetch_bbl.operation.function(BBL_TEXT, include=("permits",)))

    assert [request.label for request in provider.requests] == ["permits"]
    assert report["sources"] == {"permits": {"from": "cache", "age": 7.0}}
    assert [report[name] for name in ROWS] == [[], [], [], [ROWS["permits"]]]


def test_a_data_set_that_fails_degrades_the_report_and_does_not_fail_it() -> None:
    """Its code stands where its source would."""
    report = city(permits=RequestInvalid(status=400)).run(fetch_bbl.operation.function(BBL_TEXT))

    assert report["permits"] == []
    assert report["sources"]["permits"] == {"error": "upstream_rejected"}
    assert report["dob_violations"] == [ROWS["dob_violations"]]


@pytest.mark.parametrize("held_back", [passing(), BucketEmpty(wait=0.2)])
def test_an_error_that_may_pass_goes_to_the_engine(held_back: CallError) -> None:
    """It waits and runs the task again; what is known comes from the cache then."""
    with pytest.raises(CallError) as raised:
        city(hpd_violations=held_back).run(fetch_bbl.operation.function(BBL_TEXT))

    assert raised.value is held_back


def test_when_every_data_set_fails_the_first_error_is_the_reports() -> None:
    """An empty report would read as a lot without violations."""
    first, second = ProviderUnavailable(status=500), RequestInvalid(status=400)
    provider = city(permits=first, dob_violations=second)

    with pytest.raises(CallError) as raised:
        provider.run(fetch_bbl.operation.function(BBL_TEXT, include=("permits", "dob_violations")))

    assert raised.value is first


@pytest.mark.parametrize(("use_cache", "fresh"), [(True, False), (False, True)])
def test_without_the_cache_every_request_is_fresh(use_cache: object, fresh: object) -> None:
    """The engine skips what it knows."""
    provider = city()

    provider.run(fetch_bbl.operation.function(BBL_TEXT, use_cache=use_cache))

    assert {request.fresh for request in provider.requests} == {fresh}


def lots(count: int) -> list[str]:
    """So many lots of Brooklyn, each in a block of its own."""
    return [str(BBL(borough=3, block=100 + 7 * n, lot=1 + n % 60)) for n in range(count)]


def portfolio(request: Request) -> Answer:
    """One row for each lot that the request asks for."""
    where = request.params["$where"]
    if "bbl" in where:
        asked = re.findall(r"'([1-5]\d{9})'", where)
        return Answer(status=200, data=[{"bbl": bbl} for bbl in asked])
    asked = re.findall(r"block in\('(\d{5})'[^|]*\|\|lot like '%(\d{5})'", where)
    return Answer(status=200, data=[{"boro": "3", "block": block, "lot": lot} for block, lot in asked])


def test_a_hundred_lots_cost_at_most_two_requests_for_each_data_set() -> None:
    """And each lot gets its own row of each."""
    provider, asked = Driver(answer=portfolio), lots(100)

    reports = provider.run(fetch_bbls.operation.function(asked))

    assert list(reports) == asked
    assert all(len(report[name]) == 1 for report in reports.values() for name in DATASETS)
    labels = [request.label for request in provider.requests]
    assert max(labels.count(name) for name in DATASETS) <= 2


def test_many_lots_give_the_shape_of_one() -> None:
    """Whoever reads a report need not know how it was asked for."""
    one = city().run(fetch_bbl.operation.function(BBL_TEXT))

    assert city().run(fetch_bbls.operation.function([BBL_TEXT])) == {BBL_TEXT: one}


def test_a_lot_given_twice_is_one() -> None:
    """Also when it is spelled in two ways."""
    reports = city().run(fetch_bbls.operation.function([BBL_TEXT, "1-00720-0055", BBL_TEXT]))

    assert list(reports) == [BBL_TEXT]


def test_progress_counts_the_queries_to_the_last() -> None:
    """A caller that waits sees how far it is."""
    provider = Driver(answer=portfolio)

    provider.run(fetch_bbls.operation.function(lots(250)))

    total = len(provider.requests)
    assert provider.progress == [Progress(done=done, total=total) for done in range(1, total + 1)]


def test_one_lot_reports_no_progress() -> None:
    """Each report of progress is a write to the result store."""
    provider = city()

    provider.run(fetch_bbl.operation.function(BBL_TEXT))

    assert provider.progress == []


def test_a_query_that_fails_is_missing_for_its_lots_only() -> None:
    """The rest of the portfolio is had."""
    asked = lots(100)

    def answer(request: Request) -> Answer | CallError:
        first = f"'{min(asked)}'" in request.params["$where"]
        return RequestInvalid(status=414) if first and request.label == "permits" else portfolio(request)

    reports = Driver(answer=answer).run(fetch_bbls.operation.function(asked))

    failed = [bbl for bbl, report in reports.items() if "error" in report["sources"]["permits"]]
    assert 0 < len(failed) < 100
    assert all(reports[bbl]["permits"] == [] for bbl in failed)
    assert all(len(report["permits"]) == 1 for bbl, report in reports.items() if bbl not in failed)


def test_when_every_query_fails_the_first_error_is_raised() -> None:
    """As for one lot."""
    first = ProviderUnavailable(status=500)

    with pytest.raises(CallError) as raised:
        Driver(answer=lambda _: first).run(fetch_bbls.operation.function(lots(3)))

    assert raised.value is first


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, [], None),
        (200, [{"bbl": "1012650001"}], None),
        (203, [{"bbl": "1012650001"}], None),
        (200, ["<html>"], "unreadable"),
        (200, [{}, None], "unreadable"),
        (200, {"error": True}, "unreadable"),
        (201, None, "unreadable"),
        (204, None, "unreadable"),
        (304, None, None),
        (202, None, "pending"),
        (202, {"ticket": "x"}, "pending"),
        (400, {"errorCode": "query.soql.no-such-column"}, None),
        (401, None, "credentials"),
        (403, {"code": "permission_denied", "error": True}, "credentials"),
        (403, "<html>", "credentials"),
        (404, {"code": "dataset.missing", "error": True}, "rejected"),
        (404, {"message": "Not found"}, None),
        (429, None, None),
        (500, {"errorCode": "internal-error"}, None),
        (500, [], None),
    ],
)
def test_an_answer_means_what_the_provider_means(status: int, body: object, verdict: str | None) -> None:
    """None leaves it to the status."""
    assert judge(status, {}, body) == verdict


def test_the_provider_is_declared_as_the_design_says() -> None:
    """Numbers that operators rely on."""
    assert PROVIDER.rate
    assert PROVIDER.caching
    assert PROVIDER.auth
    assert (PROVIDER.rate.calls, PROVIDER.rate.per) == (1000, 60.0)
    assert (PROVIDER.breaker.failures, PROVIDER.breaker.reset_after) == (5, 60.0)
    assert (PROVIDER.retry.attempts, PROVIDER.retry.first, PROVIDER.retry.most) == (3, 1.0, 10.0)
    assert (PROVIDER.caching.memory, PROVIDER.caching.redis, PROVIDER.caching.stale_if_error) == (
        300.0,
        3600.0,
        86_400.0,
    )
    assert PROVIDER.auth == Auth(header="X-App-Token", required=False)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fetch_bbl.operation.checked((True,), {}), "fetch_bbl: bbl: takes 10 digits"),
        (lambda: fetch_bbl.operation.checked(("101265001",), {}), "fetch_bbl: bbl: takes 10 digits, not 9"),
        (lambda: fetch_bbl.operation.checked(("6012650001",), {}), "fetch_bbl: bbl: begins with a borough"),
        (
            lambda: fetch_bbl.operation.checked((BBL_TEXT,), {"include": ["permit"]}),
            "fetch_bbl: include: .*did you mean permits",
        ),
        (
            lambda: fetch_bbl.operation.checked((BBL_TEXT,), {"days_311": 0}),
            "fetch_bbl: days_311: .* example 30",
        ),
        (
            lambda: fetch_permits.operation.checked((BBL_TEXT, 50_001), {}),
            "fetch_permits: limit: .* example 1000",
        ),
        (
            lambda: fetch_311_complaints.operation.checked((BBL_TEXT,), {"as_of_date": "1/31/2026"}),
            'fetch_311_complaints: as_of_date: .*"2026-01-31"',
        ),
        (lambda: fetch_bbls.operation.checked(([],), {}), "fetch_bbls: bbls: takes a list of 1 to 10000"),
        (
            lambda: fetch_bbls.operation.checked(([BBL_TEXT, "x"],), {}),
            r"fetch_bbls: bbls: \[1\] takes 10 digits",
        ),
    ],
)
def test_a_bad_argument_is_refused_by_name_with_a_right_one(call: Callable[[], object], said: str) -> None:
    """Where the task is called, before anything is written or sent."""
    with pytest.raises(ArgumentsInvalid, match=said):
        call()


def test_good_arguments_go_on_the_wire_as_plain_json() -> None:
    """A whole number is a BBL, too; the worker gets one spelling."""
    checked = fetch_bbl.operation.checked((1007200055,), {"include": ("permits", "permits")})

    assert checked == ([BBL_TEXT, ["permits"]], {})
    assert fetch_bbls.operation.checked((["1-720-55"],), {}) == ([[BBL_TEXT]], {})
