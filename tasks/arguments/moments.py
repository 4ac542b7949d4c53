"""Moments as texts, always in UTC: to the millisecond and in one way, so that text order is time order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = [
    "Moment",
    "SomeMoment",
    "before",
    "exact_moment",
    "milliseconds",
    "moment",
    "of_milliseconds",
    "read_moment",
]

WANTED = 'takes a moment in ISO 8601, for example "2026-01-31T08:30:00Z"; without a zone it is UTC'

EPOCH, MILLISECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(milliseconds=1)


def moment(value: Any) -> str:
    """*value* as ``2026-01-31T08:30:00.000Z``, from such a text or a datetime; a naive one is UTC.

    A day is its first moment. What is finer than a millisecond is cut off.

    Raises:
        ValueError: It is none; the message says what is taken, and does not repeat it.
    """
    return _written(_utc(value), "milliseconds")


def exact_moment(value: Any) -> str:
    """As :func:`moment`, but a moment between two milliseconds keeps its microseconds.

    Such texts are not in the order of time.
    """
    when = _utc(value)
    return _written(when, "microseconds" if when.microsecond % 1000 else "milliseconds")


def some_moment(value: Any) -> str | None:
    """As :func:`moment`; None stays None."""
    return None if value is None else moment(value)


def read_moment(value: Any) -> str | None:
    """As :func:`moment`, of what an answer holds; None for what is none."""
    try:
        return moment(value)
    except ValueError:
        return None


def before(text: str, seconds: float) -> str:
    """The moment *seconds* before *text*, at the calendar's beginning at the earliest."""
    try:
        return moment(datetime.fromisoformat(text) - timedelta(seconds=seconds))
    except OverflowError:
        return moment(datetime.min.replace(tzinfo=UTC))


def _utc(value: Any) -> datetime:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(WANTED) from None


def _written(when: datetime, to: str) -> str:
    return when.isoformat(timespec=to).replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    """The moment *text* in milliseconds since the epoch."""
    return (datetime.fromisoformat(text) - EPOCH) // MILLISECOND


def of_milliseconds(since_epoch: int) -> str:
    """The moment that :func:`milliseconds` says that of."""
    return moment(EPOCH + since_epoch * MILLISECOND)


Moment = Annotated[str, Parsed(exact_moment)]
SomeMoment = Annotated[str | None, Parsed(some_moment)]
