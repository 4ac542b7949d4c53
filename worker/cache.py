"""The cache: this process's memory over a Redis that all workers share.

A read asks memory, then Redis; a write goes to both. An entry is fresh for some seconds,
of which memory answers the first few alone, so that an invalidation reaches every process
soon; after them it lies in Redis as stale for the time that its provider is down.

Its Redis may go away at any time: reads and writes never raise, memory answers with what is
still fresh, and a broken server is left alone for a second at a time, so that nobody waits
for its timeouts. What an operator asks for (delete, clear, warm, statistics) raises
:class:`worker.errors.CacheError` instead of failing silently.

Keys are the caller's (worker.keys); values are JSON; worker.envelope has the bytes.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import RedisError

from worker.envelope import Entry, expiry, opened, sealed
from worker.errors import CacheError
from worker.memory import Kept, Memory

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["Cache", "CacheStatistics", "Entry"]

PAUSE = 1.0
"""Seconds that a Redis which failed is left alone before one thread tries it again."""

BATCH = 500
"""Keys per round trip of what walks over many."""

EVERYTHING = "narrows:*:cache:*"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStatistics:
    """What this process saw since its start, and what is kept now.

    Attributes:
        stale_hits: Reads that found an entry past its freshness; they count in no other.
        errors: Reads and writes in which Redis or an entry failed, which nobody else was told.
        redis_bytes: Of the entries alone, without what Redis spends on each.
    """

    memory_hits: int
    redis_hits: int
    stale_hits: int
    misses: int
    errors: int
    memory_entries: int
    memory_bytes: int
    redis_entries: int
    redis_bytes: int


class Cache:
    """Memory over Redis, or memory alone; any number of threads share one.

    Args:
        redis: Returns bytes and gives up fast: its timeouts are what a dead server costs one thread
            a second. None is memory alone.
        memory_items: Entries kept in this process.
        memory_bytes: And their bytes.
        clock: Seconds since the epoch.
        pause: See ``PAUSE``.
    """

    def __init__(
        self,
        redis: Redis | None,
        *,
        memory_items: int = 10_000,
        memory_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.time,
        pause: float = PAUSE,
    ) -> None:
        self._redis, self._clock, self._pause = redis, clock, pause
        self._memory = Memory(items=memory_items, size=memory_bytes, clock=clock)
        self._counts: Counter[str] = Counter()
        self._retry_at = 0.0  # monotonic; 0 while Redis is well
        self._lock = threading.Lock()

    def get(self, key: str) -> Entry | None:
        """The entry of *key*, fresh or stale; None when there is none. At most one round trip."""
        return self.mget((key,))[0]

    def put(
        self,
        key: str,
        value: Any,
        *,
        fresh: float,
        memory: float = 0.0,
        stale: float = 0.0,
        etag: str | None = None,
    ) -> None:
        """Keep *value*: for *fresh* seconds as good, for *stale* more in case of need.

        Args:
            key: Complete.
            value: JSON.
            fresh: Seconds.
            memory: Seconds of these that a process may answer without asking Redis; 0 is none.
            stale: Seconds after them in which :meth:`get` still finds it, marked as stale.
            etag: What the provider calls this version.
        """
        self._write([(key, self._sealed(value, fresh, memory, etag))], fresh + stale)
