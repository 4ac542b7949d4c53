"""What a person decides on a submission in doubt, carried out by real workers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import states
from celery.result import AsyncResult
from redis import Redis

from tests.acceptance.submitted import ASKED, DESKS, ONCE, file, report
from tests.fleet import Fleet, Ground, until
from worker import find_submission
from worker.cli.root import run
from worker.engine import engine
from worker.errors import CallInDoubt


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """One worker."""
    with Fleet(clean, workers=1) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def empty_desks(state: Redis, fleet: Fleet) -> None:  # noqa: ARG001 - which serves them
    """Desks without a paper on them, and no dead letters."""
    state.delete(*(f"dlq:{name}" for name in DESKS))
    for desk in DESKS.values():
        desk.clear()


@pytest.fixture
def doubted(clean: Ground, state: Redis) -> AsyncResult[Any]:
    """The desk took it and hung up, and can be asked nothing."""
    clean.sandbox.control.fault(ONCE.name, mode="truncate", times=1)
    result = report.delay("a sign")
    with pytest.raises(CallInDoubt):
        result.get(timeout=10)
    until(lambda: state.llen("dlq:once"))
    return AsyncResult(result.id)


def resolve(result: AsyncResult[Any], *answer: str) -> int:
    """The exit code of a decision."""
    return run(["submission", "resolve", result.id, *answer, "--yes"])


def test_what_was_found_at_the_provider_is_the_result_from_then_on(
    doubted: AsyncResult[Any], state: Redis
) -> None:
    """Who asks again by the task's id, or for the submission, hears the same; nothing was sent."""
    code = resolve(doubted, "accepted", "--external-id", "once-1")

    assert code == 0
    assert AsyncResult(doubted.id).get(timeout=5) == find_submission(doubted.id)
    assert find_submission(doubted.id, "once") == {
        "submission_id": doubted.id,
        "external_id": "once-1",
        "external_status": None,
        "agency": "DOT",
        "state": "accepted",
    }
    assert state.llen("dlq:once") == 0
    assert DESKS[ONCE.name].asked == {"a sign": 1}


def test_what_is_to_be_sent_again_is_sent_once_and_accepted(doubted: AsyncResult[Any]) -> None:
    """Under its own id: the caller's result becomes what the desk said at last."""
    code = resolve(doubted, "resend")

    told = until(lambda: (one := AsyncResult(doubted.id)).state == states.SUCCESS and one.result)
    assert code == 0
    assert (told["submission_id"], told["state"]) == (doubted.id, "accepted")
    assert DESKS[ONCE.name].asked == {"a sign": 2}
    until(lambda: find_submission(doubted.id) == told)


def test_what_is_rejected_is_never_sent_again(doubted: AsyncResult[Any]) -> None:
    """Its idempotency key, if it had one, would stay taken; its task stays the failure that it was."""
    code = resolve(doubted, "rejected")

    assert (code, resolve(doubted, "resend")) == (0, 1)
    assert AsyncResult(doubted.id).state == states.FAILURE
    assert (find_submission(doubted.id) or {})["state"] == "rejected"


@pytest.mark.parametrize(
    ("answer", "arrivals"), [(["accepted", "--external-id", "asked-9"], 0), (["resend"], 1)]
)
def test_a_decision_on_what_the_provider_is_asked_about_ends_the_task(
    clean: Ground, answer: list[str], arrivals: int
) -> None:
    """The provider cannot be asked, so the doubt lasts; a person knows better."""
    clean.sandbox.control.fault(ASKED.name, mode="reset")
    result = file.delay("a hole")
    until(lambda: (find_submission(result.id) or {}).get("state") == "in_doubt")

    until(lambda: resolve(result, *answer) == 0)
    clean.sandbox.control.clear()

    assert result.get(timeout=20)["state"] == "accepted"
    assert engine().dead_letters(ASKED.name).find(result.id) is None
    assert DESKS[ASKED.name].arrived["a hole"] == arrivals
