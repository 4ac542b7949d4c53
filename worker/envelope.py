"""What the broker hands over, read with care: bytes without an envelope get one.

Kombu reads a message's envelope in the worker's own loop, where an error ends the worker, and by then the
bytes are in no list any more. So they are looked at first, and what cannot be read is put into an envelope of
its own, which goes the way of every message: noted as taken, refused, kept, acknowledged.
"""

from __future__ import annotations

import base64
import uuid
from typing import TYPE_CHECKING, Any, TypeGuard

from kombu.utils.encoding import bytes_to_str
from kombu.utils.json import dumps, loads

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BARE", "Intake", "enveloped", "flaw_of", "is_deep", "is_moment", "text_of"]

BARE = "application/x-narrows-bare"
"""The content type of bytes that came without an envelope."""

DEEPEST = 200
"""Levels of lists and objects in a message. Python reads some 900, and cannot write all that it reads."""


class Intake:
    """Stands before a channel's client for as long as that lives: what it pops can be read.

    Attributes:
        queue: Where the last message came from; a message itself says only where it was sent to.
    """

    def __init__(self, channel: Any) -> None:
        self._channel, self._read = channel, channel.client.parse_response
        self.queue = ""
        channel.client.parse_response = self

    def __call__(self, connection: Any, command: str, **options: Any) -> Any:
        """The reply to *command*; a message that was popped is one that kombu can take."""
        reply = self._read(connection, command, **options)
        if command != "BRPOP" or not reply:
            return reply
        key, item = reply
        self.queue = bytes_to_str(key)
        if _has_envelope(self._channel, item):
            return reply
        body = item if isinstance(item, bytes) else item.encode()
        return key, enveloped(body, self.queue, content_type=BARE)


def enveloped(
    body: bytes,
    queue: str,
    *,
    content_type: str | None,
    content_encoding: str | None = "binary",
    headers: Mapping[str, Any] | None = None,
    properties: Mapping[str, Any] | None = None,
) -> str:
    """A message of *queue* as it lies in the broker; its delivery is its own."""
    own = {
        "delivery_tag": str(uuid.uuid4()),
        "delivery_info": {"exchange": "", "routing_key": queue},
        "body_encoding": "base64",
    }
    envelope = {
        "body": base64.b64encode(body).decode(),
        "content-type": content_type,
        "content-encoding": content_encoding,
        "headers": dict(headers or {}),
        "properties": {**(properties or {}), **own},
    }
    return str(dumps(envelope))


def is_moment(said: object) -> TypeGuard[float]:
    """Whether *said* can be seconds since the epoch; infinity and NaN cannot."""
    return isinstance(said, int | float) and 0 <= said < _FOREVER


def text_of(message: Any) -> str:
    """*message*, which was taken from the broker, as it lay there."""
    return str(dumps(message._raw))  # noqa: SLF001 - its public form has no compressed body


def flaw_of(message: Any) -> str:
    """Why *message* must not be run though Celery would take it: with such a one it fails unheard."""
    try:
        payload = message.payload
    except Exception:  # noqa: BLE001 - Celery is about to find the same, and says it in on_decode_error
        return ""
    known = message.headers if "task" in message.headers else payload
    if not isinstance(known, dict) or "task" not in known:
        return ""
    if not isinstance(known.get("id"), str) or not known["id"]:
        return "it has no id"
    if is_deep(payload):
        return f"its body is nested more than {DEEPEST} deep"
    return _flaw_of_headers(known) or _flaw_of_body(known, payload)


def _flaw_of_headers(known: Mapping[str, Any]) -> str:
    if not all(map(_is_sendable, (known["id"], known["task"]))):
        return "its id or task cannot be written as UTF-8"
    if not isinstance(known.get("shadow"), str | None):
        return "its header shadow is no text"
    if not (_OF_A_RUN.isdisjoint(known) and isinstance(known.get("headers"), dict | None)):
        return "a header stands in the way of what Celery knows of a running task"
    return "" if _mark_is_right(known.get("narrows")) else "its header narrows is not made as ours is"


def _flaw_of_body(known: Any, payload: Any) -> str:
    if known is payload:
        return _flaw_of_names(known.get("kwargs"))
    if not isinstance(payload, list) or len(payload) != len(_PARTS):
        return ""
    right = all(map(isinstance, payload, _PARTS)) and _steps_are_right(payload[2] or {})
    return _flaw_of_names(payload[1]) if right else "its body is not made as Celery makes it"


def _flaw_of_names(kwargs: Any) -> str:
    return "an argument has the name self" if isinstance(kwargs, dict) and "self" in kwargs else ""


def _is_sendable(text: Any) -> bool:
    """Whether Redis takes *text*; what is none is somebody else's to refuse."""
    if isinstance(text, str):
        try:
            text.encode()
        except UnicodeEncodeError:
            return False
    return True


def _mark_is_right(mark: Any) -> bool:
    """Whether what :func:`worker.message.new_mark` makes could be *mark*, which a stranger may leave out."""
    if mark is None:
        return True
    if not isinstance(mark, dict):
        return False
    at = mark.get("at")
    return isinstance(mark.get("replays"), int | None) and (at is None or is_moment(at))


def is_deep(value: Any) -> bool:
    """Whether *value* has more than :data:`DEEPEST` levels. Looks at each thing in it once."""
    level = [value]
    for _ in range(DEEPEST):
        level = [
            inner
            for each in level
            if isinstance(each, _NESTS)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return False
    return True


_NESTS = (list, dict)

_OF_A_RUN = frozenset({"called_directly", "claim", "clear", "get", "is_eager", "update"})
"""Names of :class:`celery.app.task.Context`, in which headers lie beside them, and of ours in it."""

_FOREVER = 1e12
"""Seconds; nothing was enqueued later than that."""

_PARTS = (list, dict, dict | None)
_STEPS = {"callbacks": list | None, "errbacks": list | None, "chain": list | None, "chord": dict | None}


def _steps_are_right(embedded: Mapping[str, Any]) -> bool:
    return all(isinstance(embedded.get(name), kind) for name, kind in _STEPS.items())


def _has_envelope(channel: Any, item: bytes | str) -> bool:
    """Whether kombu can take *item*, note it as taken, and put it back."""
    try:
        raw = loads(bytes_to_str(item))
        if is_deep(raw):
            return False
        channel.Message(raw, channel=channel)
        properties = raw["properties"]
        info, tag = properties["delivery_info"], properties["delivery_tag"]
        texts = (tag, info["exchange"], info["routing_key"])
        return all(isinstance(text, str) for text in texts) and isinstance(raw["headers"], dict)
    except Exception:  # noqa: BLE001 - whatever it raises here, there it would end the worker
        return False
