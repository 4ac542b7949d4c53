"""Imports: what they take, what they ask, and what they make of whatever comes back."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import import_dataset
from tasks.arguments.moments import before, moment, read_moment
from tasks.dataset_import import source_of
from tasks.importing import pages
from tasks.importing.files import Files
from tasks.importing.options import OPTIONS
from tasks.importing.order import below
from tasks.watermarks import source
from worker.errors import ArgumentsInvalid, CallError, ConfigurationError
from worker.request import Answer
from worker.storage import Storage

NOON = "2026-11-20T12:00:00.000Z"
SYSTEM = {":id": "row-1", ":version": "rv-1", ":updated_at": NOON}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([":id", ":updated_at", "total", "newest", "x"]), inner, max_size=5)
    ),
    max_leaves=10,
)


@pytest.mark.parametrize("dataset", ["complaints_311", "erm2-nwe9"])
def test_a_data_set_is_named_or_given_by_its_id(dataset: str) -> None:
    """On the wire it is the id."""
    assert import_dataset.operation.checked((dataset,), {}) == (["erm2-nwe9"], {})


@pytest.mark.parametrize(
    ("named", "wanted"),
    [
        ({"dataset": "erm2nwe9"}, "dataset: takes"),
        ({"dataset": "../../etc"}, "dataset: takes"),
        ({"dataset": 7}, "dataset: takes"),
        ({"since": "canary-yesterday"}, "since: takes a moment"),
        ({"sink": ""}, "sink: takes a folder's name"),
        ({"sink": "../canary"}, "sink: takes a folder's name"),
        ({"sink": "/canary"}, "sink: takes a folder's name"),
        ({"sink": "a//b"}, "sink: takes a folder's name"),
        ({"sink": "file:///imports/../canary"}, "sink: takes a folder's name"),
        ({"sink": "s3://key:canary@bucket/x"}, "sink: must not hold credentials"),
        ({"sink": "s3://bucket/x?secret=canary"}, "sink: must not hold credentials"),
        ({"format": "canary"}, "format: takes"),
    ],
)
def test_what_cannot_be_meant_is_refused_where_it_is_called(named: dict[str, Any], wanted: str) -> None:
    """By name and example, and without the value."""
    with pytest.raises(ArgumentsInvalid, match=wanted) as refused:
        import_dataset.operation.checked((), {"dataset": "erm2-nwe9", **named})
    assert "canary" not in str(refused.value)


def test_nobody_who_may_enqueue_chooses_which_files_are_written() -> None:
    """Only what lies below the deployment's own place is, by whatever way it is named."""
    place = "file:///var/imports"

    assert below("a/b", place) == below("file:///var/imports/a/b", place) == "a/b"
    for elsewhere in (
        "file:///etc/cron.d",
        "file:///var/imports-of-others/a",
        "file:///var/imports",
        "s3://x/y",
    ):
        with pytest.raises(ArgumentsInvalid, match="below NARROWS_IMPORT_TO"):
            below(elsewhere, place)
    with pytest.raises(ConfigurationError, match="NARROWS_IMPORT_TO is not set"):
        below("a", None)


def test_pages_are_cut_by_id_and_never_by_offset() -> None:
    """With the system fields, in order, none of it kept in the cache."""
    first = pages.page("erm2-nwe9", "", "", limit=10)
    next_one = pages.page("erm2-nwe9", NOON, "row-o'k", limit=10)

    assert first.path == "/resource/erm2-nwe9.json"
    assert first.params == {"$select": ":*,*", "$order": ":id", "$limit": "10"}
    assert next_one.params["$where"] == f":updated_at >= '{NOON}' AND :id > 'row-o''k'"
    assert (first.kept, pages.count("erm2-nwe9", "").kept) == (False, False)


def test_a_count_says_how_many_and_how_new() -> None:
    """Counts are text; of no rows there is no newest, and the column is left out."""
    assert pages.count("erm2-nwe9", NOON).params == {
        "$select": "count(*) as total,max(:updated_at) as newest",
        "$where": f":updated_at >= '{NOON}'",
    }
    answer = Answer(status=200, data=[{"total": "25", "newest": "2026-11-20T12:00:00Z"}])
    assert pages.counted(answer) == pages.Count(total=25, newest=NOON)
    assert pages.counted(Answer(status=200, data=[{"total": "0"}])) == pages.Count(total=0, newest="")


@given(JSON)
def test_any_answer_is_a_count_or_an_error_of_ours(data: Any) -> None:
    """Never a KeyError."""
    with suppress(CallError):
        assert pages.counted(Answer(status=200, data=data)).total >= 0


@given(JSON, st.sampled_from(["", "row-1"]))
def test_any_answer_is_a_page_or_an_error_of_ours(data: Any, after: str) -> None:
    """And every row of a page has what the import needs of it."""
    try:
        rows = pages.rows_of(Answer(status=200, data=data), after=after)
    except CallError:
        return
    for row in rows:
        assert row[":id"]
        assert len(pages.digest(row)) == 12
        assert isinstance(pages.changed_at(row), str)


@given(JSON, st.text())
def test_any_header_names_columns_and_a_moment_or_does_not(named: Any, replica: str) -> None:
    """Beside those that the rows have; all of them can be written."""
    headers = {"x-soda2-fields": json.dumps(named), "x-soda2-secondary-last-modified": replica}
    answer = Answer(status=200, data=[{**SYSTEM, "bro\ud800ken": "x"}], headers=headers)

    said = {name for name in named if isinstance(name, str)} if isinstance(named, list) else set()
    assert pages.columns_of(answer) == {*said, *SYSTEM, "bro?ken"}
    assert "".join(pages.columns_of(answer)).encode()
    assert pages.known_until(answer) == "" or len(pages.known_until(answer)) == len(NOON)


def test_a_replica_says_up_to_when_it_knows() -> None:
    """In the form of HTTP."""
    headers = {"x-soda2-secondary-last-modified": "Fri, 20 Nov 2026 12:00:00 GMT"}

    assert pages.known_until(Answer(status=200, data=[], headers=headers)) == NOON
    assert pages.known_until(Answer(status=200, data=[])) == ""


def test_a_version_is_known_by_its_row_and_its_version() -> None:
    """Another row, or a later version of the same, is another; what it says besides does not count."""
    others = [{**SYSTEM, ":id": "row-2"}, {**SYSTEM, ":version": "rv-2"}]
    bare = {":id": "row-1", ":updated_at": NOON}

    assert pages.digest({**SYSTEM, "x": "y"}) == pages.digest(SYSTEM)
    assert pages.digest(SYSTEM) not in [pages.digest(each) for each in others]
    assert pages.digest(bare) != pages.digest({**bare, ":updated_at": "2026-11-21T00:00:00.000Z"})


def test_the_same_rows_are_the_same_file_and_others_are_not(tmp_path: Path) -> None:
    """So a chunk that is made again after a kill is written over itself, and nothing else is."""
    files = Files(Storage(f"file://{tmp_path}"), "sink", kind="jsonl")
    rows = [{**SYSTEM, "name": "CAFÉ\nLINE"}, {":id": "row-2", "broken": "\ud800"}]

    names = {files.keep("folder", 1, rows), files.keep("folder", 1, rows), files.keep("folder", 1, rows[:1])}

    assert len(names) == 2
    assert {path.name for path in (tmp_path / "sink" / "folder").iterdir()} == names
    (whole,) = [name for name in names if (tmp_path / "sink/folder" / name).read_bytes().count(b"\n") == 2]
    assert json.loads((tmp_path / "sink/folder" / whole).read_text().splitlines()[0]) == rows[0]


@pytest.mark.parametrize(
    ("name", "right", "value", "wrong"),
    [
        ("import_overlap", "0", 0.0, "-1"),
        ("import_overlap", "3600", 3600.0, "nan"),
        ("import_rows", "500", 500, "0"),
        ("import_rows", "20000", 20_000, "20001"),
        ("watermarks", "storage", "storage", "disk"),
    ],
)
def test_options_are_checked_where_they_are_read(name: str, right: str, value: Any, wrong: str) -> None:
    """A deployment that misspells one does not start."""
    assert OPTIONS[name].parse(right) == value
    with pytest.raises(ValueError, match=r"takes|could not|invalid"):
        OPTIONS[name].parse(wrong)


@given(st.datetimes(timezones=st.just(UTC)), st.floats(0, 1e6))
def test_moments_are_ordered_as_their_texts(when: datetime, seconds: float) -> None:
    """Which is how Redis and Socrata compare them."""
    text = moment(when)

    assert len(text) == 24
    assert moment(text) == text
    assert before(text, seconds) <= text


@given(JSON)
def test_anything_is_a_moment_or_none(value: Any) -> None:
    """Whatever an answer holds there."""
    assert read_moment(value) is None or str(read_moment(value)).endswith("Z")


def test_a_watermark_is_that_of_one_place() -> None:
    """Files that are written elsewhere begin anew. Whatever the sink, the storage's task takes the name."""
    long = "/".join(["a" * 100] * 10)
    names = [
        source_of("erm2-nwe9", place, name)
        for place in ("file:///a", "file:///b")
        for name in ("calls", long, f"{long}b")
    ]

    assert len(set(names)) == len(names)
    assert names[0].startswith("nyc_open_data:erm2-nwe9:calls:")
    assert [source(name) for name in names] == names
