"""Which dead letters are meant: the filters that the ``narrows dlq`` commands share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.letters.letter import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["LetterFilter", "failed_at"]

_SEARCHED = ("id", "error", "payload_excerpt", "trace_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFilter:
    """Letters that fit everything that is given; None asks nothing.

    Attributes:
        code: Why it was given up; ``unreadable`` is what does not say.
        since: Failed at or after this moment, seconds since the epoch; ``older`` before it.
        text: Somewhere in id, trace id, error or excerpt, in whatever case; never in the arguments.
    """

    code: str | None = None
    operation: str | None = None
    status: int | None = None
    since: float | None = None
    older: float | None = None
    text: str | None = None

    def fits(self, letter: Mapping[str, Any]) -> bool:
        """Whether *letter* is meant."""
        exact = {"operation": self.operation, "status": self.status}
        if self.code is not None and letter.get("code", UNREADABLE) != self.code:
            return False
        if any(wanted is not None and letter.get(name) != wanted for name, wanted in exact.items()):
            return False
        if self.since is not None or self.older is not None:
            failed = failed_at(letter)
            if failed is None or failed < (self.since or 0.0):
                return False
            if self.older is not None and failed >= self.older:
                return False
        wanted = (self.text or "").casefold()
        return not wanted or any(wanted in str(letter.get(name, "")).casefold() for name in _SEARCHED)


def failed_at(letter: Mapping[str, Any]) -> float | None:
    """When the call was given up, seconds since the epoch; None when the letter does not say."""
    try:
        return datetime.fromisoformat(str(letter.get("failed_at"))).timestamp()
    except (ValueError, OverflowError):  # the latter at the ends of the calendar
        return None
