"""Messages that no worker can take: letters in the list ``dlq:unroutable``, whole, for a person.

Such a message is laid there before it is acknowledged. A worker that is killed in between leaves it
unacknowledged, and whoever gets it then lays it there again: at worst twice, never lost.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from kombu.utils.json import JSONEncoder

from worker import context
from worker.deadletters import PAGE, DeadLetter, iso
from worker.envelope import BARE, enveloped
from worker.errors import NarrowsError
from worker.keys import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from worker.engine import Engine

__all__ = ["CODE", "UNROUTABLE", "WHOLE", "UnroutableLetter", "keep", "letter_of", "replay"]

UNROUTABLE = "unroutable"
"""The provider that these letters name, and the end of their list's name."""

CODE = "unroutable"

WHOLE = 1024 * 1024
"""Bytes of a body that are kept. Of a longer one the beginning is, and it cannot be replayed."""

HEAD = 64 * 1024
"""Characters, as JSON, of headers and properties that are kept; longer ones are left out, all of them."""

NAME = 200
"""Characters of a stranger's id or task name that are kept where people read them."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UnroutableLetter(DeadLetter):
    """One message that no worker could take.

    Attributes:
        queue: Where it was found.
        message: Its body, base64.
        headers: As they came; ``properties`` too, without those of its delivery.
        content_type: What it called itself; ``worker.envelope.BARE`` for bytes without an envelope.
        size: Bytes of the body.
        whole: Whether all of it is here.
    """

    queue: str
    message: str
    headers: dict[str, Any] = field(default_factory=dict)
    properties: dict[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    content_encoding: str | None = None
    size: int = 0
    whole: bool = True

    def as_json(self) -> str:
        """The letter as it lies in Redis."""
        return json.dumps(asdict(self), separators=(",", ":"), cls=JSONEncoder)


def letter_of(message: Any, queue: str, why: str) -> UnroutableLetter:
    """The letter for a *message* of kombu's that was found in *queue*; *why* quotes nothing of it."""
    raw, now = message._raw, iso(time.time())  # noqa: SLF001 - the body that it shows may be decompressed
    given = {name: value for name, value in raw["properties"].items() if name not in _OF_DELIVERY}
    headers, properties = dict(raw["headers"]), given
    body = _body(message)
    brief = len(json.dumps([headers, properties], cls=JSONEncoder)) <= HEAD
    named, task = (_text(headers.get(name)) for name in ("id", "task"))
    return UnroutableLetter(
        id=named or str(uuid.uuid4()),
        task=task,
        args=[],
        kwargs={},
        provider=UNROUTABLE,
        operation=task.rpartition(".")[2],
        code=CODE,
        status=None,
        error=why,
        trace_id=context.from_header(headers.get("narrows"), default=headers.get("root_id")).trace_id,
        payload_excerpt="",
        attempts=0,
        replays=0,
        first_failed_at=now,
        failed_at=now,
        retryable=False,
        queue=queue,
        message=base64.b64encode(body[:WHOLE]).decode(),
        headers=headers if brief else {},
        properties=properties if brief else {},
        content_type=raw.get("content-type"),
        content_encoding=raw.get("content-encoding"),
        size=len(body),
        whole=brief and len(body) <= WHOLE,
    )


def keep(engine: Engine, letter: UnroutableLetter) -> None:
    """Lay *letter* among the unroutable ones.

    Raises:
        RedisError: It may lie there all the same.
    """
    engine.state.rpush(keys(UNROUTABLE).dlq, letter.as_json())
    engine.watcher.dead_lettered(UNROUTABLE, CODE)


def replay(engine: Engine, app: Celery, letter: Mapping[str, Any]) -> bool:
    """Whether the message went into its queue again, as it was; False when its letter had left already.

    It is sent first and the letter removed then: who is killed in between leaves both, and the next replay
    sends it twice. Two who replay the same letter at the same moment may, too.

    Args:
        engine: Where the letter lies.
        app: Whose broker takes the message.
        letter: As :class:`worker.deadletters.DeadLetters` gives it.

    Raises:
        NarrowsError: The letter does not hold the whole message.
        RedisError, kombu.exceptions.OperationalError: The letter stays.
    """
    if not letter["whole"]:
        raise NarrowsError(
            f"{UNROUTABLE}: {letter['id']} was too long to be kept whole, and cannot be replayed"
        )
    found = _lying(engine, letter)
    if found is None:
        return False
    body = base64.b64decode(letter["message"])
    again: bytes | str = body
    if letter["content_type"] != BARE:
        parts = {name: letter[name] for name in ("content_type", "content_encoding", "headers", "properties")}
        again = enveloped(body, letter["queue"], **parts)
    with app.pool.acquire(block=True) as connection, connection.channel() as channel:
        channel.client.lpush(letter["queue"], again)
    engine.state.lrem(keys(UNROUTABLE).dlq, 1, found)
    return True


_OF_DELIVERY = frozenset({"delivery_tag", "delivery_info", "body_encoding"})


def _body(message: Any) -> bytes:
    """The body as it was sent: compressed, where it was, and never decoded."""
    raw = message._raw  # noqa: SLF001 - see letter_of
    body = raw.get("body") or b""
    if body:
        body = message.channel.decode_body(body, raw["properties"].get("body_encoding"))
    return body if isinstance(body, bytes) else str(body).encode(errors="surrogatepass")


def _lying(engine: Engine, letter: Mapping[str, Any]) -> Any:
    """The very bytes of *letter* in its list."""
    start, at = 0, keys(UNROUTABLE).dlq
    while page := engine.state.lrange(at, start, start + PAGE - 1):
        found = next((text for text in page if _read(text) == letter), None)
        if found is not None:
            return found
        start += PAGE
    return None


def _read(text: Any) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _text(value: Any) -> str:
    return value[:NAME] if isinstance(value, str) else ""
