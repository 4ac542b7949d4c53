"""One Redis server as its administrator would look at it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["OLDEST", "RedisServer", "examined", "ping"]

OLDEST = {"Redis": (6, 2), "Valkey": (7, 2)}
"""The first versions with all commands and scripting rules that we rely on."""

PINGS = 5

_GUARDS = ("min_slaves_good_slaves", "min_replicas_good_replicas")
"""Told only where ``min-replicas-to-write`` is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisServer:
    """What it says of itself.

    Attributes:
        product: ``Valkey`` or ``Redis``.
        skew: Seconds that its clock is ahead of this machine's.
        policy: What it does when it is full: ``noeviction``, ``allkeys-lru``, …
        writable: A primary; a replica refuses writes.
        appends: Every write goes to disk.
        appended: The last such write succeeded.
        limit: Bytes that it may use; 0 is no limit.
        replicas: How many follow it.
        needs_replica: It takes no write when none follows closely (``min-replicas-to-write``).
    """

    product: str
    version: str
    skew: float
    policy: str
    writable: bool
    appends: bool
    used: int
    limit: int
    appended: bool = True
    replicas: int = 0
    needs_replica: bool = False

    @property
    def is_old(self) -> bool:
        """Whether it lacks something that we rely on."""
        return tuple(int(part) for part in self.version.split(".")[:2]) < OLDEST[self.product]


def examined(redis: Redis) -> RedisServer:
    """The server behind *redis*; two round trips.

    Raises:
        RedisError: It does not answer or does not let us ask.
    """
    before = time.time()
    seconds, micros = redis.time()
    after = time.time()
    info: dict[str, Any] = redis.info()
    is_valkey = "valkey_version" in info
    return RedisServer(
        product="Valkey" if is_valkey else "Redis",
        version=str(info["valkey_version" if is_valkey else "redis_version"]),
        skew=seconds + micros / 1e6 - (before + after) / 2,
        policy=str(info.get("maxmemory_policy", "noeviction")),
        writable=info.get("role") == "master",
        appends=bool(info.get("aof_enabled")),
        used=int(info.get("used_memory", 0)),
        limit=int(info.get("maxmemory", 0)),
        appended=info.get("aof_last_write_status", "ok") == "ok",
        replicas=int(info.get("connected_slaves", 0)),
        needs_replica=any(name in info for name in _GUARDS),
    )


def ping(redis: Redis) -> float:
    """Seconds of a round trip, the median of five."""

    def once() -> float:
        started = time.perf_counter()
        redis.ping()
        return time.perf_counter() - started

    return median(once() for _ in range(PINGS))
