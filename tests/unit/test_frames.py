"""Frames whose properties cannot be read: their messages arrive without them."""

from __future__ import annotations

from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest
from amqp import spec
from amqp.basic_message import Message

from tests.raw_properties import UNREADABLE
from worker.envelope import BARE
from worker.frames import careful

METHOD, HEADER, BODY = 1, 2, 3
DELIVER = pack(">HH", *spec.Basic.Deliver)


def header(properties: bytes, size: int) -> bytes:
    """A frame's content: class, weight, size, properties."""
    return pack(">HHQ", 60, 0, size) + properties


@pytest.mark.parametrize("properties", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("body", [b"", b"a body"], ids=["empty", "body"])
def test_a_message_whose_properties_cannot_be_read_arrives_without_them(
    properties: bytes, body: bytes
) -> None:
    """Its body does, and so does the next message."""
    arrived: list[Message] = []
    take = careful(SimpleNamespace(bytes_recv=0), lambda *parts: arrived.append(parts[3]))
    whole = Message(content_type="text/plain")._serialize_properties()

    for each in (properties, whole):
        take((METHOD, 1, DELIVER))
        take((HEADER, 1, header(each, len(body))))
        if body:
            take((BODY, 1, body))

    assert [message.properties for message in arrived] == [
        {"content_type": BARE},
        {"content_type": "text/plain"},
    ]
    assert [message.body or b"" for message in arrived] == [body, body]


def test_errors_of_who_takes_a_message_are_his_own() -> None:
    """A message without a body is handed over while its frame is read: nothing is read twice then."""
    taken: list[Any] = []

    def fail(*parts: Any) -> None:
        taken.append(parts)
        raise RecursionError

    take = careful(SimpleNamespace(bytes_recv=0), fail)
    take((METHOD, 1, DELIVER))

    with pytest.raises(RecursionError):
        take((HEADER, 1, header(Message()._serialize_properties(), 0)))
    assert len(taken) == 1
