"""Submissions by real workers: made once or not at all, and when nobody knows, seen by somebody."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.acceptance.submitted import ASKED, DESKS, ONCE, TRUSTED, file, hand_in, report
from tests.fleet import Fleet, Ground, until
from worker import enqueue_many
from worker.application import app
from worker.engine import engine
from worker.errors import ArgumentsInvalid, CallInDoubt, ProviderUnavailable, RequestInvalid
from worker.provider import Provider
from worker.submissions.ledger import Ledger
from worker.task import GuardedTask


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers that give a lost call up after 2 s."""
    with Fleet(clean, workers=2, env={"NARROWS_CLAIM_LEASE": "2"}) as fleet:
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


def test_a_submission_is_made_once_and_remembered(once: Ledger) -> None:
    """The result says what the provider calls it, and so does the ledger."""
    result = report.delay("a pothole")
    told = result.get(timeout=10)
    assert told == {
        "submission_id": result.id,
        "external_id": "once-1",
        "external_status": "open",
        "agency": "DOT",
        "state": "accepted",
    }
    known = until(lambda: once.get(result.id))
    assert known.told == told
    assert DESKS[ONCE.name].arrived == {"a pothole": 1}
    assert [one.id for one in once.open()] == [result.id]


def test_the_same_key_again_is_the_first_submission() -> None:
    """One arrival, one id, one result."""
    first = report.delay("a lamp", idempotency_key="lamp-1")
    again = report.delay("a lamp", idempotency_key="lamp-1")
    assert again.id == first.id
    assert again.get(timeout=10) == first.get(timeout=10)
    later = report.delay("a lamp", idempotency_key="lamp-1")
    assert later.get(timeout=10)["external_id"] == first.get()["external_id"]
    assert DESKS[ONCE.name].arrived == {"a lamp": 1}


def test_the_same_key_for_something_else_is_refused_where_it_is_called() -> None:
    """A key stands for one submission."""
    report.delay("a tree", idempotency_key="tree-1").get(timeout=10)
    with pytest.raises(ArgumentsInvalid, match="idempotency_key: was used for other arguments"):
        report.delay("another tree", idempotency_key="tree-1")


def test_a_call_by_bare_name_with_a_known_key_hears_of_the_first_submission() -> None:
    """Its own task ends with what is remembered."""
    first = report.delay("a bench", idempotency_key="bench-1").get(timeout=10)
    bare = app.send_task(report.name, ("a bench",), {"idempotency_key": "bench-1"}, queue="once")
    assert bare.get(timeout=10) == first
    chained = (report.si("a bench", idempotency_key="bench-1")).apply_async(task_id="of-its-own")
    assert chained.get(timeout=10) == first
    assert DESKS[ONCE.name].arrived == {"a bench": 1}


def test_what_was_refused_is_rejected(clean: Ground, once: Ledger, state: Redis) -> None:
    """A 400 is an answer: nothing was done, and asking again is of no use."""
    clean.sandbox.control.fault(ONCE.name, status=400)
    result = report.delay("a wrong one")
    with pytest.raises(RequestInvalid):
        result.get(timeout=10)
    known = until(lambda: (one := once.get(result.id)) and one.state == "rejected" and one)
    assert known.told["state"] == "rejected"
    assert state.llen("dlq:once") == 1


def test_what_was_taken_and_not_answered_is_in_doubt_for_a_person(
    clean: Ground, once: Ledger, state: Redis
) -> None:
    """The desk took it and hung up: it is not sent again."""
    clean.sandbox.control.fault(ONCE.name, mode="truncate")
    result = report.delay("a sign")
    with pytest.raises(CallInDoubt):
        result.get(timeout=10)
    until(lambda: (one := once.get(result.id)) and one.state == "in_doubt")
    assert state.llen("dlq:once") == 1
    assert DESKS[ONCE.name].asked == {"a sign": 1}


def test_what_was_never_sent_is_retried(clean: Ground) -> None:
    """A throttled submission was not looked at."""
    clean.sandbox.control.fault(ONCE.name, mode="throttle", times=1, headers={"Retry-After": "1"})
    result = report.delay("a hydrant")
    assert result.get(timeout=15)["state"] == "accepted"
    assert DESKS[ONCE.name].arrived == {"a hydrant": 1}


@pytest.mark.parametrize("mode", ["truncate", "reset"])
def test_a_doubt_resolves_itself_where_the_provider_can_be_asked(clean: Ground, mode: str) -> None:
    """Taken or not taken, it is there once in the end."""
    clean.sandbox.control.fault(ASKED.name, mode=mode, times=1)
    result = file.delay(f"a {mode}")
    assert result.get(timeout=20)["state"] == "accepted"
    assert DESKS[ASKED.name].arrived == {f"a {mode}": 1}


@pytest.mark.parametrize("mode", ["truncate", "reset", "garbage"])
def test_a_provider_that_takes_each_once_is_sent_it_again(clean: Ground, mode: str) -> None:
    """With the same id, so that it knows it."""
    clean.sandbox.control.fault(TRUSTED.name, mode=mode, times=1)
    result = hand_in.delay(f"a {mode}")
    assert result.get(timeout=20)["state"] == "accepted"
    assert DESKS[TRUSTED.name].arrived == {f"a {mode}": 1}


def test_what_such_a_provider_never_answers_is_in_doubt_and_may_be_replayed(clean: Ground) -> None:
    """It took it each time and said that it failed: nothing is known of it, and nothing is doubled."""
    clean.sandbox.control.fault(TRUSTED.name, mode="acted_error")
    result = hand_in.delay("a fence")
    with pytest.raises(ProviderUnavailable):
        result.get(timeout=20)
    ledger, letters = engine().ledger(TRUSTED.name), engine().dead_letters(TRUSTED.name)
    until(lambda: (one := ledger.get(result.id)) and one.state == "in_doubt" and len(letters))
    clean.sandbox.control.clear()
    (raw,) = next(letters.pages())
    assert letters.replay([raw], by="a test") == ["parked"]
    until(lambda: (one := ledger.get(result.id)) and one.state == "accepted")
    assert DESKS[TRUSTED.name].arrived == {"a fence": 1}
    assert DESKS[TRUSTED.name].asked["a fence"] == 4


@pytest.mark.parametrize(("task", "provider"), [(report, ONCE), (file, ASKED), (hand_in, TRUSTED)])
def test_a_worker_that_dies_while_it_submits_doubles_nothing(
    clean: Ground, fleet: Fleet, task: GuardedTask, provider: Provider
) -> None:
    """The desk is asked, the worker is killed, and what follows is what the operation declares."""
    clean.sandbox.control.fault(provider.name, mode="hang", times=1)
    result = task.delay("a hole")
    until(lambda: clean.sandbox.control.journal(provider.name))
    for index in range(2):
        fleet.kill(index)
    if task is report:
        with pytest.raises(CallInDoubt):
            result.get(timeout=30)
    else:
        assert result.get(timeout=30)["state"] == "accepted"
    assert DESKS[provider.name].arrived["a hole"] == (0 if task is report else 1)


def test_many_submissions_at_once_are_each_made_once() -> None:
    """Two batches with the same keys: the second one's calls end with what the first one's did."""
    calls = [{"note": f"leaf {number}", "idempotency_key": f"leaf-{number}"} for number in range(20)]
    first, second = enqueue_many(report, calls), enqueue_many(report, calls)
    for number in range(20):
        told = app.AsyncResult(first.task_id(number)).get(timeout=20)
        again = app.AsyncResult(second.task_id(number)).get(timeout=20)
        assert again["submission_id"] == told["submission_id"] == first.task_id(number)
    assert set(DESKS[ONCE.name].arrived.values()) == {1}
    assert len(DESKS[ONCE.name].arrived) == 20


def test_a_batch_names_the_call_whose_key_stands_for_something_else() -> None:
    """By its number; the calls around it are in line."""
    report.delay("a gate", idempotency_key="gate-1").get(timeout=10)
    calls = [{"note": f"gate {number}", "idempotency_key": f"gate-{number}"} for number in range(3)]

    with pytest.raises(ArgumentsInvalid, match=r"call 1: idempotency_key: was used for other arguments"):
        enqueue_many(report, calls, batch_id="gates")

    until(lambda: DESKS[ONCE.name].arrived == {"a gate": 1, "gate 0": 1, "gate 2": 1})
