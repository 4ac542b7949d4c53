"""Properties of messages that RabbitMQ takes and its client cannot read, as they stand in a frame."""

from __future__ import annotations

from struct import pack
from typing import Any

from amqp.basic_message import Message

__all__ = ["STRANGE", "UNREADABLE", "RawMessage"]

_CONTENT_TYPE, _HEADERS = 0x8000, 0x2000


def _table(name: bytes, kind: bytes, value: bytes) -> bytes:
    """A table of one entry, as a value of AMQP."""
    entry = pack(">B", len(name)) + name + kind + value
    return pack(">I", len(entry)) + entry


def _nested(levels: int) -> bytes:
    table = pack(">I", 0)
    for _ in range(levels):
        table = _table(b"a", b"F", table)
    return table


UNREADABLE = {
    "deep": pack(">H", _HEADERS) + _nested(3000),
    "no-moment": pack(">H", _HEADERS) + _table(b"at", b"T", pack(">Q", 2**60)),
    "no-text": pack(">H", _CONTENT_TYPE) + b"\x02\xff\xfe",
}
"""By what is wrong with them: headers a few thousand levels deep, a moment beyond all calendars, no UTF-8."""

STRANGE = pack(">H", _HEADERS) + _table(b"\xff\xfe", b"t", b"\x01")
"""The client reads a header whose name is no UTF-8."""


class RawMessage(Message):
    """A message that is sent with these very properties."""

    def __init__(self, body: bytes, raw: bytes) -> None:
        super().__init__(body)
        self._as_they_are = raw

    def _serialize_properties(self) -> Any:
        return self._as_they_are
