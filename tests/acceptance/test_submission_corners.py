"""Submissions where two things happen at once: what was found once, and must not come back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery, states
from celery.result import AsyncResult
from redis import Redis

from tests.acceptance.submitted import (
    ASKED,
    DESKS,
    KEPT,
    ONCE,
    TRUSTED,
    file,
    hand_in,
    lay,
    look_then_report,
    report,
    report_then_look,
)
from tests.fleet import Fleet, Ground, until
from worker.application import app
from worker.engine import engine
from worker.errors import ArgumentsInvalid, CallInDoubt, CredentialsRefused, ProviderUnavailable
from worker.message import thawed
from worker.submissions.ledger import Ledger
from worker.submissions.submission import Submission

LONG_AGO = "2026-01-01T00:00:00+00:00"


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """One worker that gives a lost call up after 2 s."""
    with Fleet(clean, workers=1, env={"NARROWS_CLAIM_LEASE": "2"}) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def empty_desks(state: Redis) -> None:
    """Desks without a paper on them, and no dead letters."""
    state.delete(*(f"dlq:{name}" for name in DESKS))
    for desk in DESKS.values():
        desk.clear()


@pytest.fixture
def once() -> Ledger:
    """The ledger of the desk that can be asked nothing."""
    return engine().ledger(ONCE.name)


@pytest.fixture
def asked() -> Ledger:
    """The ledger of the desk that says what it has."""
    return engine().ledger(ASKED.name)


def stands(ledger: Ledger, result: AsyncResult[Any], state: str) -> Submission:
    """The submission, once it is in that state."""
    known: Submission = until(lambda: (one := ledger.get(result.id)) and one.state == state and one)
    return known


def ended(provider: str, result: AsyncResult[Any]) -> bool:
    """Whether its call has ended, so that nothing more is sent by itself."""
    return engine().records(provider).get(result.id).get("state") == "ended"


def letters(provider: str, count: int = 1) -> list[str]:
    """The codes of the dead letters, once there are that many."""
    dead = engine().dead_letters(provider)
    until(lambda: len(dead) >= count)
    return [letter["code"] for letter in dead]


def heard(clean: Ground, provider: str, method: str) -> int:
    """How many requests of that method the desk was sent."""
    return sum(each["method"] == method for each in clean.sandbox.control.journal(provider))


# --- what is asked before and after ----------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [{"mode": "throttle", "headers": {"Retry-After": "1"}}, {"status": 404}, {"status": 503}],
    ids=["throttled", "missing", "down"],
)
def test_what_is_asked_after_it_was_taken_doubles_nothing(
    clean: Ground, once: Ledger, fault: dict[str, Any]
) -> None:
    """However that question fares: the desk has it, so nobody begins anew."""
    clean.sandbox.control.fault(ONCE.name, method="GET", times=1, **fault)

    result = report_then_look.delay("a wire")

    until(lambda: ended(ONCE.name, result))
    known = once.get(result.id)
    assert known is not None
    assert known.state in {"accepted", "in_doubt"}
    assert DESKS[ONCE.name].arrived == {"a wire": 1}


def test_what_is_revoked_between_its_question_and_its_submission_may_be_submitted_anew(
    clean: Ground, once: Ledger
) -> None:
    """It was running, but nothing of it had left: it is forgotten, and its key is free."""
    clean.sandbox.control.fault(ONCE.name, mode="throttle", method="GET", headers={"Retry-After": "1"})
    first = look_then_report.delay("a pipe", idempotency_key="pipe-1")
    until(lambda: heard(clean, ONCE.name, "GET"))
    first.revoke()
    clean.sandbox.control.clear()
    until(lambda: ended(ONCE.name, first))
    assert once.get(first.id) is None

    again = look_then_report.apply_async(("a pipe",), {"idempotency_key": "pipe-1"}, task_id="pipe-again")

    assert again.get(timeout=10)["state"] == "accepted"
    assert DESKS[ONCE.name].arrived == {"a pipe": 1}


# --- revoked, and too late -------------------------------------------------------------------------


def test_a_revocation_does_not_stop_what_is_in_doubt(clean: Ground, asked: Ledger) -> None:
    """The desk is asked all the same, and the caller hears what it has."""
    clean.sandbox.control.fault(ASKED.name, mode="truncate", method="POST", times=1)
    result = file.delay("a post")
    stands(asked, result, "in_doubt")

    result.revoke()

    assert result.get(timeout=15)["external_id"] == "asked-1"
    assert (result.state, asked.get(result.id).state) == (states.SUCCESS, "accepted")  # type: ignore[union-attr]
    assert DESKS[ASKED.name].asked == {"a post": 1}


def test_an_expired_copy_does_not_stop_what_is_in_doubt(clean: Ground, fleet: Fleet, asked: Ledger) -> None:
    """It may be too late to send it, not to see what became of it."""
    clean.sandbox.control.fault(ASKED.name, mode="truncate", method="POST", times=1)
    result = file.apply_async(("a stop",), expires=60)
    stands(asked, result, "in_doubt")
    clean.sandbox.control.fault(ASKED.name, status=500, method="GET")
    message, options = thawed(engine().records(ASKED.name).get(result.id)["message"])
    message.headers["expires"] = LONG_AGO

    with app.producer_pool.acquire(block=True) as producer:
        send = app.amqp._create_task_sender()
        send(producer, message.headers["task"], message, **{**options, "expiration": None})
    dropped = ("duplicate dropped", result.id)
    until(lambda: any(all(word in line for word in dropped) for line in fleet.logs.splitlines()))
    clean.sandbox.control.clear()

    assert result.get(timeout=15)["external_id"] == "asked-1"
    assert (result.state, asked.get(result.id).state) == (states.SUCCESS, "accepted")  # type: ignore[union-attr]


# --- in doubt --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["acted_error", "garbage"])
def test_an_answer_that_cannot_be_read_is_asked_about(clean: Ground, mode: str) -> None:
    """It took it and said something else; it is found there, and not sent again."""
    clean.sandbox.control.fault(ASKED.name, mode=mode, method="POST", times=1)

    told = file.delay("a wall").get(timeout=15)

    assert told["state"] == "accepted"
    assert DESKS[ASKED.name].arrived == {"a wall": 1}


def test_what_never_arrives_is_sent_as_often_as_its_provider_declares(clean: Ground, asked: Ledger) -> None:
    """Then it is a dead letter, which a replay may send: the desk does not have it."""
    clean.sandbox.control.fault(ASKED.name, mode="reset", method="POST")
    result = file.delay("a bad date")

    with pytest.raises(ProviderUnavailable, match="3 times and never arrived"):
        result.get(timeout=20)

    assert letters(ASKED.name) == ["upstream_error"]
    stands(asked, result, "queued")
    assert heard(clean, ASKED.name, "POST") == ASKED.retry.attempts


def test_a_desk_is_asked_anew_each_time_even_if_its_answers_are_kept(clean: Ground) -> None:
    """What it did not have before the second sending says nothing of the second."""
    clean.sandbox.control.fault(KEPT.name, mode="reset", method="POST", times=2)

    told = lay.delay("a plank").get(timeout=15)

    assert told["state"] == "accepted"
    assert (heard(clean, KEPT.name, "POST"), heard(clean, KEPT.name, "GET")) == (3, 2)


# --- the same key again ----------------------------------------------------------------------------


def test_the_same_key_tells_the_same_when_the_result_is_long_gone(state: Redis) -> None:
    """Celery keeps it for a day, the ledger for thirty."""
    first = report.delay("a kerb", idempotency_key="kerb-1")
    told = first.get(timeout=10)
    state.delete(app.backend.get_key_for_task(first.id))

    again = report.delay("a kerb", idempotency_key="kerb-1").get(timeout=10)

    assert again == told
    assert DESKS[ONCE.name].arrived == {"a kerb": 1}


def test_the_twin_of_one_that_was_revoked_is_sent(once: Ledger) -> None:
    """The first never was, so there is nothing to repeat."""
    first = report.apply_async(("a rail",), {"idempotency_key": "rail-1"}, countdown=60)
    twin = report.apply_async(("a rail",), {"idempotency_key": "rail-1"}, task_id="rail-b", countdown=0.5)

    first.revoke()

    assert twin.get(timeout=15)["submission_id"] == "rail-b"
    assert once.get(first.id) is None
    assert DESKS[ONCE.name].arrived == {"a rail": 1}


def test_a_twin_waits_until_the_first_is_decided() -> None:
    """And hears what the desk called that one."""
    first = report.apply_async(("a door",), {"idempotency_key": "door-1"}, countdown=1.5)
    twin = report.si("a door", idempotency_key="door-1").apply_async(task_id="door-b")
    until(lambda: twin.state == states.RETRY)
    waited = DESKS[ONCE.name].arrived.total()

    told = twin.get(timeout=15)

    assert waited == 0
    assert (told["submission_id"], told["external_id"], told["state"]) == (first.id, "once-1", "accepted")
    assert DESKS[ONCE.name].arrived == {"a door": 1}


def test_a_call_by_bare_name_under_the_key_of_something_else_is_a_dead_letter(clean: Ground) -> None:
    """It is not told of the other as if that were its own."""
    report.delay("a fence", idempotency_key="fence-1").get(timeout=10)

    url = clean.valkey.url
    with Celery("stranger", broker=url, backend=url, set_as_current=False) as stranger:
        bare = stranger.send_task(report.name, ("another",), {"idempotency_key": "fence-1"}, queue=ONCE.name)

    with pytest.raises(ArgumentsInvalid, match="idempotency_key: was used for other arguments"):
        AsyncResult(bare.id).get(timeout=10)
    assert letters(ONCE.name) == ["validation_error"]
    assert DESKS[ONCE.name].arrived == {"a fence": 1}


def test_the_steps_after_a_call_run_also_when_it_repeats_a_submission() -> None:
    """They are that call's own."""
    report.delay("a step", idempotency_key="step-1").get(timeout=10)

    second = report.apply_async(("a step",), {"idempotency_key": "step-1"}, link=report.si("what follows"))

    assert second.get(timeout=10)["external_id"] == "once-1"
    until(lambda: DESKS[ONCE.name].arrived == {"a step": 1, "what follows": 1})


def test_a_key_takes_a_task_that_remembers_it() -> None:
    """Called directly nothing would, so nothing is sent."""
    with pytest.raises(ArgumentsInvalid, match="takes a task"):
        report("a bin", idempotency_key="bin-1")

    assert DESKS[ONCE.name].asked == {}


def test_what_was_never_sent_and_is_thrown_away_may_be_submitted_again(clean: Ground, once: Ledger) -> None:
    """Its letter was all that held its key."""
    clean.sandbox.control.fault(ONCE.name, status=401)
    refused = report.delay("a gate", idempotency_key="gate-1")
    with pytest.raises(CredentialsRefused):
        refused.get(timeout=10)
    dead = engine().dead_letters(ONCE.name)
    until(lambda: len(dead))
    clean.sandbox.control.clear()

    dead.remove(next(dead.pages()), by="a test", action="discard")
    gone = once.get(refused.id)
    again = report.delay("a gate", idempotency_key="gate-1")

    assert gone is None
    stands(once, again, "accepted")
    until(lambda: AsyncResult(again.id).state == states.SUCCESS)
    assert DESKS[ONCE.name].arrived == {"a gate": 1}


def test_what_is_in_doubt_keeps_its_key_when_its_letter_is_thrown_away(clean: Ground, once: Ledger) -> None:
    """The desk may have it: who submits it again hears that nobody knows."""
    clean.sandbox.control.fault(ONCE.name, mode="truncate", times=1)
    doubted = report.delay("a ramp", idempotency_key="ramp-1")
    with pytest.raises(CallInDoubt):
        doubted.get(timeout=10)
    dead = engine().dead_letters(ONCE.name)
    until(lambda: len(dead))

    dead.remove(next(dead.pages()), by="a test", action="discard")
    twin = report.si("a ramp", idempotency_key="ramp-1").apply_async(task_id="ramp-b")

    assert twin.get(timeout=10)["state"] == "in_doubt"
    assert (once.get(doubted.id).state, DESKS[ONCE.name].asked) == ("in_doubt", {"a ramp": 1})  # type: ignore[union-attr]


def test_a_key_that_was_called_back_unsent_may_be_used_again() -> None:
    """Under another id: workers drop each message of the one that was revoked."""
    first = report.apply_async(("a pipe",), {"idempotency_key": "pipe-1"}, countdown=60)
    first.revoke()

    again = report.delay("a pipe", idempotency_key="pipe-1")

    assert again.id != first.id
    assert again.get(timeout=10)["submission_id"] == again.id
    assert report.delay("a pipe", idempotency_key="pipe-1").id == again.id
    assert DESKS[ONCE.name].arrived == {"a pipe": 1}


def test_a_provider_that_still_works_on_the_first_is_sent_it_once_more(clean: Ground) -> None:
    """It took one and hung up; the second it calls a conflict, which is no refusal."""
    clean.sandbox.control.fault(TRUSTED.name, mode="acted_hang_up", times=1)

    result = hand_in.delay("a manhole")
    until(lambda: DESKS[TRUSTED.name].arrived)
    clean.sandbox.control.fault(TRUSTED.name, status=409, times=1)
    told = result.get(timeout=15)

    assert (told["state"], DESKS[TRUSTED.name].arrived) == ("accepted", {"a manhole": 1})
    assert len(clean.sandbox.control.journal(TRUSTED.name)) == 3
