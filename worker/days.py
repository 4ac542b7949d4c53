"""When a provider's day ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

__all__ = ["day_ends"]

_known: dict[str, tuple[float, tuple[int, int, int]]] = {}


def day_ends(zone: str, now: float | None = None) -> tuple[int, int, int]:
    """The three midnights of *zone* around now, in ms since the epoch: this day's start, its end, the next's.

    Redis picks the first that lies ahead on its own clock, so a worker whose clock is off by less than a
    day does not move the quota's reset. Days of 23 and 25 hours come out right.
    """
    moment = datetime.now(ZoneInfo(zone)) if now is None else datetime.fromtimestamp(now, ZoneInfo(zone))
    until, ends = _known.get(zone, (0.0, (0, 0, 0)))
    if now is None and moment.timestamp() < until:
        return ends
    start = moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    midnights = [start + timedelta(days=days) for days in range(3)]
    first, second, third = (round(midnight.timestamp() * 1000) for midnight in midnights)
    if now is None:
        _known[zone] = (second / 1000, (first, second, third))
    return first, second, third
