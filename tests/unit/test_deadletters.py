"""What a dead letter says of why it is one."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import pytest

from worker.envelope import DEEPEST
from worker.errors import ArgumentsInvalid, ProviderUnavailable, RequestInvalid, WorkerLost
from worker.letters.deadletter import DeadLetter, iso, letter_of, verdict

FIELDS = [
    *("id", "task", "args", "kwargs", "provider", "operation", "code", "status", "error", "trace_id"),
    *("payload_excerpt", "attempts", "replays", "first_failed_at", "failed_at", "retryable"),
    *("request_id", "user_id"),
]


def letter() -> DeadLetter:
    """A letter with a private argument."""
    return DeadLetter(
        id="t1",
        task="acme.turn",
        args=["CANARY"],
        kwargs={},
        provider="acme",
        operation="turn",
        trace_id="0" * 32,
        payload_excerpt="side=***",
        attempts=3,
        replays=0,
        first_failed_at=iso(0.0),
        failed_at=iso(1.5),
        **verdict(ProviderUnavailable("acme answered 500", status=500)),
    )


def test_a_letter_has_the_fields_that_others_read() -> None:
    """No more, no less, in JSON."""
    assert list(json.loads(letter().as_json())) == FIELDS
    assert [field.name for field in fields(DeadLetter)] == FIELDS


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("levels", [DEEPEST, 700])
def test_arguments_that_are_nested_deep_do_not_keep_a_letter_from_being_written(levels: int) -> None:
    """Whatever a worker could read of a message."""
    deep = json.loads("[" * levels + "]" * levels)

    written = replace(letter(), args=[deep]).as_json()

    assert letter_of(written)["args"] == [deep]


@pytest.mark.usefixtures("uncollected")
def test_what_is_nested_too_deep_to_be_read_is_unreadable() -> None:
    """It hides no other letter: whoever walks through the list goes on."""
    raw = b"[" * 100_000 + b"]" * 100_000

    assert letter_of(raw)["unreadable"] == len(raw)


def test_times_are_utc_to_the_millisecond() -> None:
    """As ISO 8601 has it."""
    assert (letter().first_failed_at, letter().failed_at) == (
        "1970-01-01T00:00:00.000Z",
        "1970-01-01T00:00:01.500Z",
    )


@pytest.mark.parametrize(
    ("why", "code", "status", "retryable"),
    [
        (ProviderUnavailable(status=503), "upstream_error", 503, True),
        (RequestInvalid(status=400), "upstream_rejected", 400, False),
        (ArgumentsInvalid(), "validation_error", None, False),
        (WorkerLost(), "worker_lost", None, False),
        (KeyError("CANARY"), "unexpected_error", None, False),
    ],
)
def test_only_what_may_pass_is_retryable(
    why: Exception,
    code: str,
    status: int | None,
    retryable: bool,  # noqa: FBT001 - pytest's parameters
) -> None:
    """Whatever else waits for a person."""
    said = verdict(why)

    assert (said["code"], said["status"], said["retryable"]) == (code, status, retryable)
    assert "CANARY" not in said["error"]


def test_a_letter_shows_no_arguments_by_itself() -> None:
    """Its repr may end in a log."""
    assert "CANARY" not in repr(letter())


@pytest.mark.parametrize(
    ("replays", "code", "retryable"), [(0, "upstream_error", True), (2, "upstream_error", True)]
)
def test_a_call_may_be_brought_back_three_times(replays: int, code: str, retryable: bool) -> None:  # noqa: FBT001
    """Until then what failed in passing is retryable."""
    said = verdict(ProviderUnavailable(status=503), replays=replays)

    assert (said["code"], said["retryable"]) == (code, retryable)


def test_a_call_that_failed_after_three_replays_is_exhausted() -> None:
    """It waits for a person, and still says how it failed."""
    said = verdict(ProviderUnavailable("acme answered 503", status=503), replays=3)

    assert said == {
        "code": "exhausted",
        "status": 503,
        "error": "upstream_error after 3 replays: acme answered 503",
        "retryable": False,
    }


def test_what_no_replay_can_help_keeps_its_code_however_often_it_was_tried() -> None:
    """A refusal is a refusal."""
    said = verdict(RequestInvalid(status=400), replays=7)

    assert (said["code"], said["retryable"]) == ("upstream_rejected", False)
