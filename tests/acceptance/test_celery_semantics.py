"""What Celery promises holds through the record: states, ids, canvases, expiry, revoking, waiting."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery import Celery, chain, chord, group, signature
from celery.exceptions import TaskRevokedError
from redis import Redis

from tests.acceptance.providers import echo, increment, total, twice
from tests.fleet import Fleet, Ground, held, until
from worker.application import app
from worker.errors import ArgumentsInvalid, CallError

QUEUED, RUNNING, WAITING = (f"narrows:{{steady}}:{index}" for index in ("queued", "running", "waiting"))


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers."""
    with Fleet(clean, workers=2) as fleet:
        yield fleet


@pytest.fixture
def stranger(clean: Ground) -> Iterator[Celery]:
    """A Celery application that has none of our code."""
    with Celery("stranger", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False) as other:
        yield other


def paths(ground: Ground) -> list[str]:
    """What the provider was asked, in order."""
    return [entry["path"] for entry in ground.sandbox.control.journal("steady")]


def nothing_left(state: Redis) -> bool:
    """Whether no call of the provider is queued, running or waiting."""
    return not any(state.zcard(index) for index in (QUEUED, RUNNING, WAITING))


def test_a_result_is_asked_for_as_ever(state: Redis, clean: Ground) -> None:
    """``delay``, ``apply_async`` and a signature; the record is gone when the result is there."""
    results = [
        echo.delay(1),
        echo.apply_async((2,)),
        echo.apply_async(kwargs={"value": 3}),
        echo.s(4).delay(),
    ]

    assert [result.get(timeout=10) for result in results] == [1, 2, 3, 4]
    assert {"SUCCESS"} == {app.AsyncResult(result.id).state for result in results}
    until(lambda: nothing_left(state))
    assert not state.keys("narrows:*:call:*")
    assert sorted(paths(clean)) == ["/echo/1", "/echo/2", "/echo/3", "/echo/4"]


def test_a_retry_keeps_the_id_and_shows_why_and_until_when(state: Redis, clean: Ground) -> None:
    """Nothing lies in the broker meanwhile, and no worker holds it."""
    clean.sandbox.control.fault("steady", status=503, times=1, retry_after="2")

    result = echo.delay(5)
    until(lambda: result.state == "RETRY")

    assert "answered 503" in str(result.info)
    assert (state.zcard(WAITING), state.llen("steady")) == (1, 0)
    assert float(state.zscore(WAITING, result.id) or 0) / 1000 - time.time() > 0.5
    assert result.get(timeout=10) == 5
    assert (result.state, paths(clean)) == ("SUCCESS", ["/echo/5", "/echo/5"])


def test_a_call_that_fails_for_good_is_a_failure_and_one_dead_letter(state: Redis, clean: Ground) -> None:
    """After its three attempts, with all that a person needs to know."""
    clean.sandbox.control.fault("steady", status=500)

    result = echo.delay(6)
    with pytest.raises(CallError, match="steady answered 500"):
        result.get(timeout=15)

    letters = [json.loads(letter) for letter in until(lambda: state.lrange("dlq:steady", 0, -1))]
    assert [(result.id, "upstream_error", 500, 3, [6])] == [
        (each["id"], each["code"], each["status"], each["attempts"], each["args"])
        for each in letters
        if each["id"] == result.id
    ]
    assert len(paths(clean)) == 3
    assert until(lambda: nothing_left(state))


@pytest.mark.usefixtures("state")
def test_a_chain_hands_each_result_on_also_when_a_link_retries() -> None:
    """Two, three, four, five."""
    assert chain(increment.s(2), increment.s(), increment.s()).apply_async().get(timeout=10) == 5


def test_a_chain_whose_middle_retries_goes_on(state: Redis, clean: Ground) -> None:
    """The rest of the chain travels with the record."""
    clean.sandbox.control.fault("steady", status=500, times=1, only="/increment/11")

    assert chain(increment.s(10), increment.s(), increment.s()).apply_async().get(timeout=15) == 13
    assert paths(clean).count("/increment/11") == 2
    until(lambda: nothing_left(state))


@pytest.mark.parametrize("failing", [0, 1], ids=["smoothly", "a member retries first"])
def test_a_chord_calls_its_body_once_when_all_members_are_done(
    state: Redis, clean: Ground, failing: int
) -> None:
    """A retrying member holds the body back, and does not count twice."""
    clean.sandbox.control.fault("steady", status=500, times=failing, only="/increment/21")

    result = chord((increment.s(number) for number in (20, 21, 22)), total.s()).apply_async()

    assert result.get(timeout=15) == 66
    assert paths(clean).count("/total") == 1
    assert paths(clean).count("/increment/21") == 1 + failing
    until(lambda: nothing_left(state))


@pytest.mark.usefixtures("state")
def test_a_group_gathers_its_members_in_order() -> None:
    """Whoever was first."""
    assert group(echo.s(number) for number in range(30, 42)).apply_async().get(timeout=10) == [*range(30, 42)]


def test_a_link_is_called_with_the_result_and_a_link_error_with_the_failure(
    state: Redis, clean: Ground
) -> None:
    """Also of a call that was retried in between."""
    clean.sandbox.control.fault("steady", status=500, times=1, only="/echo/50")
    echo.apply_async((50,), link=increment.s())
    until(lambda: "/increment/50" in paths(clean), 10.0)

    clean.sandbox.control.fault("steady", status=404, only="/echo/51")
    echo.apply_async((51,), link_error=echo.si(52))
    until(lambda: "/echo/52" in paths(clean), 10.0)

    until(lambda: nothing_left(state))
    assert paths(clean).count("/increment/50") == 1


def test_a_call_that_expires_while_it_waits_is_revoked_and_never_made(state: Redis, clean: Ground) -> None:
    """As Celery has it; its record goes with it."""
    result = echo.apply_async((60,), countdown=1.5, expires=1.0)

    until(lambda: result.state == "REVOKED", 10.0, told=lambda: result.state)
    until(lambda: nothing_left(state))
    assert paths(clean) == []


def test_a_queued_call_that_is_revoked_is_dropped_when_it_comes(state: Redis, clean: Ground) -> None:
    """Its caller hears at once."""
    with held("steady"):
        result = echo.delay(61)
        app.control.revoke(result.id)
        assert result.state == "REVOKED"
    with pytest.raises(TaskRevokedError):
        result.get(timeout=5)
    assert echo.delay(62).get(timeout=10) == 62
    assert paths(clean) == ["/echo/62"]
    assert until(lambda: nothing_left(state))


def test_a_waiting_call_that_is_revoked_never_runs(state: Redis, clean: Ground) -> None:
    """Nor does it come back when its time has come."""
    result = echo.apply_async((63,), countdown=1.0)
    result.revoke()

    assert (result.state, nothing_left(state)) == ("REVOKED", True)
    assert _stays(lambda: paths(clean) == [] and result.state == "REVOKED", 2.0)


def test_a_running_call_that_is_revoked_makes_no_further_request(state: Redis, clean: Ground) -> None:
    """The request under way is heard out, the next one is not made, and no record or letter stays."""
    clean.sandbox.control.fault("steady", latency_ms=800, only="/first/64")
    before = state.llen("dlq:steady")
    result = twice.delay(64)
    until(lambda: paths(clean) == ["/first/64"])

    result.revoke()

    until(lambda: result.state == "REVOKED", 10.0, told=lambda: result.state)
    until(lambda: nothing_left(state))
    assert paths(clean) == ["/first/64"]
    assert state.llen("dlq:steady") == before


@pytest.mark.parametrize(
    "when",
    [lambda: {"countdown": 1.5}, lambda: {"eta": datetime.now(UTC) + timedelta(seconds=1.5)}],
    ids=["countdown", "eta"],
)
def test_a_countdown_waits_as_a_record_and_not_in_a_workers_memory(
    state: Redis, clean: Ground, when: Callable[[], dict[str, Any]]
) -> None:
    """No message is in the broker, none is unacknowledged, no worker holds it; then it runs in its time."""
    started = time.monotonic()
    result = echo.apply_async((70,), **when())

    assert (state.zcard(WAITING), state.llen("steady"), state.hlen("unacked")) == (1, 0, 0)
    assert not any((app.control.inspect(timeout=0.5).scheduled() or {"": []}).values())
    assert result.get(timeout=10) == 70
    assert 1.4 < time.monotonic() - started < 4.5
    assert paths(clean) == ["/echo/70"]


def test_progress_shows_as_the_tasks_state(state: Redis, clean: Ground) -> None:
    """With what it counts."""
    assert until(lambda: nothing_left(state))
    clean.sandbox.control.fault("steady", latency_ms=600, only="/second/71")

    result = twice.delay(71)

    until(lambda: result.state == "PROGRESS")
    assert result.info == {"done": 1, "total": 2}
    assert result.get(timeout=10) == 2


def test_a_service_without_our_code_calls_by_name(state: Redis, clean: Ground, stranger: Celery) -> None:
    """The worker writes the record when it first sees the call."""
    result = stranger.send_task("steady.echo", [80], queue="steady")

    assert result.get(timeout=10) == 80
    assert paths(clean) == ["/echo/80"]
    until(lambda: nothing_left(state))
    assert state.hget(f"narrows:{{steady}}:call:{result.id}", "state") == b"ended"


def test_a_call_by_name_is_retried_like_any_other(state: Redis, clean: Ground, stranger: Celery) -> None:
    """Though its producer wrote no record."""
    clean.sandbox.control.fault("steady", status=500, times=1)

    assert stranger.send_task("steady.echo", [81], queue="steady").get(timeout=10) == 81
    assert paths(clean) == ["/echo/81", "/echo/81"]
    until(lambda: nothing_left(state))


def test_a_call_by_name_with_bad_arguments_hears_what_is_right(state: Redis, stranger: Celery) -> None:
    """The worker checks what the caller could not."""
    result = stranger.send_task("steady.echo", ["eighty"], queue="steady")

    with pytest.raises(Exception, match="value") as caught:
        result.get(timeout=10)
    assert type(caught.value).__name__ == ArgumentsInvalid.__name__
    assert until(lambda: nothing_left(state))


@pytest.mark.parametrize("recorded", [True, False], ids=["with a record", "by bare name"])
def test_a_message_that_is_delivered_twice_runs_once(
    state: Redis, clean: Ground, stranger: Celery, *, recorded: bool
) -> None:
    """Side by side and one after the other: the copies find the claim, or the end."""
    clean.sandbox.control.fault("steady", latency_ms=300)
    with held("steady"):
        result = echo.delay(90) if recorded else stranger.send_task("steady.echo", [90], queue="steady")
        until(lambda: state.llen("steady") == 1)
        (message,) = state.lrange("steady", 0, -1)
        state.lpush("steady", message, message)
    assert result.get(timeout=10) == 90

    state.lpush("steady", message)

    until(lambda: state.llen("steady") == 0)
    assert echo.delay(91).get(timeout=10) == 91
    assert paths(clean).count("/echo/90") == 1
    assert result.state == "SUCCESS"


def test_a_signature_made_of_names_only_joins_a_canvas(state: Redis, clean: Ground) -> None:
    """As services build them that have the task's name and nothing else."""
    made = chain(
        signature("steady.increment", args=(5,), app=app), signature("steady.increment", app=app)
    ).apply_async()

    assert made.get(timeout=10) == 7
    assert paths(clean) == ["/increment/5", "/increment/6"]
    until(lambda: nothing_left(state))


def _stays(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether *condition* holds all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            return False
        time.sleep(0.05)
    return True


def test_a_next_step_that_cannot_be_enqueued_fails_its_task_once(state: Redis, clean: Ground) -> None:
    """Bad arguments for it are a dead letter of the task before it, which is not run again."""
    state.delete("dlq:steady")

    last = chain(echo.s(1), total.s()).apply_async()

    first = last.parent
    assert first is not None
    with pytest.raises(ArgumentsInvalid):
        first.get(timeout=10)
    until(lambda: nothing_left(state))
    letters = [json.loads(raw) for raw in until(lambda: state.lrange("dlq:steady", 0, -1))]
    assert [(letter["id"], letter["code"]) for letter in letters] == [(first.id, "validation_error")]
    assert len(paths(clean)) == 1


def test_a_call_goes_through_its_providers_own_queue(state: Redis) -> None:
    """In another it would be taken for lost, so it is refused where it is enqueued."""
    with pytest.raises(ArgumentsInvalid, match="queue"):
        echo.apply_async((1,), queue="elsewhere")
    assert until(lambda: nothing_left(state))
