"""A process's own tier of the cache: serialized entries, bounded in number and in bytes."""

from __future__ import annotations

import fnmatch
import re
import threading
from collections.abc import Callable
from typing import NamedTuple

from cachetools import TLRUCache

__all__ = ["Kept", "Memory"]


class Kept(NamedTuple):
    """An entry's bytes, and two moments in seconds since the epoch.

    Attributes:
        ask_at: From then on Redis is asked first, if there is one to ask.
        until: The entry is not fresh any more and goes.
    """

    raw: bytes
    ask_at: float
    until: float


class Memory:
    """The least recently used entries go first.

    One short lock; serialization happens outside. An entry is charged its bytes but at least the
    *size* / *items* share, so that neither bound can be passed.
    """

    def __init__(self, *, items: int, size: int, clock: Callable[[], float]) -> None:
        share = max(1, size // items)
        self._lock = threading.Lock()
        self._entries: TLRUCache[str, Kept] = TLRUCache(
            maxsize=max(size, items),
            ttu=lambda _key, kept, _now: kept.until,
            timer=clock,
            getsizeof=lambda kept: max(share, len(kept.raw)),
        )

    def get(self, key: str) -> Kept | None:
        """The entry of *key* while it is fresh."""
        with self._lock:
            return self._entries.get(key)

    def put(self, key: str, kept: Kept) -> None:
        """Keep an entry; one larger than the whole tier is not kept."""
        with self._lock:
            try:
                self._entries[key] = kept
            except ValueError:
                self._entries.pop(key, None)

    def drop(self, *keys: str) -> int:
        """Forget *keys*; how many were there."""
        with self._lock:
            return sum(self._entries.pop(key, None) is not None for key in keys)

    def clear(self, pattern: str) -> int:
        """Forget the keys that a Redis glob matches; how many there were.

        An escape in *pattern* forgets everything: too much is no harm in a cache.
        """
        plain = "*" if "\\" in pattern else pattern.replace("[^", "[!")
        matches = re.compile(fnmatch.translate(plain)).match
        with self._lock:
            keys = [key for key in self._entries if matches(key)]
        return self.drop(*keys)

    @property
    def extent(self) -> tuple[int, int]:
        """Entries that are kept, and their bytes."""
        with self._lock:
            self._entries.expire()
            return len(self._entries), sum(len(kept.raw) for kept in self._entries.values())
