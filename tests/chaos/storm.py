"""What is done to all sides at the same moments: workers, connections and Valkey are killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal, Protocol

from redis import Redis, RedisError

from worker.stack.embedded import EmbeddedValkey
from worker.stack.stack import Stack

__all__ = ["Blow", "Storm", "Timetable"]

Blow = Literal["kill_worker", "reset", "crash"]

KINDS = {"kill_worker": "workers killed", "reset": "connections reset", "crash": "Valkey killed"}


class Timetable(Protocol):
    """What happens when."""

    @property
    def workers(self) -> int:
        """On each side."""

    @property
    def down(self) -> float:
        """Seconds that Valkey is away."""

    @property
    def blows(self) -> Sequence[tuple[float, Blow]]:
        """In order; seconds since the beginning."""


@dataclass(kw_only=True)
class Storm:
    """Kills by *plan*, the same on all sides.

    Attributes:
        happened: How often each thing was done.
        kills: When a worker was killed, on the monotonic clock; *returns* when Valkey answered again.
    """

    plan: Timetable
    valkey: EmbeddedValkey
    stacks: tuple[Stack, ...]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    happened: dict[str, int] = field(default_factory=dict)
    kills: list[float] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)

    @property
    def faults(self) -> dict[str, int]:
        """How often each thing was done, in words; of what is done to workers, to those of one side."""
        return {KINDS[name]: count for name, count in self.happened.items()}

    def rage(self, *, told: Callable[[str], None]) -> None:
        """Until the last blow."""
        started = time.monotonic()
        for moment, name in self.plan.blows:
            time.sleep(max(0.0, started + moment - time.monotonic()))
            self.happened[name] = self.happened.get(name, 0) + 1
            what = getattr(self, name)
            what()
            told(f"{time.monotonic() - started:5.1f} s  {what.__doc__}")

    def kill_worker(self) -> None:
        """One worker of each side killed."""
        self.kills.append(time.monotonic())
        number = self.chance.randrange(self.plan.workers)
        for stack in self.stacks:
            stack.kill_worker(number)

    def reset(self) -> None:
        """All connections killed."""
        with self.valkey.client() as client, suppress(RedisError):
            _kill_connections(client)

    def crash(self) -> None:
        """Valkey killed, and started again."""
        self.valkey.kill()
        time.sleep(self.plan.down)
        self.valkey.start()
        self._loaded()
        self.returns.append(time.monotonic())

    def _loaded(self) -> None:
        """Return when it takes commands; it answers some while it still reads its file."""
        with self.valkey.client() as client:
            while True:
                with suppress(RedisError):
                    client.ping()
                    return
                time.sleep(0.01)


def _kill_connections(client: Redis) -> None:
    for kind in ("normal", "pubsub"):
        client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
