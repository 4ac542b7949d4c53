"""Moments as texts: always UTC, always written in one way, so that text order is time order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = ["Moment", "SomeMoment", "before", "moment", "read_moment"]

WANTED = 'takes a moment in ISO 8601, for example "2026-01-31T08:30:00Z"; without a zone it is UTC'


def moment(value: Any) -> str:
    """*value* as ``2026-01-31T08:30:00.000Z``, from such a text or a datetime; a naive one is UTC.

    A day is its first moment. What is finer than a millisecond is cut off.

    Raises:
        ValueError: It is none; the message says what is taken, and does not repeat it.
    """
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        when = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        whole = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise ValueError(WANTED) from None
    return whole.isoformat(timespec="milliseconds").replace("+00:00", "Z")


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


Moment = Annotated[str, Parsed(moment)]
SomeMoment = Annotated[str | None, Parsed(some_moment)]
