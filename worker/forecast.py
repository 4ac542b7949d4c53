"""When a line will have been served, and when today's quota ends: foresight from how things stand now.

The line is served as the gate serves it: each credential at its rate, from the bucket that it has, not while
something holds it, and not beyond its quota of the day. What cannot be known is left out: calls that will
still come, answers that take long, a provider that changes its mind. So every moment here is an *about*.

Pure functions of numbers. Moments are seconds since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor, inf
from zoneinfo import ZoneInfo

__all__ = ["Line", "Source", "quota_ends", "slipping"]

MOST_DAYS = 3660
"""What takes longer than ten years has no date."""

_HALVINGS = 50
_ENOUGH = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What one credential gives.

    Attributes:
        rate: Calls per second; None gives as many as are wanted.
        tokens: In its bucket now, *burst* at most; below 0 when calls have it already.
        free_at: Before this moment it is not used.
        left: Calls of today's quota that are left; None without a quota, as is *daily*, the whole of it.
    """

    rate: float | None
    tokens: float = 0.0
    burst: float = 1.0
    free_at: float = 0.0
    left: int | None = None
    daily: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shift:
    """A source on one day: from *start* it has *tokens* and gets *rate*, *most* in all."""

    start: float
    tokens: float
    rate: float | None
    most: float

    def by(self, when: float) -> float:
        """Calls that it has let out until *when*."""
        if when < self.start:
            return 0.0
        if self.rate is None:
            return self.most
        return min(self.most, max(0.0, self.tokens + self.rate * (when - self.start)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Day:
    """The shifts of the day that is *number* days from today."""

    number: int
    start: float
    end: float
    shifts: tuple[_Shift, ...]

    @property
    def served(self) -> float:
        """Calls that are let out on it."""
        return sum(shift.by(self.end) for shift in self.shifts)

    @property
    def usual(self) -> bool:
        """Whether nothing holds a source back, so that the next day is like it."""
        return all(shift.start == self.start for shift in self.shifts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A provider as those who stand in line for it see it.

    Attributes:
        at: Now.
        opens_at: Before this moment nobody is served, ``inf`` when nobody knows until when.
        day_end: When the quota's day ends, in *zone*; None without a quota.
    """

    at: float
    sources: tuple[Source, ...]
    opens_at: float = 0.0
    day_end: float | None = None
    zone: str = "UTC"

    def moment(self, place: int) -> float | None:
        """About when the one at *place*, counted from 1, is served; None when nobody can say."""
        if self.opens_at == inf or not self.sources:
            return None
        missing, day = float(place), self._today()
        while day.number < MOST_DAYS:
            if day.served >= missing - _ENOUGH:
                return _reached(day, missing)
            alike = ceil((missing - _ENOUGH) / day.served) - 1 if day.number and day.usual else 1
            missing -= alike * day.served
            day = self._after(day, alike)
        return None

    def today(self) -> float:
        """How many are served before the day ends; ``inf`` without a quota."""
        return inf if self.day_end is None else self._today().served

    def _today(self) -> _Day:
        end = inf if self.day_end is None else self.day_end
        given = [(source.tokens, _most(source.left)) for source in self.sources]
        return self._day(0, self.at, end, given)

    def _after(self, day: _Day, days: int) -> _Day:
        """The day that many days after *day*; whose quota was spent has had time to fill its bucket."""
        given = [
            (source.burst if shift.by(day.end) >= shift.most else 0.0, _most(source.daily))
            for source, shift in zip(self.sources, day.shifts, strict=True)
        ]
        number = day.number + days
        return self._day(number, self._midnight(number - 1), self._midnight(number), given)

    def _day(self, number: int, start: float, end: float, given: list[tuple[float, float]]) -> _Day:
        shifts = [
            self._shift(source, start, tokens, most)
            for source, (tokens, most) in zip(self.sources, given, strict=True)
        ]
        return _Day(number=number, start=start, end=end, shifts=tuple(shifts))

    def _shift(self, source: Source, start: float, tokens: float, most: float) -> _Shift:
        """The bucket goes on filling while the source may not be used, up to its burst."""
        begins = max(start, source.free_at, self.opens_at)
        filled = min(source.burst, tokens + (source.rate or 0.0) * (begins - start))
        return _Shift(start=begins, tokens=filled, rate=source.rate, most=most)

    def _midnight(self, days: int) -> float:
        """The end of the day that many days from now; days of 23 and 25 hours come out right."""
        if days > MOST_DAYS:
            return inf
        end = datetime.fromtimestamp(self.day_end or self.at, ZoneInfo(self.zone))
        return (end + timedelta(days=days)).timestamp()


def slipping(line: Line, waiting: int) -> int:
    """How many of *waiting* calls are not served before the quota's day ends; none without a quota."""
    return max(0, waiting - floor(min(line.today() + _ENOUGH, waiting)))


def quota_ends(line: Line, waiting: int, pace: float) -> float | None:
    """About when today's quota is spent; None without a quota, or when it lasts until the day ends.

    First the *waiting* calls are served at the line's own rate, then others come at *pace* calls per second.
    """
    if line.day_end is None or any(source.left is None for source in line.sources):
        return None
    left = sum(source.left or 0 for source in line.sources)
    if left == 0:
        return line.at
    served = min(waiting, left)
    moment = line.moment(served) if served else line.at
    if moment is None:
        return None
    if left > served:
        moment += (left - served) / pace if pace > 0 else inf
    return moment if moment < line.day_end else None


def _most(quota: int | None) -> float:
    return inf if quota is None else float(quota)


def _reached(day: _Day, wanted: float) -> float:
    """The first moment of *day* at which its shifts have let out as many as are *wanted*."""

    def enough(moment: float) -> bool:
        return sum(shift.by(moment) for shift in day.shifts) >= wanted - _ENOUGH

    low, high = day.start, min(day.end, day.start + 1.0)
    while not enough(high):
        low, high = high, min(day.end, day.start + 2 * (high - day.start))
    if enough(low):
        return low
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
