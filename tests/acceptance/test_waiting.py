"""Waiting is visible: in the result, on the command line and in the metrics, with real workers."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.result import AsyncResult

from tests.acceptance import providers
from tests.fleet import Fleet, Ground, until
from worker.application import app
from worker.cli.root import run
from worker.errors import RateLimitError

NAME = providers.STRAIT.name
CALLS = 6


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker that serves everything."""
    with Fleet(clean, workers=1) as fleet:
        yield fleet


def rearmost(calls: list[AsyncResult[int]]) -> tuple[AsyncResult[int], dict[str, Any]]:
    """The last in line once all but two of *calls* stand there, and what its result says of it.

    Workers take messages as they come, so it need not be the one that was enqueued last.
    """

    def found() -> list[tuple[AsyncResult[int], dict[str, Any]]]:
        told = [(call, app.backend.get_task_meta(call.id).get("waiting")) for call in calls]
        parked = [(call, waiting) for call, waiting in told if waiting and waiting["state"] == "parked"]
        placed = [pair for pair in parked if pair[1]["position"] and pair[1]["served"]]
        return placed if len(placed) >= len(calls) - 2 else []

    placed: list[tuple[AsyncResult[int], dict[str, Any]]] = until(found)
    return max(placed, key=lambda pair: int(pair[1]["position"]))


def why(capsys: pytest.CaptureFixture[str], task_id: str) -> dict[str, Any]:
    """What the command says of a call."""
    capsys.readouterr()
    assert run(["why", task_id, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_who_waits_is_told_where_and_until_when_and_it_comes_true(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    """A call each second: the last of six says its place and time, and get() ends at about that time."""
    calls = [providers.wade.delay(number, 1) for number in range(CALLS)]
    last, waiting = rearmost(calls)
    told, command = last.info, why(capsys, last.id)
    gauges = until(lambda: fleet.gauge("parked_calls", provider=NAME))

    value = last.get(timeout=30)
    ended = time.time()

    assert value == 1
    assert abs(ended - waiting["expected"]) < 2.5
    assert str(told).startswith(f"parked · {NAME} bucket · position ")
    assert isinstance(told, RateLimitError)
    assert (command["state"], command["provider"]) == ("parked", NAME)
    assert 1 <= gauges <= CALLS
    assert (last.state, last.info) == ("SUCCESS", 1)
    assert why(capsys, last.id)["text"].startswith("finished · SUCCESS")
    assert [call.get(timeout=30) for call in calls] == [1] * CALLS


@pytest.mark.usefixtures("fleet")
def test_a_result_that_was_waited_for_before_its_call_was_parked_still_comes() -> None:
    """Who listens hears RETRY as often as it is asked for, and the answer once."""
    heard: list[str] = []
    calls = [providers.wade.delay(number, 1) for number in range(3)]

    def hear(meta: dict[str, Any]) -> None:
        if meta.get("task_id") == calls[-1].id:
            heard.append(meta["status"])

    value = calls[-1].get(timeout=30, on_message=hear)

    assert value == 1
    assert heard[-1:] == ["SUCCESS"]
    assert set(heard[:-1]) <= {"PENDING", "RETRY"}


@pytest.mark.usefixtures("fleet")
def test_a_revoked_call_in_line_says_so_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    """It waits no more, and nobody says that it does."""
    calls = [providers.wade.delay(number, 1) for number in range(5)]
    last, _ = rearmost(calls)

    last.revoke()

    assert last.state == "REVOKED"
    assert why(capsys, last.id)["state"] == "revoked"
    assert [call.get(timeout=30) for call in calls if call.id != last.id] == [1] * 4
