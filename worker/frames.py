"""RabbitMQ's frames, read with care: properties that cannot be read do not end a worker.

py-amqp reads a message's properties and headers while it takes frames off the connection, where an error
ends the worker, and RabbitMQ gives the message to the next one. Headers nested a thousand levels deep, a
moment that no calendar has, or a text that is no UTF-8 are enough. Such a message goes the way of bytes
without an envelope: without its properties, refused, kept, acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack
from typing import Any

from amqp.basic_message import Message
from amqp.method_framing import frame_handler

from worker.envelope import BARE

__all__ = ["careful"]

Frame = tuple[int, int, Any]
"""Its type, its channel, and its bytes."""

_HEADER = 2
"""The type of the frame with a message's properties."""

_FIXED = 12
"""Bytes before them: class, weight and the body's size."""

_CONTENT_TYPE_ONLY = 0x8000


def careful(connection: Any, callback: Callable[..., Any]) -> Callable[[Frame], bool]:
    """What takes *connection*'s frames, as py-amqp's own ``frame_handler`` does."""
    take = frame_handler(connection, callback)

    def on_frame(frame: Frame) -> bool:
        try:
            return bool(take(frame))
        except Exception:
            kind, channel, raw = frame
            if kind != _HEADER or _is_readable(raw):
                raise
            return bool(take((kind, channel, _bare(raw))))

    return on_frame


def _is_readable(raw: Any) -> bool:
    """Whether it was somebody else's error: a message without a body is handed over within the same call."""
    try:
        Message().inbound_header(raw)
    except Exception:  # noqa: BLE001 - whatever a stranger's bytes lead to
        return False
    return True


def _bare(raw: Any) -> bytes:
    """The same frame, whose one property says that the others could not be read."""
    name = BARE.encode()
    return bytes(raw[:_FIXED]) + pack(">HB", _CONTENT_TYPE_ONLY, len(name)) + name
