"""Dead letters: calls that were given up, as JSON in the list ``dlq:<provider>``, oldest first."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from worker.errors import CallDeferred, CallFailed, NarrowsError, UnexpectedError
from worker.keys import keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

__all__ = ["DeadLetter", "DeadLetters", "iso", "verdict"]

PAGE = 500
"""Letters read at a time, so that a long list costs constant memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One call that was given up.

    Attributes:
        code: Why, one of the codes of :mod:`worker.errors`.
        status: The provider's HTTP status, or None.
        attempts: Calls made in vain; ``replays`` how often it was brought back.
        first_failed_at: ISO 8601, UTC; so is ``failed_at``.
        retryable: Whether a replay may succeed without a person.
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

    def __repr__(self) -> str:
        """Without the arguments, which may be private."""
        return f"<DeadLetter {self.id} {self.task} {self.code}>"

    def as_json(self) -> str:
        """The letter as it lies in Redis."""
        return json.dumps(asdict(self), separators=(",", ":"), default=str)


def verdict(why: BaseException) -> dict[str, Any]:
    """The fields of a letter that *why* decides."""
    known = isinstance(why, NarrowsError)
    return {
        "code": why.code if isinstance(why, NarrowsError) else UnexpectedError.code,
        "status": getattr(why, "status", None),
        "error": str(why) if known else type(why).__name__,
        "retryable": isinstance(why, CallFailed | CallDeferred),
    }


def iso(seconds: float) -> str:
    """ISO 8601 in UTC, to the millisecond, of *seconds* since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class DeadLetters:
    """The dead letters of one provider."""

    def __init__(self, redis: Redis, provider: str) -> None:
        self._redis, self._key = redis, keys(provider).dlq

    def __len__(self) -> int:
        return int(self._redis.llen(self._key))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each letter, oldest first, a page at a time; what is not JSON becomes ``{"unreadable": bytes}``."""
        start = 0
        while page := self._redis.lrange(self._key, start, start + PAGE - 1):
            yield from (_read(raw) for raw in page)
            start += PAGE

    def find(self, letter_id: str) -> dict[str, Any] | None:
        """The letter of that id, or None."""
        return next((letter for letter in self if letter.get("id") == letter_id), None)


def _read(raw: bytes | str) -> dict[str, Any]:
    try:
        letter = json.loads(raw)
    except ValueError:
        letter = None
    return letter if isinstance(letter, dict) else {"unreadable": len(raw)}
