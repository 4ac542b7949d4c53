"""What a task leaves behind that failed before it could claim its call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tasks import fetch_permits
from tests.integration.deployment import NAME, Deployment
from worker.claim import Claim
from worker.letters.letter import letter_of

CANARY = "canary-of-a-stranger"


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment."""
    return Deployment(url=redis_url)


@contextmanager
def queued(**headers: Any) -> Iterator[None]:
    """While the block lasts a worker runs the task for a message with these headers."""
    fetch_permits.push_request(id="t-1", called_directly=False, is_eager=False, **headers)
    try:
        yield
    finally:
        fetch_permits.pop_request()


def left(here: Deployment) -> list[dict[str, Any]]:
    """The dead letters."""
    return [letter_of(raw) for raw in here.engine.state.lrange(f"dlq:{NAME}", 0, -1)]


@pytest.mark.parametrize(
    "mark",
    [None, CANARY, 7, [CANARY], {"at": CANARY}, {"at": float("inf")}, {"replays": CANARY}, {"lane": [1]}],
    ids=repr,
)
def test_a_task_that_failed_before_it_had_a_claim_leaves_a_letter(here: Deployment, mark: Any) -> None:
    """Whatever its headers say: nobody else knows of a call by bare name."""
    with queued(narrows=mark):
        here.engine.runner.settle(fetch_permits, "FAILURE", TypeError(CANARY), ["1012650001"], {})

    (letter,) = left(here)
    assert (letter["id"], letter["code"], letter["error"]) == ("t-1", "unexpected_error", "TypeError")
    assert (letter["args"], letter["replays"]) == (["1012650001"], 0)


def test_a_late_copy_that_failed_before_it_had_a_claim_leaves_the_running_call_alone(
    here: Deployment,
) -> None:
    """Another worker holds it, and says what becomes of it."""
    here.records.write("t-1", "[]", behind=False)
    here.gate().claim(claim := Claim(home=NAME, task_id="t-1", recorded=True))
    with queued(narrows={"recorded": True}):
        here.engine.runner.settle(fetch_permits, "FAILURE", TypeError(CANARY), ["1012650001"], {})

    assert claim.token == 1
    assert left(here) == []
    assert here.records.get("t-1")["state"] == "running"


@pytest.mark.parametrize("status", ["SUCCESS", "RETRY"])
def test_a_task_without_a_claim_that_did_not_fail_leaves_nothing(here: Deployment, status: str) -> None:
    """It may be one that was called directly."""
    with queued():
        here.engine.runner.settle(fetch_permits, status, None, ["1012650001"], {})

    assert left(here) == []


def test_a_task_that_was_called_directly_and_failed_leaves_nothing(here: Deployment) -> None:
    """Its caller has the exception."""
    here.engine.runner.settle(fetch_permits, "FAILURE", TypeError(CANARY), ["1012650001"], {})

    assert left(here) == []
