"""Messages that no worker can take: letters in the list ``dlq:unroutable``, whole, for a person.

Such a message is laid there before it is acknowledged. A worker that is killed in between leaves it
unacknowledged, and whoever gets it then lays it there again: at worst twice, never lost.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kombu.utils.json import JSONEncoder

from config import urls
from worker import context
from worker.envelope import BARE, enveloped
from worker.errors import NarrowsError
from worker.keys import keys
from worker.letters import letter as letters
from worker.letters.letter import UNROUTABLE, DeadLetter, iso
from worker.taken import publish, raw_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from worker.engine import Engine
    from worker.letters.deadletter import DeadLetters

__all__ = ["CODE", "UNROUTABLE", "WHOLE", "UnroutableLetter", "keep", "letter_of", "replay"]

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
        return json.dumps(self.document(), separators=(",", ":"), cls=JSONEncoder)


def letter_of(message: Any, queue: str, why: str, code: str = CODE) -> UnroutableLetter:
    """The letter for a *message* of kombu's that was found in *queue*; *why* quotes nothing of it."""
    raw, now = raw_of(message), iso(time.time())
    given = {name: value for name, value in raw["properties"].items() if name not in _OF_DELIVERY}
    headers, properties = dict(raw["headers"]), given
    body = raw["body"]
    brief = len(json.dumps([headers, properties], cls=JSONEncoder)) <= HEAD
    named, task = (_text(headers.get(name)) for name in ("id", "task"))
    return UnroutableLetter(
        id=named or str(uuid.uuid4()),
        task=task,
        args=[],
        kwargs={},
        provider=UNROUTABLE,
        operation=task.rpartition(".")[2],
        code=code,
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
    engine.watcher.dead_lettered(UNROUTABLE, letter.code)


def replay(app: Celery, lying: DeadLetters, raw: bytes, *, by: str) -> bool:
    """Whether the message went into its queue again, as it was; False when its letter had left already.

    It is sent first and the letter removed then: who is killed in between leaves both, and the next replay
    sends it twice. Two who replay the same letter at the same moment may, too.

    Args:
        app: Whose broker takes the message, into a queue that it knows.
        lying: The unroutable letters.
        raw: One of them, as it lies there.
        by: Who does it, for the audit.

    Raises:
        NarrowsError: The letter does not hold a whole message, or names another queue; it stays.
        RedisError, kombu.exceptions.OperationalError: The letter stays.
    """
    queue, body, parts = _parts(app, letters.letter_of(raw))
    if raw not in lying:
        return False
    if urls.is_rabbit(str(app.conf.broker_url)):
        publish(app, queue, body, **parts)
    else:
        message = body if parts["content_type"] == BARE else enveloped(body, queue, **parts)
        with app.pool.acquire(block=True) as connection, connection.channel() as channel:
            channel.client.lpush(queue, message)
    lying.remove([raw], by=by, action="replay")
    return True


_OF_DELIVERY = frozenset({"delivery_tag", "delivery_info", "body_encoding"})


def _parts(app: Celery, letter: Mapping[str, Any]) -> tuple[str, bytes, dict[str, Any]]:
    """Where the message of *letter* is to go, its body as it was sent, and what stands beside that."""
    named = letters.id_of(letter)[:NAME]
    try:
        queue, whole = letter["queue"], letter["whole"]
        body = base64.b64decode(letter["message"], validate=True)
        parts = {name: letter[name] for name in ("content_type", "content_encoding")}
        parts |= {name: dict(letter[name] or {}) for name in ("headers", "properties")}
    except (LookupError, RecursionError, TypeError, ValueError):
        raise NarrowsError(f"{UNROUTABLE}: {named} holds no message that can be read") from None
    if not whole:
        raise NarrowsError(f"{UNROUTABLE}: {named} was too long to be kept whole, and cannot be replayed")
    if not isinstance(queue, str) or queue not in app.amqp.queues:
        raise NarrowsError(f"{UNROUTABLE}: {named} names a queue that no worker takes from")
    return queue, body, parts


def _text(value: Any) -> str:
    return value[:NAME] if isinstance(value, str) else ""
