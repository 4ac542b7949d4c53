"""The tier of the cache that all workers share: a Redis that may go away at any time.

What calls need never raises: a server that failed is left alone for a pause, after which
one thread tries it while the others go on without. What an operator asks for is always
tried, and raises :class:`worker.errors.CacheError`.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.errors import CacheError

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["BATCH", "Shared", "batches"]

BATCH = 500
"""Keys per round trip of what walks over many."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Shared:
    """Envelopes in Redis.

    Args:
        redis: Returns bytes and gives up fast: its timeouts are what a dead server costs one thread
            per *pause*.
        pause: Seconds that a server which failed is left alone.
        failed: Told of each failure that nobody else hears of.
    """

    def __init__(self, redis: Redis, *, pause: float, failed: Callable[[], None]) -> None:
        self._redis, self._pause, self._failed = redis, pause, failed
        self._lock = threading.Lock()
        self._retry_at = 0.0  # monotonic; 0 while Redis is well

    def get(self, key: str) -> tuple[bool, bytes | None]:
        """Whether Redis answered, and the envelope of *key*."""
        return self._ask(lambda redis: cast("bytes | None", redis.get(key)))

    def mget(self, keys: Sequence[str]) -> tuple[bool, list[bytes | None]]:
        """Whether Redis answered, and the envelopes of *keys* in their order."""
        reached, found = self._ask(lambda redis: cast("list[bytes | None]", redis.mget(keys)))
        return reached, found or [None] * len(keys)

    def put(self, raws: Mapping[str, bytes], seconds: float) -> None:
        """Keep envelopes for *seconds*, if Redis takes them. One round trip."""
        if raws:
            self._ask(lambda redis: _store(redis, raws, seconds))

    def fill(self, raws: Mapping[str, bytes], seconds: float) -> None:
        """Keep envelopes for *seconds*, or raise CacheError."""
        with _told("warm"):
            _store(self._redis, raws, seconds)

    def drop(self, *keys: str) -> int:
        """Forget *keys* or raise CacheError; how many were there."""
        with _told("delete"):
            return int(self._redis.unlink(*keys)) if keys else 0

    def clear(self, pattern: str) -> int:
        """Forget what the glob *pattern* matches or raise CacheError; how many keys there were.

        SCAN and UNLINK in batches: the server serves others in between.
        """
        with _told("clear"):
            walk = batches(self._redis.scan_iter(match=pattern, count=BATCH))
            return sum(int(self._redis.unlink(*keys)) for keys in walk)

    def extent(self, pattern: str) -> tuple[int, int]:
        """Keys that *pattern* matches and the bytes of their envelopes, or raise CacheError."""
        entries = size = 0
        with _told("count"):
            for keys in batches(self._redis.scan_iter(match=pattern, count=BATCH)):
                pipe = self._redis.pipeline(transaction=False)
                for key in keys:
                    pipe.strlen(key)
                lengths = pipe.execute(raise_on_error=False)  # another type under our pattern has none
                entries += len(keys)
                size += sum(length for length in lengths if isinstance(length, int))
        return entries, size

    def ping(self) -> bool:
        """Whether Redis answers."""
        try:
            return bool(self._redis.ping())
        except (RedisError, OSError):
            return False

    def _ask(self, command: Callable[[Redis], T]) -> tuple[bool, T | None]:
        if not self._worth_asking():
            return False, None
        try:
            answer = command(self._redis)
        except (RedisConnectionError, RedisTimeoutError, OSError) as error:
            self._failed()
            self._lost(error)
        except RedisError:  # it lives and refuses, as when it is full: no reason to leave it alone
            self._failed()
        else:
            if self._retry_at:
                self._retry_at = 0.0
                _log.info("cache redis regained")
            return True, answer
        return False, None

    def _worth_asking(self) -> bool:
        if not self._retry_at:
            return True
        with self._lock:
            now = time.monotonic()
            if now < self._retry_at:
                return False
            self._retry_at = now + self._pause  # this thread tries; the others go on without
            return True

    def _lost(self, error: Exception) -> None:
        with self._lock:
            news = not self._retry_at
            self._retry_at = time.monotonic() + self._pause
        if news:
            _log.warning("cache redis lost", extra={"error": type(error).__name__})


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """*items* in lists of at most ``BATCH``."""
    walk = iter(items)
    while batch := list(itertools.islice(walk, BATCH)):
        yield batch


def _store(redis: Redis, raws: Mapping[str, bytes], seconds: float) -> None:
    milliseconds = int(seconds * 1000)
    if milliseconds <= 0:
        return
    if len(raws) == 1:
        ((key, raw),) = raws.items()
        redis.set(key, raw, px=milliseconds)
        return
    pipe = redis.pipeline(transaction=False)
    for key, raw in raws.items():
        pipe.set(key, raw, px=milliseconds)
    pipe.execute()


@contextmanager
def _told(command: str) -> Iterator[None]:
    """Whoever asked for it hears that it failed."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise CacheError(f"cannot {command}: the cache's Redis said {type(error).__name__}") from error
