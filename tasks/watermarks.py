"""Watermarks of the storage service: the values, the arguments that name them, and how they are read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from tasks.arguments import Parsed
from tasks.arguments.moments import exact_moment
from worker.errors import ResponseUnreadable
from worker.request import Answer

__all__ = ["ErrorText", "SourceId", "Status", "Watermark", "WatermarkUpdate", "moves", "read_watermark"]

LONGEST_ERROR = 1000
_SOURCE = re.compile(r"[\w.:/-]{1,200}", re.ASCII)
_STATUS = re.compile(r"[a-z][a-z_]{0,31}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watermark:
    """How far a source has been read.

    Attributes:
        timestamp: ISO 8601 in UTC; None when the service knows the source and no moment.
        status: How the last reading ended, in its reader's word: ``success``.
        error: What went wrong in it, in words.
    """

    source_id: str
    timestamp: str | None
    status: str
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatermarkUpdate:
    """What became of an update.

    Attributes:
        timestamp: The watermark as it is now, ISO 8601 in UTC.
        moved: It was written; otherwise one at least as late was there, and was kept.
    """

    source_id: str
    timestamp: str
    moved: bool


def source(value: Any) -> str:
    """*value* itself, when it can be a source's name."""
    parts = value.split("/") if isinstance(value, str) and _SOURCE.fullmatch(value) else []
    if not parts or any(part in {"", ".", ".."} for part in parts):
        raise ValueError(
            "takes up to 200 letters, digits and . _ : / -, for example 'nyc_open_data:erm2-nwe9'"
        )
    return str(value)


def word(value: Any) -> str:
    """*value* itself, when it is one lower-case word."""
    if not isinstance(value, str) or not _STATUS.fullmatch(value):
        raise ValueError("takes one lower-case word, for example 'success'")
    return value


def short(value: Any) -> str | None:
    """*value*, cut to what is worth keeping; None stays None."""
    if value is not None and not isinstance(value, str):
        raise ValueError("takes a text, or None")
    return value and value[:LONGEST_ERROR]


SourceId = Annotated[str, Parsed(source)]
Status = Annotated[str, Parsed(word)]
ErrorText = Annotated[str | None, Parsed(short)]


def read_watermark(source_id: str, answer: Answer) -> Watermark:
    """The watermark in *answer*.

    Raises:
        ResponseUnreadable: It holds none, or a timestamp that is no moment.
    """
    data = answer.data
    if not isinstance(data, dict) or not isinstance(status := data.get("status"), str):
        raise ResponseUnreadable("the answer is no watermark", status=answer.status)
    said, error = data.get("timestamp"), data.get("error")
    try:
        timestamp = None if said is None else exact_moment(said)
    except ValueError:
        raise ResponseUnreadable("the watermark's timestamp is no moment", status=answer.status) from None
    text = error if isinstance(error, str) else None
    return Watermark(source_id=source_id, timestamp=timestamp, status=status, error=text)


def moves(there: Watermark, wanted: Watermark) -> bool:
    """Whether *wanted* is later, or says something else of the same moment."""
    if there.timestamp == wanted.timestamp:
        return (there.status, there.error) != (wanted.status, wanted.error)
    return there.timestamp is None or _at(wanted) > _at(there)


def _at(mark: Watermark) -> datetime:
    return datetime.fromisoformat(str(mark.timestamp))
