"""What became of the calls that waited, and what the provider and the indexes saw meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tests.chaos.invariants import Watch
from tests.chaos.pace import above, overlapping, resumed, share
from tests.chaos.report import Outcome, rows
from tests.chaos.witness import Visit
from worker.provider import Rate

__all__ = ["Findings", "findings"]

RESUMED_WITHIN = 15.0

JITTER = 0.2
"""Seconds by which a call may come late to its moment where processes start and are killed on few cores: so
many seconds' calls may stand beyond the burst in an interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """One storm.

    Attributes:
        most_parked: Calls in line at most.
        looks: How often all indexes and records were compared; *broken* counts what was found.
        asked_twice: Calls for which two requests were in flight at once.
        used: Share of the rate that was used while workers were killed.
        above: Calls at most beyond burst and rate times length, of any interval of a second and more.
        allowed: How many of those are the machine's own jitter.
        resumed: Seconds from each return of Valkey to the next request.
    """

    outcome: Outcome
    most_parked: int
    looks: int
    broken: int
    asked_twice: int
    used: float
    above: float
    allowed: float
    resumed: tuple[float, ...]

    def table(self) -> str:
        """All of it."""
        skipped = ("silence", "longest")  # to wait in line is no silence
        back = ", ".join(f"{each:.1f}" for each in self.resumed) or "never away"
        own = {
            "in line at most": f"{self.most_parked:,}",
            "looks at all indexes": f"{self.looks:,}",
            "calls in two places, or none": f"{self.broken:,}",
            "asked for twice at once": f"{self.asked_twice:,}",
            "of the rate used in kills, %": f"{100 * self.used:.0f}",
            "calls above burst + rate x s": f"{self.above:.1f}",
            "back after Valkey was, s": back,
        }
        shown = {**rows(self.outcome, without=skipped), **own}
        return "\n".join(f"{title:30}{value:>16}" for title, value in shown.items())

    def wrong(self, calls: int) -> dict[str, float]:
        """What should have been 0 after *calls* calls."""
        late = [each for each in self.resumed if each > RESUMED_WITHIN]
        return {
            "calls were not taken": calls - self.outcome.calls,
            "calls were lost": self.outcome.lost,
            "calls ended twice": self.outcome.ended_twice,
            "calls were in two places, or none": self.broken,
            "calls were asked for twice at once": self.asked_twice,
            f"calls above the rate, and {self.allowed:g} allowed": max(0.0, self.above - self.allowed)
            and self.above,
            f"times nobody came for {RESUMED_WITHIN:g} s after Valkey was back": len(late),
            "looks at the indexes were missed altogether": int(self.looks == 0),
        }


def findings(
    outcome: Outcome,
    watch: Watch,
    visits: Sequence[Visit],
    *,
    rate: Rate,
    kills: tuple[float, float],
    returns: Iterable[float],
) -> Findings:
    """Add up what was seen.

    Args:
        outcome: What became of the calls.
        watch: What was seen in Redis.
        visits: What the provider saw, oldest first.
        rate: What it allows.
        kills: When the first worker was killed and when the last, on the visits' clock.
        returns: When Valkey came back, each time.
    """
    arrivals = [visit.at for visit in visits]
    return Findings(
        outcome=outcome,
        most_parked=watch.most["parked"],
        looks=watch.looks,
        broken=len(watch.broken),
        asked_twice=len(overlapping(visits)),
        used=share(arrivals, *kills, rate=rate.per_second),
        above=above(arrivals, rate=rate.per_second, burst=rate.burst),
        allowed=rate.per_second * JITTER,
        resumed=tuple(resumed(arrivals, returns)),
    )
