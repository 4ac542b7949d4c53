"""Who did what to dead letters: a stream for each provider, written in the very step that moves letters."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

__all__ = ["Audited", "entries"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """One thing that was done.

    Attributes:
        at: Seconds since the epoch, on Redis's clock.
        action: ``replay``, ``discard``, ``edit``, ``export``, …
        ids: Of the letters; up to a page of them.
        before: Arguments that an edit replaced, ``{"task", "args", "kwargs"}``, sealed where they were;
            ``after``: those in their place. Both None for what is no edit.
    """

    at: float
    by: str
    action: str
    ids: tuple[str, ...]
    before: dict[str, Any] | None = field(default=None, repr=False)
    after: dict[str, Any] | None = field(default=None, repr=False)


def entries(redis: Redis, stream: str, most: int) -> list[Audited]:
    """The newest of *stream*, at most *most*, oldest first; one round trip."""
    newest: Any = redis.xrevrange(stream, count=most)
    return [_read(fields) for _, fields in reversed(newest)]


def _read(fields: Mapping[bytes, bytes]) -> Audited:
    before, after = (_document(fields.get(name)) for name in (b"before", b"after"))
    ids = _document(fields.get(b"ids")) or []
    return Audited(
        at=int(fields.get(b"at", 0)) / 1000,
        by=fields.get(b"by", b"").decode(errors="replace"),
        action=fields.get(b"action", b"").decode(errors="replace"),
        ids=tuple(map(str, ids)),
        before=before,
        after=after,
    )


def _document(text: bytes | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
