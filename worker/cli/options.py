"""Options that several commands share, and how times are written."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

__all__ = ["AsJson", "ProviderName", "moment", "seconds"]

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhd])")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ProviderName = Annotated[str, typer.Argument(metavar="PROVIDER", help="A provider's name.")]


def seconds(text: str) -> float:
    """The seconds in ``90s``, ``10m``, ``1h``, ``2d`` or ``1h30m``; more than none."""
    word = text.strip().lower()
    length = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(word))
    if not _DURATION.fullmatch(word) or not length:
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 10m, 1h or 2d")
    return length


def moment(text: str) -> float:
    """Seconds since the epoch: so long ago (``1h``), or a day or time (``2026-11-21T08:30``, UTC)."""
    if _DURATION.fullmatch(text.strip().lower()):
        return time.time() - seconds(text)
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time; write 1h for an hour ago, or 2026-11-21T08:30"
        ) from None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
