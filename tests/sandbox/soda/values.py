"""SODA's values: how each type reads in a row, compares, and is written again.

Compared as: numbers Decimal, text str, timestamps ISO text of one length (so
that text order is time order), fixed ones in UTC with a Z, checkboxes bool,
locations dict.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

__all__ = ["Kind", "instant", "read", "stamp", "written"]

Kind = Literal["text", "number", "floating_timestamp", "fixed_timestamp", "checkbox", "location"]

_SHAPES = (
    "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d",
    "%m/%d/%Y", "%m/%d/%Y %I:%M:%S %p", "%Y%m%d",
)  # fmt: skip
_WHOLE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}")


def read(value: Any, kind: Kind) -> Any:
    """*value* as it compares; raises ValueError when it is not of *kind*."""
    if value is None or kind == "location":
        return value
    if kind == "number":
        return _number(value)
    if kind == "floating_timestamp":
        return stamp(str(value))
    if kind == "fixed_timestamp":
        return instant(str(value))
    if kind == "checkbox":
        return _checkbox(value)
    return value if isinstance(value, str) else written(value)


def stamp(text: str) -> str:
    """*text* as ``2026-01-31T00:00:00.000``; raises ValueError when it is no date."""
    if _WHOLE.fullmatch(text):
        return text
    for shape in _SHAPES:
        try:
            return datetime.strptime(text, shape).isoformat(timespec="milliseconds")  # noqa: DTZ007
        except ValueError:
            continue
    raise ValueError("no floating timestamp")


def instant(text: str) -> str:
    """*text* as ``2026-01-31T00:00:00.000Z``, in UTC where it names no zone; raises ValueError."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return f"{stamp(text)}Z"
    there = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return there.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def written(value: Any) -> Any:
    """*value* as it stands in an answer: numbers as text, the rest as they are."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value


def _number(value: Any) -> Decimal:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        raise ValueError("no number") from None


def _checkbox(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    raise ValueError("no checkbox")
