"""The cache: this process's memory over a Redis that all workers share.

A read asks memory, then Redis; a write goes to both. An entry is fresh for some seconds, of
which memory answers the first few alone, so that an invalidation soon reaches every process;
after them it lies in Redis as stale for the time that its provider is down.

Reads and writes never raise. Without Redis, memory answers with whatever it holds that is still
fresh. What an operator asks for (delete, clear, warm, statistics) raises
:class:`worker.errors.CacheError` instead of failing silently.

Keys are the caller's (worker.keys), values are JSON, worker.cache.envelope has the bytes.
"""

from __future__ import annotations

import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.cache.envelope import Entry, Tier, expiry, opened, sealed
from worker.cache.memory import Kept, Memory
from worker.cache.shared import Shared, batches
from worker.errors import CacheError

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["EVERYTHING", "Cache", "CacheStatistics", "Entry"]

EVERYTHING = "narrows:*:cache:*"
"""The glob of every key that worker.keys and ``@cached`` make."""

COUNTED = ("memory_hits", "redis_hits", "stale_hits", "misses", "errors")
UNKEEPABLE = (TypeError, ValueError, RecursionError)


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
        redis: Returns bytes and gives up fast (tenths of a second). None is memory alone.
        memory_items: Entries kept in this process.
        memory_bytes: And their bytes.
        clock: Seconds since the epoch.
        pause: Seconds that a Redis which failed is left alone before one thread tries it again.
    """

    def __init__(
        self,
        redis: Redis | None,
        *,
        memory_items: int = 10_000,
        memory_bytes: int = 64 * 1024 * 1024,
        clock: Callable[[], float] = time.time,
        pause: float = 1.0,
    ) -> None:
        self._clock = clock
        self._memory = Memory(items=memory_items, size=memory_bytes, clock=clock)
        self._shared = None if redis is None else Shared(redis, pause=pause, failed=self._failed)
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def get(self, key: str) -> Entry | None:
        """The entry of *key*, fresh or stale; None when there is none. At most one round trip."""
        now = self._clock()
        kept = self._memory.get(key)
        if kept is not None and now < kept.ask_at:
            return self._counted(self._opened(kept.raw, now, "memory"))
        reached, raw = self._shared.get(key) if self._shared else (False, None)
        return self._counted(self._chosen(key, kept, raw, reached=reached, now=now))

    def mget(self, keys: Sequence[str]) -> list[Entry | None]:
        """The entries of *keys*, in their order. At most one round trip for all."""
        now = self._clock()
        kept = {key: self._memory.get(key) for key in keys}
        asked = [key for key, known in kept.items() if known is None or now >= known.ask_at]
        entries = {key: self._opened(known.raw, now, "memory") for key, known in kept.items() if known}
        if asked:
            reached, found = self._shared.mget(asked) if self._shared else (False, [None] * len(asked))
            for key, raw in zip(asked, found, strict=True):
                entries[key] = self._chosen(key, kept[key], raw, reached=reached, now=now)
        return [self._counted(entries.get(key)) for key in keys]

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
            value: JSON; anything else is not kept, and counts as an error.
            fresh: Seconds.
            memory: Seconds of these that a process may answer without asking Redis; 0 is none.
            stale: Seconds after them in which :meth:`get` still finds it, marked as stale.
            etag: What the provider calls this version.
        """
        self._put({key: value}, fresh=fresh, memory=memory, stale=stale, etag=etag)

    def mset(
        self, values: Mapping[str, Any], *, fresh: float, memory: float = 0.0, stale: float = 0.0
    ) -> None:
        """Keep *values* by their keys, all for as long. One round trip."""
        self._put(values, fresh=fresh, memory=memory, stale=stale, etag=None)

    def delete(self, *keys: str) -> int:
        """Forget *keys*; how many were there. Other processes' memory keeps them for its seconds.

        Raises:
            CacheError: Redis may still have them.
        """
        here = self._memory.drop(*keys)
        return here if self._shared is None else self._shared.drop(*keys)

    def clear(self, pattern: str = EVERYTHING) -> int:
        """Forget the keys that the Redis glob *pattern* matches; how many there were.

        Raises:
            CacheError: Redis may still have some of them.
        """
        here = self._memory.clear(pattern)
        return here if self._shared is None else self._shared.clear(pattern)

    def warm(
        self, values: Iterable[tuple[str, Any]], *, fresh: float, memory: float = 0.0, stale: float = 0.0
    ) -> int:
        """Keep many values before anybody asks; how many. A round trip per batch, whatever their number.

        Raises:
            CacheError: One is not JSON, or Redis did not take them all.
        """
        done = 0
        for batch in batches(values):
            try:
                raws = {key: self._sealed(value, fresh, memory, None) for key, value in batch}
            except UNKEEPABLE:
                raise CacheError(f"one of values {done + 1} to {done + len(batch)} is not JSON") from None
            self._keep(raws)
            if self._shared:
                self._shared.fill(raws, fresh + stale)
            done += len(batch)
        return done

    def statistics(self, pattern: str = EVERYTHING) -> CacheStatistics:
        """What happened in this process, and what is kept under *pattern*. Walks all of its keys.

        Raises:
            CacheError: Redis did not answer.
        """
        entries, size = self._shared.extent(pattern) if self._shared else (0, 0)
        mine, mine_size = self._memory.extent
        with self._lock:
            counts = {name: self._counts[name] for name in COUNTED}
        return CacheStatistics(
            memory_entries=mine, memory_bytes=mine_size, redis_entries=entries, redis_bytes=size, **counts
        )

    def ping(self) -> bool:
        """Whether the cache's Redis answers; True when there is none to ask."""
        return self._shared is None or self._shared.ping()

    def _put(
        self, values: Mapping[str, Any], *, fresh: float, memory: float, stale: float, etag: str | None
    ) -> None:
        raws: dict[str, bytes] = {}
        for key, value in values.items():
            try:
                raws[key] = self._sealed(value, fresh, memory, etag)
            except UNKEEPABLE:
                self._failed()
        self._keep(raws)
        if self._shared:
            self._shared.put(raws, fresh + stale)

    def _sealed(self, value: Any, fresh: float, memory: float, etag: str | None) -> bytes:
        return sealed(value, now=self._clock(), fresh=fresh, memory=memory, etag=etag)

    def _opened(self, raw: bytes, now: float, tier: Tier) -> Entry | None:
        try:
            return opened(raw, now=now, tier=tier)
        except (ValueError, zlib.error, RecursionError):  # someone else's bytes under our key
            self._failed()
            return None

    def _chosen(
        self, key: str, kept: Kept | None, raw: bytes | None, *, reached: bool, now: float
    ) -> Entry | None:
        """What holds after Redis was asked: its answer, or memory's if it gave none."""
        if not reached:
            return None if kept is None else self._opened(kept.raw, now, "memory")
        entry = None if raw is None else self._opened(raw, now, "redis")
        if raw is not None and entry is not None and entry.fresh:
            self._keep({key: raw})
        elif kept is not None:
            self._memory.drop(key)  # somebody deleted it
        return entry

    def _keep(self, raws: Mapping[str, bytes]) -> None:
        now = self._clock()
        for key, raw in raws.items():
            until, seconds = expiry(raw)
            if seconds and until > now:
                self._memory.put(key, Kept(raw, min(now + seconds, until), until))
            else:
                self._memory.drop(key)

    def _counted(self, entry: Entry | None) -> Entry | None:
        name = "misses" if entry is None else f"{entry.tier}_hits" if entry.fresh else "stale_hits"
        with self._lock:
            self._counts[name] += 1
        return entry

    def _failed(self) -> None:
        with self._lock:
            self._counts["errors"] += 1
