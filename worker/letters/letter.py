"""A dead letter: what is kept of a call that was given up, and why it was."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker.errors import CallDeferred, CallFailed, NarrowsError, UnexpectedError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "GENERATIONS",
    "UNREADABLE",
    "UNROUTABLE",
    "DeadLetter",
    "id_of",
    "iso",
    "letter_of",
    "replays_of",
    "verdict",
]

UNREADABLE = "unreadable"
"""The code of what lies among the letters and is none."""

UNROUTABLE = "unroutable"
"""The provider that letters of messages name which no worker could take, and the end of their list's name."""

GENERATIONS = 3
"""Replays after which a call that fails yet again waits for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One call that was given up.

    Attributes:
        code: Why, one of the codes of :mod:`worker.errors`, or ``exhausted``: replayed in vain too often.
        status: The provider's HTTP status, or None.
        attempts: Calls made in vain; ``replays`` how often it was brought back.
        first_failed_at: ISO 8601, UTC; so is ``failed_at``.
        retryable: Whether a replay may succeed without a person.
        request_id: Of who enqueued it, as ``trace_id`` and ``user_id`` are; a replay carries them on.
    """

    id: str
    task: str
    args: list[Any]
    kwargs: dict[str, Any]
    provider: str
    operation: str
    code: str
    status: int | None
    error: str
    trace_id: str
    payload_excerpt: str
    attempts: int
    replays: int
    first_failed_at: str
    failed_at: str
    retryable: bool
    request_id: str | None = None
    user_id: str | None = None

    def __repr__(self) -> str:
        """Without the arguments, which may be private."""
        return f"<DeadLetter {self.id} {self.task} {self.code}>"

    def as_json(self) -> str:
        """The letter as it lies in Redis."""
        return json.dumps(self.document(), separators=(",", ":"), default=str)

    def document(self) -> dict[str, Any]:
        """Its fields by name, as they are: ``asdict`` would copy what may be nested deeper than it can go."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


def verdict(why: BaseException, *, replays: int = 0) -> dict[str, Any]:
    """The fields of a letter that *why* decides, for a call that was brought back *replays* times."""
    known = isinstance(why, NarrowsError)
    said = {
        "code": why.code if isinstance(why, NarrowsError) else UnexpectedError.code,
        "status": getattr(why, "status", None),
        "error": str(why) if known else type(why).__name__,
        "retryable": isinstance(why, CallFailed | CallDeferred),
    }
    if said["retryable"] and replays >= GENERATIONS:
        error = f"{said['code']} after {replays} replays: {said['error']}"
        said |= {"code": "exhausted", "error": error, "retryable": False}
    return said


def iso(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond, of *seconds* since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def letter_of(raw: bytes | str) -> dict[str, Any]:
    """The letter in *raw*; when there is none, ``{"id", "code": "unreadable", "unreadable": size}``.

    Such an id is made of the bytes, so that people can name them.
    """
    try:
        letter = json.loads(raw)
    except (ValueError, RecursionError):
        letter = None
    return letter if isinstance(letter, dict) else _unreadable(raw.encode() if isinstance(raw, str) else raw)


def _unreadable(raw: bytes) -> dict[str, Any]:
    digest = hashlib.blake2b(raw, digest_size=8).hexdigest()
    return {"id": f"{UNREADABLE}-{digest}", "code": UNREADABLE, UNREADABLE: len(raw)}


def id_of(letter: Mapping[str, Any]) -> str:
    """Its id as Redis can keep it, "" when it has none."""
    return str(letter.get("id", "")).encode(errors="replace").decode()


def replays_of(letter: Mapping[str, Any]) -> int:
    """How often its call was brought back."""
    replays = letter.get("replays")
    return replays if isinstance(replays, int) else 0
