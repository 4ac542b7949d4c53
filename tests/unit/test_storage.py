"""Watermarks: what is asked and written, what comes back, and that none moves back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tasks
from tasks.storage import SETTLED, get_watermark, update_watermark
from tasks.watermarks import Watermark, WatermarkUpdate, read_watermark
from tests.driver import Driver
from worker.errors import ArgumentsInvalid, CallError, ResourceMissing
from worker.request import Answer, Request
from worker.steps import Alone

SOURCE, PATH = "nyc_open_data:erm2-nwe9", "/api/v1/watermarks/nyc_open_data%3Aerm2-nwe9"
NOON, ONE = "2026-11-20T12:00:00.000Z", "2026-11-20T13:00:00.000Z"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def service(known: dict[str, Any] | None) -> Driver:
    """A storage service that holds *known*."""

    def answer(request: Request) -> Answer | CallError:
        if request.method == "PUT":
            return Answer(status=200, data={**request.data, "source_id": SOURCE})
        if known is None:
            return ResourceMissing("storage answered 404")
        return Answer(status=200, data=known)

    return Driver(answer=answer)


def mark(timestamp: str | None, status: str = "success", **more: Any) -> dict[str, Any]:
    """A watermark as the service writes it."""
    return {"source_id": SOURCE, "timestamp": timestamp, "status": status, **more}


def update(driver: Driver, timestamp: Any, *more: Any) -> WatermarkUpdate:
    """What became of an update."""
    done: WatermarkUpdate = driver.run(update_watermark.operation.steps((SOURCE, timestamp, *more), {}))
    return done


def test_a_watermark_is_asked_for_by_its_source() -> None:
    """Always anew: a kept one would move it back."""
    driver = service(mark("2026-11-20T07:00:00-05:00", error="late"))

    found = driver.run(get_watermark.operation.steps((SOURCE,), {}))

    assert found == Watermark(source_id=SOURCE, timestamp=NOON, status="success", error="late")
    (asked,) = driver.requests
    assert (asked.method, asked.path, asked.fresh) == ("GET", PATH, True)


def test_no_watermark_is_none() -> None:
    """404 is a result here."""
    assert service(None).run(get_watermark.operation.steps((SOURCE,), {})) is None


def test_the_first_watermark_is_written() -> None:
    """One caller at a time, after a look."""
    driver = service(None)

    assert update(driver, NOON) == WatermarkUpdate(source_id=SOURCE, timestamp=NOON, moved=True)
    assert driver.others == [Alone(f"watermark:{SOURCE}", seconds=SETTLED)]
    asked, written = driver.requests
    assert (asked.method, written.method, written.path) == ("GET", "PUT", PATH)
    assert written.data == {"timestamp": NOON, "status": "success"}


def test_a_later_watermark_is_written_with_its_error() -> None:
    """Whatever the status says."""
    driver = service(mark(NOON))

    assert update(driver, ONE, "failed", "out of disk").moved
    assert driver.requests[-1].data == {"timestamp": ONE, "status": "failed", "error": "out of disk"}


@pytest.mark.parametrize("known", [ONE, "2026-11-20T08:00:00-05:00", "2026-11-20T13:00:00"])
def test_an_older_watermark_is_not_written(known: str) -> None:
    """The one that is there is told, in UTC; a zone or none makes no difference."""
    driver = service(mark(known))

    assert update(driver, NOON) == WatermarkUpdate(source_id=SOURCE, timestamp=ONE, moved=False)
    assert [each.method for each in driver.requests] == ["GET"]


@pytest.mark.parametrize("known", ["2026-11-20T12:00:00.000900Z", "2026-11-20T12:00:00.000900+00:00"])
def test_a_watermark_is_not_moved_back_by_less_than_a_millisecond(known: str) -> None:
    """What is finer is kept, as it was given; a text of another length is not in the order of time."""
    earlier, later = service(mark(known)), service(mark(known))

    assert not update(earlier, "2026-11-20T12:00:00.000100Z", "failed").moved
    assert not update(earlier, NOON).moved
    assert update(later, "2026-11-20T12:00:00.000901Z").moved
    assert later.requests[-1].data["timestamp"] == "2026-11-20T12:00:00.000901Z"


def test_the_same_moment_is_written_again_only_with_news() -> None:
    """So a retry writes nothing, and a failure at the same moment is told."""
    same, news = service(mark(NOON, error=None)), service(mark(NOON))

    assert not update(same, NOON).moved
    assert update(news, NOON, "failed").moved


@pytest.mark.parametrize(
    ("given_as", "sent"),
    [
        (datetime(2026, 11, 20, 12), NOON),  # noqa: DTZ001 - what this test is about
        (datetime(2026, 11, 20, 7, tzinfo=timezone(timedelta(hours=-5))), NOON),
        ("2026-11-20T12:00:00", NOON),
        ("2026-11-20", "2026-11-20T00:00:00.000Z"),
    ],
)
def test_a_moment_without_a_zone_is_utc(given_as: Any, sent: str) -> None:
    """And goes out with its zone, as the service wants it."""
    assert update_watermark.operation.checked((SOURCE, given_as), {}) == ([SOURCE, sent], {})


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        (("",), "source_id: takes"),
        (("a/../b",), "source_id: takes"),
        (("x y",), "source_id: takes"),
        ((SOURCE, "yesterday"), "timestamp: takes a moment"),
        ((SOURCE, None), "timestamp: takes a moment"),
        ((SOURCE, 5), "timestamp: takes a moment"),
        ((SOURCE, NOON, "Very bad"), "status: takes"),
        ((SOURCE, NOON, "failed", 5), "error: takes"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_called(args: tuple[Any, ...], wanted: str) -> None:
    """By name and example, and without the value."""
    operation = (get_watermark if len(args) == 1 else update_watermark).operation

    with pytest.raises(ArgumentsInvalid, match=wanted) as refused:
        operation.checked(args, {})
    assert "yesterday" not in str(refused.value)


def test_a_long_error_is_cut() -> None:
    """It is a remark, and no log."""
    checked, _ = update_watermark.operation.checked((SOURCE, NOON, "failed", "x" * 5000), {})

    assert len(checked[3]) == 1000


@given(JSON)
def test_any_answer_is_a_watermark_or_an_error_of_ours(data: Any) -> None:
    """Never a KeyError."""
    try:
        found = read_watermark(SOURCE, Answer(status=200, data=data))
    except CallError:
        return
    assert isinstance(found, Watermark)


@given(st.fixed_dictionaries({"status": st.text()}, optional={"timestamp": JSON, "error": JSON}))
def test_any_watermark_is_one_or_an_error_of_ours(data: Any) -> None:
    """The nearer to a right one, the more may go wrong."""
    try:
        found = read_watermark(SOURCE, Answer(status=200, data=data))
    except CallError:
        assert data["timestamp"] is not None
        return
    assert found.timestamp is None or found.timestamp.endswith("Z")


def test_both_are_tasks() -> None:
    """By the names that services enqueue."""
    assert (tasks.get_watermark.name, tasks.update_watermark.name) == (
        "storage.get_watermark",
        "storage.update_watermark",
    )
