"""What is done to both sides at the same moments: workers, connections and Valkey are killed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from redis import Redis, RedisError

from worker.stack.embedded import EmbeddedValkey
from worker.stack.stack import Stack

__all__ = ["Plan", "Storm"]

DOWN = 1.0
"""Seconds that Valkey is away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much and how long.

    Attributes:
        calls: Of each side; *rate* of them in a second.
        latency: Seconds that the provider takes.
        kill_every: Seconds between two workers killed on each side.
        resets: Times that all connections are killed; *crashes* that Valkey is.
        lease: Seconds after which a lost worker's calls are given to others, which is also how long the
            provider may take; None for what everybody has.
        drain: Seconds at most, after the storm, until all is over.
    """

    calls: int = 3000
    rate: float = 20.0
    latency: float = 0.3
    kill_every: float = 3.0
    resets: int = 3
    crashes: int = 2
    lease: float | None = None
    drain: float = 90.0

    @property
    def lasts(self) -> float:
        """Seconds of load."""
        return self.calls / self.rate

    def moments(self, times: int, *, shift: float) -> list[float]:
        """*times* moments spread over the load, *shift* of an interval in, and midway between two kills."""
        spread = (self.lasts * (number + shift) / times for number in range(times))
        return [(moment // self.kill_every + 0.5) * self.kill_every for moment in spread]


@dataclass(kw_only=True)
class Storm:
    """Kills by plan, the same on both sides.

    Attributes:
        happened: How often each thing was done.
    """

    plan: Plan
    valkey: EmbeddedValkey
    stacks: tuple[Stack, ...]
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    happened: dict[str, int] = field(default_factory=dict)

    def rage(self, *, told: Callable[[str], None]) -> None:
        """Until the load is over."""
        started = time.monotonic()
        for moment, what in self._events():
            time.sleep(max(0.0, started + moment - time.monotonic()))
            self.happened[what.__name__] = self.happened.get(what.__name__, 0) + 1
            what()
            told(f"{time.monotonic() - started:5.1f} s  {what.__doc__}")

    def _events(self) -> Iterator[tuple[float, Callable[[], None]]]:
        plan = self.plan
        kills = int(plan.lasts / plan.kill_every)
        events = [(plan.kill_every * (number + 1), self.kill_worker) for number in range(kills)]
        events += [(moment, self.reset) for moment in plan.moments(plan.resets, shift=0.3)]
        events += [(moment, self.crash) for moment in plan.moments(plan.crashes, shift=0.6)]
        yield from sorted(events, key=lambda event: event[0])

    def kill_worker(self) -> None:
        """One worker of each side killed."""
        number = self.chance.randrange(2)
        for stack in self.stacks:
            stack.kill_worker(number)

    def reset(self) -> None:
        """All connections killed."""
        with self.valkey.client() as client, suppress(RedisError):
            _kill_connections(client)

    def crash(self) -> None:
        """Valkey killed, and started again a second later."""
        self.valkey.kill()
        time.sleep(DOWN)
        self.valkey.start()


def _kill_connections(client: Redis) -> None:
    for kind in ("normal", "pubsub"):
        client.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
