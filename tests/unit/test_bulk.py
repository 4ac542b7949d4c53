"""What ``enqueue_many`` refuses before it asks Redis for anything, and how a batch names its calls."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any
from uuid import UUID, uuid5

import pytest

from tasks import fetch_permits
from worker import Batch, enqueue_many
from worker.bulk.batch import BatchIds
from worker.errors import ArgumentsInvalid
from worker.publishing import _milliseconds

BBL = "1012650001"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lane": "express"}, "lane: takes 'interactive', 'batch' or 'replay'"),
        ({"lane": None}, "lane: takes"),
        ({"lane": ["batch"]}, "lane: takes"),
        ({"batch_id": ""}, "batch_id: takes a name of 1 to 200 characters"),
        ({"batch_id": "x" * 201}, "batch_id: takes"),
        ({"batch_id": 7}, "batch_id: takes"),
        ({"size": 0}, "size: takes a whole number from 1 to 2000"),
        ({"size": 2001}, "size: takes"),
        ({"size": True}, "size: takes"),
        ({"size": 10.0}, "size: takes"),
        ({"expires": "soon"}, "expires: takes seconds from now, or a datetime"),
        ({"expires": True}, "expires: takes"),
    ],
)
def test_an_option_that_makes_no_sense_is_named_with_what_it_takes(given: dict[str, Any], said: str) -> None:
    """Before anything is enqueued, and without Redis."""
    with pytest.raises(ArgumentsInvalid, match=said):
        enqueue_many(fetch_permits, [BBL], **given)


@pytest.mark.parametrize("calls", [BBL, b"1", {BBL: 5}, 5, None])
def test_one_call_is_not_taken_for_many(calls: Any) -> None:
    """A string would be ten calls of a digit each."""
    with pytest.raises(ArgumentsInvalid, match="calls: takes an iterable of tuples of arguments, dicts of"):
        enqueue_many(fetch_permits, calls)


@pytest.mark.parametrize("task", ["nyc_open_data.fetch_permits", None, fetch_permits.si(BBL), print])
def test_only_a_providers_task_has_a_line_to_stand_in(task: Any) -> None:
    """Names and signatures are for ``send_task`` and canvases."""
    with pytest.raises(ArgumentsInvalid, match="task: takes a provider's task itself"):
        enqueue_many(task, [BBL])


def test_a_task_of_upkeep_has_no_line_either() -> None:
    """It calls no provider, or guards nothing."""
    unguarded = [task for name, task in fetch_permits.app.tasks.items() if name.startswith("upkeep.")]

    assert unguarded
    for task in unguarded:
        with pytest.raises(ArgumentsInvalid, match="task: takes"):
            enqueue_many(task, [()])


@pytest.mark.parametrize("number", [0, 1, 499, 500, 123_456_789])
def test_ids_are_uuids_made_from_the_batchs_name_and_the_calls_number(number: int) -> None:
    """Just what the standard library makes of them, so that they stay what they are."""
    ids = BatchIds("acme.fetch", "2026-11")

    assert ids[number] == str(uuid5(UUID(ids.name), str(number)))
    assert UUID(ids[number]).version == 5


def test_batches_of_two_names_or_two_tasks_share_no_call() -> None:
    """Each has its own results."""
    spaces = [("a.x", "1"), ("a.y", "1"), ("a.x", "2"), ("a.x", "12")]

    ids = {BatchIds(*space)[number] for space in spaces for number in range(30)}

    assert len(ids) == 4 * 30


def test_a_batch_knows_the_ids_of_its_calls_and_no_others() -> None:
    """Numbers start at 0, as those of any sequence."""
    batch = Batch(task="acme.fetch", batch_id="b", count=3, new=1)

    assert batch.task_id(2) == BatchIds("acme.fetch", "b")[2]
    for number in (-1, 3):
        with pytest.raises(IndexError, match="calls 0 to 2"):
            batch.task_id(number)


def test_importing_the_engine_or_the_tasks_does_not_load_it() -> None:
    """Who never enqueues in bulk does not pay for it; who asks for it gets it."""
    code = (
        "import sys, tasks, worker;"
        "heavy = {'worker.bulk.enqueueing', 'worker.record', 'pydantic', 'redis'} & set(sys.modules);"
        "from worker import enqueue_many; "
        "sys.exit(bool(heavy) or enqueue_many.__module__ != 'worker.bulk.enqueueing')"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_moment_without_a_zone_is_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Celery's workers read it, wherever the caller's clock hangs."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert _milliseconds("2026-01-01T00:00:00") == _milliseconds("2026-01-01T00:00:00+00:00")
    finally:
        monkeypatch.undo()
        time.tzset()
