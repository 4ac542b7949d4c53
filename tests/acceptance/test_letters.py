"""Calls that were given up are made again, by real workers, when a person says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from celery.result import AsyncResult
from redis import Redis

from tests.acceptance.providers import STEADY, echo, keep
from tests.fleet import Fleet, Ground, until
from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.letters.letter import letter_of


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker that retries whatever fails, without a budget that would hold it back."""
    with Fleet(clean, workers=1, env={"NARROWS_PROVIDERS__STEADY__RETRY_FLOOR": "1000"}) as fleet:
        yield fleet


@pytest.fixture
def letters(state: Redis) -> DeadLetters:
    """The dead letters of a provider that fails three attempts within a second."""
    return DeadLetters(state, STEADY.name)


def seen_anew(call: AsyncResult[object]) -> AsyncResult[object]:
    """The same result, read again: one that has seen a failure keeps it."""
    return AsyncResult(call.id)


def given_up(ground: Ground, letters: DeadLetters, *calls: AsyncResult[object]) -> list[bytes]:
    """The letters of *calls*, whose provider is down until they are there."""
    until(lambda: len(letters) == len(calls), 30.0)
    ground.sandbox.control.reset()
    return [raw for page in letters.pages() for raw in page]


def test_replayed_calls_are_made_once_each_under_their_own_ids(
    ground: Ground, state: Redis, letters: DeadLetters
) -> None:
    """Whoever holds the task's id gets its result after all; nothing is left of the letters."""
    ground.sandbox.control.fault(STEADY.name, status=500)
    calls = [echo.delay(number) for number in range(20)]
    raws = given_up(ground, letters, *calls)

    words = letters.replay(raws, by="ann")

    until(lambda: all(seen_anew(call).successful() for call in calls), 30.0)
    asked = sorted(entry["path"] for entry in ground.sandbox.control.journal(STEADY.name))
    assert words == ["parked"] * 20
    assert [seen_anew(call).result for call in calls] == list(range(20))
    assert asked == sorted(f"/echo/{number}" for number in range(20))
    assert len(letters) == 0
    until(lambda: not state.exists(*(keys(STEADY.name).call(call.id) for call in calls)))


def test_a_call_that_fails_again_is_a_letter_of_the_next_generation(
    ground: Ground, letters: DeadLetters
) -> None:
    """With the same id, trace and arguments."""
    ground.sandbox.control.fault(STEADY.name, status=500)
    call = keep.delay("lot", "canary-secret")
    until(lambda: len(letters) == 1, 30.0)
    (first,) = [raw for page in letters.pages() for raw in page]

    words = letters.replay([first], by="ann")

    until(lambda: len(letters) == 1, 30.0)
    (second,) = [raw for page in letters.pages() for raw in page]
    before, after = letter_of(first), letter_of(second)
    same = ("id", "trace_id", "args", "kwargs", "task", "code", "attempts")
    assert words == ["parked"]
    assert (before["replays"], after["replays"]) == (0, 1)
    assert [before[name] for name in same] == [after[name] for name in same]
    assert seen_anew(call).state == "FAILURE"
    letters.remove([second], by="ann", action="discard")


def test_an_edited_letter_is_made_with_its_new_arguments(ground: Ground, letters: DeadLetters) -> None:
    """The result is theirs."""
    ground.sandbox.control.fault(STEADY.name, status=500)
    call = echo.delay(1)
    (raw,) = given_up(ground, letters, call)

    changed = letters.edit(raw, [2], {}, by="ann")
    letters.replay([raw for page in letters.pages() for raw in page], by="ann")

    assert changed is not None
    until(lambda: seen_anew(call).successful(), 30.0)
    assert seen_anew(call).result == 2
