"""The keys of sealed messages that lie in the broker, which nobody can seal anew there."""

from __future__ import annotations

import base64
import binascii
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from worker.sealing.sealer import key_ids
from worker.signing.binding import signed_text

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["messages"]

PAGE = 200

UNACKED = "unacked"
"""Kombu's hash of messages that a worker has taken and not yet acknowledged, of all queues."""


def messages(broker: Redis, queue: str) -> Counter[str]:
    """How many messages of *queue* are sealed under each key's id; those that a worker has just taken, too.

    A message that is taken while this looks may be counted twice or not at all.
    """
    found: Counter[str] = Counter()
    end = int(broker.llen(queue))
    while end > 0:
        raws: Any = broker.lrange(queue, max(0, end - PAGE), end - 1)
        for raw in raws:
            found.update(set(_ids(raw)))
        end -= PAGE
    for _, raw in broker.hscan_iter(UNACKED, count=PAGE):
        taken = _read(raw)
        if isinstance(taken, list) and taken and taken[-1] == queue:
            found.update(set(_ids(json.dumps(taken[0]))))
    return found


def _ids(raw: bytes | str) -> list[str]:
    """The keys in one of kombu's envelopes, whose body is base64 of JSON."""
    envelope = _read(raw)
    body = envelope.get("body") if isinstance(envelope, dict) else None
    if not isinstance(body, str):
        return []
    try:
        text = signed_text(envelope.get("content-type"), base64.b64decode(body))
        return key_ids(text.decode(errors="replace"))
    except (binascii.Error, ValueError):
        return []


def _read(raw: bytes | str) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None
