"""What Redis did between two looks at it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from redis import Redis

__all__ = ["RedisWork"]

OURS = ("info", "llen", "hlen", "blpop", "config|resetstat")
"""Commands by which the bench itself looks; they count for nobody."""


class RedisWork:
    """Counts from when it is made: commands, those inside scripts too, and bytes.

    A script counts once as EVALSHA, and each command that it runs counts as well. What workers ask while they
    have nothing to do is in it.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._memory, self._calls = self._memory_now(), self._calls_now()

    def commands(self) -> Counter[str]:
        """Commands since then, by name."""
        return self._calls_now() - self._calls

    def memory(self) -> int:
        """Bytes that the server holds more than then."""
        return self._memory_now() - self._memory

    def per_call(self, calls: int) -> dict[str, float]:
        """For each of *calls*: scripts, what Celery asks to hear of its result, all commands, and memory."""
        made = self.commands()
        return {
            "scripts": made["evalsha"] / calls,
            "of Celery's result client": (made["subscribe"] + made["unsubscribe"]) / calls,
            "commands, scripts' own too": made.total() / calls,
            "Redis memory, bytes": self.memory() / calls,
        }

    def _memory_now(self) -> int:
        said: dict[str, Any] = self._redis.info("memory")
        return int(said["used_memory"])

    def _calls_now(self) -> Counter[str]:
        said: dict[str, Any] = self._redis.info("commandstats")
        found = {name.removeprefix("cmdstat_"): int(each["calls"]) for name, each in said.items()}
        return Counter({name: calls for name, calls in found.items() if name not in OURS})
