"""Whoever asked stands in every line about the call, in the files of all workers, whatever happens to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from celery.result import AsyncResult
from redis import Redis

from tests.acceptance.lot import Lot
from tests.acceptance.providers import PACED, STEADY, WILD, echo, keep, look, pace
from tests.fleet import Fleet, Ground, until
from worker import clear_request_context, set_request_context
from worker.application import app
from worker.context import Context
from worker.letters.deadletter import DeadLetters

ENV = {
    "NARROWS_LOG_LEVEL": "DEBUG",
    "NARROWS_CLAIM_LEASE": "2",
    "NARROWS_PROVIDERS__STEADY__RETRY_FLOOR": "1000",
    "NARROWS_PROVIDERS__WILD__API_KEY": "s3cret",
    "NARROWS_PROVIDERS__WILD__TOTAL_TIMEOUT": "60",
    "NARROWS_PROVIDERS__WILD__READ_TIMEOUT": "60",
}
PRIVATE = "canary-of-the-log"
BEFORE_THE_TASK = "task received"
"""Celery says this before anybody has looked into the message; it has the task's id."""

Told = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="module", params=["threads", "prefork"])
def pool(request: pytest.FixtureRequest) -> str:
    """How the workers run tasks."""
    return str(request.param)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, pool: str) -> Path:
    """Where both workers write their files."""
    return tmp_path_factory.mktemp(pool) / "logs"


@pytest.fixture(scope="module")
def fleet(clean: Ground, pool: str, folder: Path) -> Iterator[Fleet]:
    """Two workers, or two with two children each, that log into one folder."""
    env = {**ENV, "NARROWS_LOG_DIR": str(folder)}
    with Fleet(clean, workers=2, pool=pool, concurrency=2, env=env) as fleet:
        yield fleet


@pytest.fixture
def told(folder: Path) -> Told:
    """The lines about a call, once the events named are among them."""

    def lines(call: AsyncResult[Any], *events: str, kind: str = "app") -> list[dict[str, Any]]:
        def found() -> list[dict[str, Any]]:
            written = [
                json.loads(line)
                for path in folder.glob(f"{kind}-*.log")
                for line in path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
                if line.strip()
            ]
            return [line for line in written if line.get("task_id") == call.id]

        until(lambda: set(events) <= {line["message"] for line in found()}, 20.0, told=found)
        return found()

    return lines


@contextmanager
def asking(name: str) -> Iterator[Context]:
    """Inside, a request of that name enqueues."""
    yield set_request_context(request_id=f"request-{name}", user_id=f"user-{name}")
    clear_request_context()


def strangers(lines: list[dict[str, Any]], origin: Context) -> list[dict[str, Any]]:
    """The lines that name another request, or none."""
    known = (origin.trace_id, origin.request_id, origin.user_id)
    return [
        line
        for line in lines
        if (line["trace_id"], line["request_id"], line["user_id"]) != known
        and line["message"] != BEFORE_THE_TASK
    ]


@pytest.mark.usefixtures("state")
def test_a_call_made_at_once_is_told_as_its_caller_s_in_every_line(told: Told, folder: Path) -> None:
    """Ours and Celery's, in the file of all lines and in that of exchanges; its arguments are in none."""
    with asking("at-once") as origin:
        call = keep.delay("parcel", PRIVATE)
    call.get(timeout=20)

    lines = told(call, "call answered", "task succeeded")
    exchanges = told(call, "call answered", kind="api")
    assert strangers(lines, origin) == []
    assert [line["integration.provider"] for line in exchanges] == [STEADY.name]
    assert {line["task"] for line in lines if line["message"] == "task succeeded"} == {keep.name}
    assert not [path for path in folder.iterdir() if PRIVATE in path.read_text(encoding="utf-8")]


@pytest.mark.usefixtures("state")
def test_a_call_that_failed_and_was_tried_again_is_its_caller_s_throughout(
    told: Told, ground: Ground
) -> None:
    """The second attempt is another message."""
    ground.sandbox.control.fault(STEADY.name, status=500, times=1)
    with asking("again") as origin:
        call = echo.delay(2)
    call.get(timeout=20)

    lines = told(call, "call failed", "call to be retried", "call answered", "task succeeded")
    assert strangers(lines, origin) == []


def test_a_call_that_was_parked_is_its_caller_s_when_it_is_let_out(told: Told, lot: Lot) -> None:
    """By a worker, long after the caller has gone."""
    with lot.shut():
        with asking("parked") as origin:
            call = pace.delay(3)
        lot.holds(1)
    call.get(timeout=20)

    lines = told(call, "call deferred", "call answered", "task succeeded")
    assert PACED.name in {line.get("integration.provider") for line in lines}
    assert strangers(lines, origin) == []


def test_a_dead_letter_that_is_replayed_is_still_its_caller_s(
    told: Told, state: Redis, ground: Ground
) -> None:
    """The letter keeps who asked."""
    letters = DeadLetters(state, STEADY.name)
    ground.sandbox.control.fault(STEADY.name, status=500)
    with asking("replayed") as origin:
        call = echo.delay(4)
    until(lambda: len(letters) == 1, 30.0)
    ground.sandbox.control.reset()
    clear_request_context()

    assert letters.replay([raw for page in letters.pages() for raw in page], by="ann") == ["parked"]

    lines = told(call, "call dead-lettered", "call answered", "task succeeded")
    assert strangers(lines, origin) == []


@pytest.mark.usefixtures("state")
def test_a_call_that_was_lost_with_its_worker_is_its_caller_s_when_it_comes_back(
    told: Told, fleet: Fleet, ground: Ground, pool: str
) -> None:
    """Also in the reconciler's line that brings it back."""
    control = ground.sandbox.control
    control.fault(WILD.name, mode="hang")
    with asking("lost") as origin:
        call = look.delay(f"crash-{pool}")  # the other pool's answer is kept
    until(lambda: control.counts(WILD.name)["in_flight"] == 1, 20.0)
    for number in range(2):
        fleet.kill(number)
    control.clear(WILD.name)
    call.get(timeout=45)

    lines = told(call, "call published again", "call answered", "task succeeded")
    assert strangers(lines, origin) == []


@pytest.mark.usefixtures("state")
def test_a_task_of_beat_has_a_trace_of_its_own_in_all_its_lines(told: Told) -> None:
    """Nobody asked for it; it is published as beat does, by name."""
    run = app.send_task("upkeep.check_health", queue="upkeep")
    run.get(timeout=20)

    lines = told(run, "task succeeded")
    assert strangers(lines, Context(trace_id=run.id.replace("-", ""))) == []
