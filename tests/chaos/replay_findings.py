"""Where each dead letter is after a storm of replays, and how fast they came back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.findings import JITTER
from tests.chaos.pace import above
from worker.provider import Rate

__all__ = ["Replays"]

GROWTH = 30_000_000
"""Bytes that the replaying process may grow by."""

QUEUED = 100
"""Messages that may lie in the broker: the releaser lets a quarter of a second's calls out at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replays:
    """One storm.

    Attributes:
        listed: Letters still in the list, *standing* calls in line, *answered* calls that the provider saw.
        lost: Letters that are nowhere.
        doubled: Letters that are in two places, or twice in one, or were answered twice.
        above: Calls at most beyond burst and rate times length of any interval; *allowed* are the machine's.
    """

    listed: int
    standing: int
    answered: int
    lost: int
    doubled: int
    above: float
    allowed: float

    @classmethod
    def of(
        cls,
        ids: Iterable[str],
        *,
        listed: Sequence[str],
        standing: Sequence[str],
        answered: Mapping[str, int],
        arrivals: Sequence[float],
        rate: Rate,
    ) -> Replays:
        """Count where each of *ids* is."""
        places = Counter([*listed, *standing])
        # a call that was under way when its worker stopped was answered, and stands there to be run again
        places.update({each: count for each, count in answered.items() if count > 1 or each not in places})
        return cls(
            listed=len(listed),
            standing=len(standing),
            answered=len(answered),
            lost=sum(places[each] == 0 for each in ids),
            doubled=sum(count > 1 for count in places.values()),
            above=above(arrivals, rate=rate.per_second, burst=rate.burst) if arrivals else 0.0,
            allowed=rate.per_second * JITTER,
        )

    def table(self, *, grown: int, queued: int, seconds: float) -> str:
        """All of it."""
        shown = {
            "letters still in the list": f"{self.listed:,}",
            "calls in line": f"{self.standing:,}",
            "calls answered meanwhile": f"{self.answered:,}",
            "lost": f"{self.lost:,}",
            "doubled": f"{self.doubled:,}",
            "the process grew by, MB": f"{grown / 1e6:.1f}",
            "messages in the broker at most": f"{queued:,}",
            "calls above burst + rate x s": f"{self.above:.1f}",
            "seconds": f"{seconds:.1f}",
        }
        return "\n".join(f"{title:34}{value:>12}" for title, value in shown.items())

    def wrong(self, *, kept: int, grown: int, queued: int, ends: Sequence[str]) -> dict[str, float]:
        """What should have been 0, when *kept* letters are not to be replayed."""
        return {
            "letters were lost": self.lost,
            "letters were doubled": self.doubled,
            "letters too many or too few are still in the list": abs(self.listed - kept),
            "calls were answered: none, so nothing came back": int(self.answered == 0),
            "bytes were grown by": grown if grown > GROWTH else 0,
            "messages lay in the broker": queued if queued > QUEUED else 0,
            f"calls above the rate, and {self.allowed:g} allowed": max(0.0, self.above - self.allowed),
            "runs too many or too few came to their end": abs(len(ends) - 1),
        }
