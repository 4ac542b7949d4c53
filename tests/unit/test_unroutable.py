"""A letter of a message that nobody can take holds all of it, and shows nothing of it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from kombu.connection import Connection
from kombu.utils.json import loads

from worker.envelope import BARE, DEEPEST, Intake, enveloped, flaw_of
from worker.letters.unroutable import HEAD, WHOLE, UnroutableLetter, letter_of

CANARY = "canary-of-a-stranger"


class Popped:
    """A client whose queue holds one item."""

    def __init__(self, item: bytes) -> None:
        self.item = item

    def parse_response(self, connection: Any, command: str, **options: Any) -> list[bytes]:  # noqa: ARG002
        return [b"acme", self.item]


def taken(item: bytes) -> tuple[Any, str]:
    """The message that kombu makes of *item*, and the queue that it was in."""
    channel: Any = Connection("memory://").channel()
    channel.client = Popped(item)
    intake = Intake(channel)
    _, text = channel.client.parse_response(None, "BRPOP")
    return channel.Message(loads(text), channel=channel), intake.queue


def nested(levels: int) -> Any:
    """A list in a list in a list, so many times."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def letter(item: bytes) -> UnroutableLetter:
    """The letter that *item* becomes."""
    return letter_of(*taken(item), "it cannot be decoded")


def sent(body: bytes = b"[[], {}, {}]", **parts: Any) -> bytes:
    """A message as a producer leaves it in the broker."""
    return enveloped(body, "acme", **{"content_type": "application/json", **parts}).encode()


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"no JSON",
        b"\xff\xfe\x00",
        b"7",
        b"null",
        b"[1, 2]",
        b"{}",
        b"[" * 100_000,
        b"9" * 6000,
        b'{"properties": {}}',
        b'{"body": "x", "headers": [], "properties": {"delivery_tag": "t", "delivery_info": {}}}',
        json.dumps({**json.loads(sent()), "headers": ["task"]}).encode(),
        sent(headers={"task": "acme.gone", "id": "t-1", "x": nested(700)}),
        sent(properties={"x": nested(DEEPEST)}),
        json.dumps({**json.loads(sent()), "body": 7}).encode(),
        json.dumps({**json.loads(sent()), "body": "not base64!"}).encode(),
        json.dumps({**json.loads(sent()), "properties": {"delivery_tag": ["t"]}}).encode(),
    ],
)
def test_bytes_that_are_no_message_become_the_body_of_one(garbage: bytes) -> None:
    """Nothing is lost of them, and kombu can note them as taken and put them back."""
    message, queue = taken(garbage)

    kept = letter_of(message, queue, "why")

    assert message.delivery_info == {"exchange": "", "routing_key": "acme"}
    assert (kept.queue, kept.content_type, base64.b64decode(kept.message)) == ("acme", BARE, garbage)
    assert (kept.size, kept.whole) == (len(garbage), True)


def test_a_message_that_can_be_read_is_left_as_it_is() -> None:
    """Byte for byte, whatever its task and body may be worth."""
    item = sent(b"\x00 no task", content_type="application/x-python-serialize", headers={"a": 1})
    channel: Any = Connection("memory://").channel()
    channel.client = Popped(item)
    Intake(channel)

    assert channel.client.parse_response(None, "BRPOP") == [b"acme", item]


TASK = {"task": "acme.fetch", "id": "t-1"}


@pytest.mark.parametrize(
    "headers",
    [
        {"narrows": CANARY},
        {"narrows": 7},
        {"narrows": {"at": "2026-11-21T10:00:00Z"}},
        {"narrows": {"at": float("inf")}},
        {"narrows": {"at": 10**400}},
        {"narrows": {"at": -1}},
        {"narrows": {"replays": "x"}},
        {"narrows": {"replays": [1]}},
        {"shadow": [CANARY]},
        {"id": "\ud800x"},
        {"task": "\ud800x"},
        {"claim": CANARY},
        {"is_eager": True},
        {"headers": CANARY},
    ],
    ids=repr,
)
def test_a_header_that_the_runner_cannot_read_is_a_flaw(headers: dict[str, Any]) -> None:
    """The task would fail before anybody has claimed its call, and leave no letter."""
    message, _ = taken(sent(headers=TASK | headers))

    flaw = flaw_of(message)

    assert flaw
    assert CANARY not in flaw


@pytest.mark.parametrize(
    "body",
    [
        [[], {"self": 1}, {}],
        [[nested(700)], {}, {}],
        [[nested(DEEPEST)], {}, {}],
        [[], {"x": nested(DEEPEST)}, {}],
        {**TASK, "kwargs": {"self": 1}},
        {**TASK, "args": nested(DEEPEST)},
    ],
    ids=["self", "deep", "just", "named", "self-1", "deep-1"],
)
def test_arguments_that_no_task_could_be_given_are_a_flaw(body: Any) -> None:
    """In both of Celery's protocols."""
    headers = {} if isinstance(body, dict) else TASK
    message, _ = taken(sent(json.dumps(body).encode(), headers=headers))

    assert flaw_of(message)


@pytest.mark.parametrize(
    "mark", [None, {}, {"v": 1, "at": 1.8e9, "lane": "batch", "replays": 2}, {"at": 0, "trace_id": [1]}]
)
def test_what_our_own_producers_send_has_no_flaw(mark: Any) -> None:
    """Nor has what leaves all of it out."""
    body = json.dumps([[nested(DEEPEST - 3)], {"me": 1}, {}]).encode()
    message, _ = taken(sent(body, headers={**TASK, "shadow": None, "narrows": mark}))

    assert flaw_of(message) == ""


def test_a_letter_whose_message_is_as_deep_as_may_be_can_be_written_and_read() -> None:
    """Whoever can take a message can write its letter."""
    message, queue = taken(sent(headers={**TASK, "x": nested(DEEPEST - 2)}))

    kept = letter_of(message, queue, "why")

    assert (kept.content_type, kept.whole) == ("application/json", True)
    assert json.loads(kept.as_json())["headers"]["x"] == nested(DEEPEST - 2)


def test_the_letter_has_all_that_is_needed_to_send_the_message_again() -> None:
    """Body, headers and properties, but for those of the delivery, which the next one has anew."""
    headers = {"task": "acme.gone", "id": "t-1", "compression": "application/x-gzip", "argsrepr": CANARY}
    item = sent(b"not gzip", headers=headers, properties={"correlation_id": "t-1", "priority": 3})

    kept = json.loads(letter(item).as_json())

    assert base64.b64decode(kept["message"]) == b"not gzip"
    assert kept["headers"] == headers
    assert kept["properties"] == {"correlation_id": "t-1", "priority": 3}
    assert (kept["content_type"], kept["content_encoding"]) == ("application/json", "binary")
    assert (kept["id"], kept["task"], kept["operation"]) == ("t-1", "acme.gone", "gone")
    assert (kept["provider"], kept["code"], kept["retryable"]) == ("unroutable", "unroutable", False)


def test_of_a_body_that_is_too_long_the_beginning_is_kept() -> None:
    """The letter says so, and how long it was."""
    kept = letter(sent(b"x" * (WHOLE + 5)))

    assert (len(base64.b64decode(kept.message)), kept.size, kept.whole) == (WHOLE, WHOLE + 5, False)
    assert letter(sent(b"x" * WHOLE)).whole


def test_headers_that_are_too_long_are_left_out() -> None:
    """A body may be a megabyte; what came around it is bounded, too."""
    kept = letter(sent(headers={"task": "acme.gone", "x": "y" * HEAD}))

    assert (kept.headers, kept.properties, kept.whole, kept.task) == ({}, {}, False, "acme.gone")


@pytest.mark.parametrize("named", [None, 7, ["a"], {"a": 1}, "x" * 5000])
def test_ids_and_names_of_any_shape_do_no_harm(named: object) -> None:
    """They are a stranger's; a letter without an id of its own gets one."""
    kept = letter(sent(headers={"task": named, "id": named, "root_id": named, "narrows": named}))

    assert 0 < len(kept.id) <= 200
    assert len(kept.task) <= 200
    assert kept.headers["task"] == named


def test_a_letter_shows_nothing_of_its_message() -> None:
    """Neither the body nor the arguments that the headers describe."""
    kept = letter(sent(CANARY.encode(), headers={"task": "acme.gone", "argsrepr": CANARY}))

    assert CANARY not in repr(kept)
    assert CANARY not in kept.error + kept.payload_excerpt
