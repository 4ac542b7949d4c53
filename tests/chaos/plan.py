"""How much, how long, and which blow falls when: for calls that run, that wait, and that submit."""

from __future__ import annotations

from dataclasses import dataclass

from tests.chaos.storm import Blow

__all__ = ["RUNNING", "SUBMITTING", "WAITING", "Plan", "Running", "Submitting", "Waiting"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all storms have.

    Attributes:
        calls: Of each side; *rate* of them in a second.
        latency: Seconds that the provider takes.
        workers: Of each side.
        kill_every: Seconds between two workers killed on each side.
        crashes: Times that Valkey is killed; *down* seconds pass until it is started again.
        lease: Seconds after which a lost worker's calls are given to others, which is also how long the
            provider may take; None for what everybody has.
        drain: Seconds at most, after the storm, until all is over.
    """

    calls: int
    rate: float
    latency: float
    workers: int
    kill_every: float
    crashes: int
    down: float
    lease: float | None = None
    drain: float = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running(Plan):
    """Calls run as they come, and *resets* times all connections are killed."""

    calls: int = 3000
    rate: float = 20.0
    latency: float = 0.3
    workers: int = 2
    kill_every: float = 3.0
    crashes: int = 2
    down: float = 1.0
    resets: int = 3

    @property
    def lasts(self) -> float:
        """Seconds of load."""
        return self.calls / self.rate

    def moments(self, times: int, *, shift: float) -> list[float]:
        """*times* moments spread over the load, *shift* of an interval in, and midway between two kills."""
        spread = (self.lasts * (number + shift) / times for number in range(times))
        return [(moment // self.kill_every + 0.5) * self.kill_every for moment in spread]

    @property
    def blows(self) -> list[tuple[float, Blow]]:
        """All through the load."""
        kills = int(self.lasts / self.kill_every)
        blows: list[tuple[float, Blow]] = [
            (self.kill_every * (number + 1), "kill_worker") for number in range(kills)
        ]
        blows += [(moment, "reset") for moment in self.moments(self.resets, shift=0.3)]
        blows += [(moment, "crash") for moment in self.moments(self.crashes, shift=0.6)]
        return sorted(blows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(Plan):
    """Calls stand in line for a provider with a rate; first workers are killed, then Valkey is.

    Attributes:
        ahead: Calls with a message each, enqueued before the first worker starts; others stand in line behind
            them, and have none.
        kills: Workers that are killed.
        crash_every: Seconds between the ends of Valkey; *down* is long enough that whoever was let out before
            has been at the provider when it returns.
    """

    calls: int = 4000
    ahead: int = 1000
    rate: float = 36.0
    latency: float = 0.1
    workers: int = 4
    kill_every: float = 2.0
    kills: int = 30
    crashes: int = 3
    crash_every: float = 12.0
    down: float = 2.0

    @property
    def blows(self) -> list[tuple[float, Blow]]:
        """One kind after the other, so that it is seen what each does."""
        blows: list[tuple[float, Blow]] = [
            (self.kill_every * (number + 1), "kill_worker") for number in range(self.kills)
        ]
        calm = blows[-1][0] + self.crash_every / 2
        return blows + [(calm + self.crash_every * number, "crash") for number in range(self.crashes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitting(Running):
    """Submissions, mostly made by several producers each, while desks go wrong in all ways.

    Attributes:
        calls: Submissions at all our desks together, and at each desk of Celery alone.
        weather: Seconds until the desks go wrong in other ways.
        concurrency: Slots of each of our workers.
    """

    calls: int = 200
    rate: float = 4.0
    latency: float = 0.4
    kill_every: float = 2.5
    lease: float | None = 6.0
    drain: float = 60.0
    weather: float = 1.5
    concurrency: int = 8


RUNNING = {"full": Running(), "short": Running(calls=300, resets=1, crashes=1, lease=8.0, drain=40.0)}
WAITING = {
    "full": Waiting(),
    "short": Waiting(
        calls=600, ahead=250, rate=30.0, kills=4, crashes=1, crash_every=6.0, lease=8.0, drain=40.0
    ),
}
SUBMITTING = {
    "full": Submitting(),
    "short": Submitting(
        calls=100, rate=9.0, resets=1, crashes=1, down=0.5, lease=3.0, drain=25.0, weather=1.0
    ),
}
"""The short ones are for CI: all in two minutes."""
