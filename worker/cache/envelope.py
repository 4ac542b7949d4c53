"""The bytes of a cached value, the same in Redis and in memory.

    0-12   stored_at    ms since the epoch, 13 decimal digits
    13     form         j JSON, z zlib-compressed JSON
    14-26  fresh_until  ms since the epoch, 13 decimal digits
    27-35  memory       ms that a process may keep it without asking Redis, 9 decimal digits
    36-39  etag         its length in bytes, 4 hex digits
    40-    etag, then the value

The moments stand first, in plain digits, so that a Lua script can tell an entry's age
and freshness with ``GETRANGE`` and ``tonumber``, and never touches the value.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Entry", "Tier", "expiry", "opened", "sealed"]

Tier = Literal["memory", "redis"]

COMPRESS_ABOVE = 1024
"""Bytes of JSON; below it zlib saves less than a network packet."""

LEVEL = 1
"""Recorded Socrata answers shrink 4 to 14 times; level 6 takes up to three times as long for a sixth less."""

HEAD = 40
LONGEST_MEMORY = 999_999_999
LONGEST_ETAG = 0xFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A value from the cache.

    Attributes:
        value: A new object on every read; changing it changes nothing in the cache.
        age: Seconds since it was stored.
        fresh: False when it is kept only for the time that its provider is down.
        stored_at: Seconds since the epoch.
        tier: ``memory`` or ``redis``.
    """

    value: Any
    age: float
    fresh: bool
    stored_at: float
    tier: Tier
    etag: str | None = None

    def __repr__(self) -> str:
        """Age and freshness; values stay out of logs."""
        return f"<Entry {'fresh' if self.fresh else 'stale'} {self.age:.0f} s {self.tier}>"


def sealed(value: Any, *, now: float, fresh: float, memory: float, etag: str | None = None) -> bytes:
    """The envelope of *value*, stored at *now*.

    Raises:
        TypeError, ValueError, RecursionError: *value* is not JSON.
    """
    body = json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    form = b"j"
    if len(body) > COMPRESS_ABOVE:
        form, body = b"z", zlib.compress(body, LEVEL)
    mark = (etag or "").encode()
    if len(mark) > LONGEST_ETAG:
        mark = b""
    stored = int(now * 1000)
    kept = min(int(memory * 1000), LONGEST_MEMORY)
    return b"%013d%b%013d%09d%04x%b%b" % (
        stored,
        form,
        stored + int(fresh * 1000),
        kept,
        len(mark),
        mark,
        body,
    )


def opened(raw: bytes, *, now: float, tier: Tier) -> Entry:
    """What :func:`sealed` put into *raw*.

    Raises:
        ValueError, zlib.error: It is no envelope.
    """
    stored_at, (fresh_until, _) = int(raw[:13]) / 1000, expiry(raw)
    start = HEAD + int(raw[36:40], 16)
    form, body = raw[13:14], raw[start:]
    if form == b"z":
        body = zlib.decompress(body)
    elif form != b"j":
        raise ValueError("unknown form")
    return Entry(
        value=json.loads(body),
        age=max(0.0, now - stored_at),
        fresh=now < fresh_until,
        stored_at=stored_at,
        tier=tier,
        etag=raw[HEAD:start].decode() or None,
    )


def expiry(raw: bytes) -> tuple[float, float]:
    """When *raw* stops being fresh (seconds since the epoch), and seconds that memory may keep it."""
    return int(raw[14:27]) / 1000, int(raw[27:36]) / 1000
