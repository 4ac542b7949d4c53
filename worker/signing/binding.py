"""Ties a signed body to the headers of its message.

Celery signs bodies, and a task's name and id lie in the headers: whoever can write to the broker could put
a signed body under another name. So a digest of the headers goes into the body before it is signed, and a
worker compares. What brokers and kombu write into headers on the way is left out.
"""

from __future__ import annotations

import base64
import hashlib
import json
from hmac import compare_digest
from typing import TYPE_CHECKING, Any

from config.signed import CONTENT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CODE", "PART", "bound", "digest", "signed_text", "unsigned"]

CODE = "unsigned"
"""Of letters in ``dlq:unroutable``, and in ``dead_letters_total``."""

PART = "narrows_bound"
"""Where the digest lies, in the third part of the body, beside what Celery has there."""

_ON_THE_WAY = frozenset({"compression", "redelivered"})
_BROKERS_OWN = "x-"

_SEPARATOR = b"\x00\x01"
_PARTS = 5


def digest(headers: Mapping[str, Any]) -> str:
    """What stands for *headers*, whichever way they were sent: SHA-256 of them as sorted, compact JSON."""
    own = {name: value for name, value in headers.items() if _is_senders(name)}
    text = json.dumps(own, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def bound(message: Any, headers: Mapping[str, Any] | None) -> Any:
    """*message*, a task's of protocol 2, tied to its headers with those that are sent beside."""
    args, kwargs, embedded = message.body
    part = digest({**message.headers, **(headers or {})})
    return message._replace(body=(args, kwargs, {**(embedded or {}), PART: part}))


def unsigned(message: Any) -> str:
    """Why *message* of kombu's, just taken, is not one that a trusted signer sent; empty when it is."""
    if message.content_type != CONTENT:
        return "it is not signed"
    try:
        payload = message.payload
    except Exception as why:  # noqa: BLE001 - whatever a stranger's bytes lead to
        return _reason(str(why))
    if "task" not in message.headers:
        return ""  # of protocol 1, which has all in its body
    embedded = payload[2] if isinstance(payload, list) and len(payload) == 3 else None  # noqa: PLR2004
    said = embedded.get(PART) if isinstance(embedded, dict) else None
    fits = isinstance(said, str) and compare_digest(said.encode(), digest(message.headers).encode())
    return "" if fits else "its headers are not those that were signed"


def signed_text(content_type: object, body: bytes) -> bytes:
    """What was signed in *body*; *body* itself when nothing was. Nobody's signature is looked at."""
    if content_type != CONTENT:
        return body
    try:
        return base64.b64decode(body).split(_SEPARATOR, _PARTS - 1)[_PARTS - 1]
    except (LookupError, ValueError):
        return body


def _is_senders(name: object) -> bool:
    return name not in _ON_THE_WAY and not str(name).startswith(_BROKERS_OWN)


def _reason(said: str) -> str:
    """Celery's error in our words: it quotes what a stranger wrote."""
    if "Expired certificate" in said:
        return "the certificate that signed it has expired"
    if "Unknown certificate" in said:
        return "it was signed with a certificate that is not trusted here"
    return "its signature is not that of what it says"
