"""What the provider's visits tell: calls asked twice at once, too many in a while, how long nobody came."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf

from tests.chaos.witness import Visit

__all__ = ["above", "overlapping", "resumed", "share"]


def overlapping(visits: Iterable[Visit]) -> list[str]:
    """The calls for which two requests were in flight at the same time."""
    until: dict[str, float] = {}
    found: dict[str, None] = {}
    for visit in sorted(visits, key=lambda each: each.at):
        if visit.at < until.get(visit.call, -inf):
            found[visit.call] = None
        until[visit.call] = max(visit.until, until.get(visit.call, -inf))
    return list(found)


def above(arrivals: Sequence[float], *, rate: float, burst: int, least: float = 1.0) -> float:
    """Calls at most beyond *burst* and *rate* times the length of an interval; negative when always fewer.

    Every interval of *least* seconds or more is looked at: those between two arrivals, and those of *least*
    seconds that hold a shorter flock. O(n).

    Args:
        arrivals: Moments in seconds, ascending.
        rate: Calls in a second.
        burst: Calls at once.
        least: Seconds; in a shorter interval, chance at the machine's own clock says more than the pace.
    """
    worst = earliest = -inf  # of rate times moment less the calls before it, of arrivals `least` ago
    first = 0
    for count, at in enumerate(arrivals, start=1):
        while arrivals[first] <= at - least:
            earliest = max(earliest, rate * arrivals[first] - first)
            first += 1
        worst = max(worst, count - rate * at + earliest, count - first - rate * least)
    return worst - burst


def share(arrivals: Iterable[float], since: float, until: float, *, rate: float) -> float:
    """How much of *rate* was used between two moments; 0.0 when nothing was to be had."""
    allowed = rate * (until - since)
    return sum(since <= at < until for at in arrivals) / allowed if allowed > 0 else 0.0


def resumed(arrivals: Sequence[float], returns: Iterable[float]) -> list[float]:
    """Seconds from each of *returns* to the next arrival; infinite where none followed."""
    return [min((at - back for at in arrivals if at > back), default=inf) for back in returns]
