"""How long a provider asks us to wait, in the ways in which they say it.

``Retry-After`` is seconds or a date (RFC 9110, 10.2.3). ``X-RateLimit-Reset`` has no
standard: SendGrid, MusicBrainz and Mapbox (``X-Rate-Limit-Reset``) give seconds since
the epoch (PROVIDERS.md 0.4); others give seconds from now or milliseconds.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import NamedTuple

__all__ = ["Headroom", "headroom", "left_of_day", "reset_after", "retry_after", "worded_wait"]

EPOCH_ABOVE = 100_000_000
"""Seconds; 1973 as a date, three years as a wait. Below it a number is a wait."""

MILLISECONDS_ABOVE = 100_000_000_000
"""The year 5138 as seconds, 1973 as milliseconds."""

_UNITS = (1.0, 60.0, 3600.0, 86_400.0)
"""Seconds of a second, a minute, an hour and a day."""

_NUMBER = re.compile(r"\d{1,15}(\.\d{1,9})?")
_FAMILIES = ("x-ratelimit-", "x-rate-limit-", "ratelimit-")
_RESETS = tuple(f"{family}reset" for family in _FAMILIES)


class Headroom(NamedTuple):
    """What a provider says is left: *left* calls, for *seconds*."""

    left: int
    seconds: float


def headroom(headers: Mapping[str, str], *, now: float | None = None) -> Headroom | None:
    """What ``X-RateLimit-Remaining`` and ``-Reset`` say; None unless both are there and make sense.

    Args:
        headers: With lower-case names.
        now: As for :func:`retry_after`.
    """
    for family in _FAMILIES:
        left, reset = headers.get(f"{family}remaining", "").strip(), headers.get(f"{family}reset", "").strip()
        if _NUMBER.fullmatch(left) and _NUMBER.fullmatch(reset):
            return Headroom(int(float(left)), _until(float(reset), headers, now))
    return None


def retry_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds that ``Retry-After`` asks for, never below 0.0; None when it is absent or makes no sense.

    Args:
        headers: With lower-case names.
        now: Seconds since the epoch. None takes the answer's own ``Date``, since the provider's clock
            and ours may differ, and this machine's clock when there is none.
    """
    value = headers.get("retry-after", "").strip()
    if _NUMBER.fullmatch(value):
        return float(value)
    date = _epoch(value)
    return None if date is None else max(0.0, date - _now(headers, now))


def reset_after(headers: Mapping[str, str], *, now: float | None = None) -> float | None:
    """Seconds until the provider's limit resets, from ``Retry-After`` or else ``X-RateLimit-Reset``.

    Only for an answer that says "too often": on others a reset is news, not a wait.
    """
    if (wait := retry_after(headers, now=now)) is not None:
        return wait
    for name in _RESETS:
        value = headers.get(name, "").strip()
        if _NUMBER.fullmatch(value):
            return _until(float(value), headers, now)
    return None


def worded_wait(patterns: Iterable[str], message: str) -> float | None:
    """Seconds that *message* asks for, by the first of *patterns* that is in it; None when none is.

    A pattern has one group of seconds, or three of hours, minutes and seconds, or one of days before them.
    """
    for pattern in patterns:
        if found := re.search(pattern, message):
            parts = [float(part or 0) for part in reversed(found.groups())]
            return sum(part * unit for part, unit in zip(parts, _UNITS, strict=False))
    return None


def left_of_day(zone: str, *, now: datetime | None = None) -> float:
    """Seconds until midnight in *zone*, an IANA name."""
    from zoneinfo import ZoneInfo

    here = (now or datetime.now(UTC)).astimezone(ZoneInfo(zone))
    midnight = datetime.combine(here.date() + timedelta(days=1), datetime.min.time(), tzinfo=here.tzinfo)
    return midnight.timestamp() - here.timestamp()


def _until(moment: float, headers: Mapping[str, str], now: float | None) -> float:
    if moment < EPOCH_ABOVE:
        return moment
    if moment >= MILLISECONDS_ABOVE:
        moment /= 1000
    return max(0.0, moment - _now(headers, now))


def _now(headers: Mapping[str, str], now: float | None) -> float:
    if now is not None:
        return now
    date = _epoch(headers.get("date", ""))
    return time.time() if date is None else date


def _epoch(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return _utc(moment).timestamp()


def _utc(moment: datetime) -> datetime:
    """HTTP dates are GMT (RFC 9110, 5.6.7), whether the zone was written or not."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
