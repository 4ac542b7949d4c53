"""How one provider's submissions stand at one moment, read with everything else about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.submissions.submission import STATES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.keys import Keys

__all__ = ["Submitted", "ask", "read"]

_COUNTED = (*STATES, "open")


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """The submissions of a provider that takes some. Moments are seconds since the epoch on Redis's clock.

    Attributes:
        at: When it was read.
        counts: How many are in each state, and ``open``: accepted, and to be asked about.
        doubted_at: When the one came to be in doubt that is for longest.
        unasked_since: When the open one that waits longest was asked about last; if it never was, accepted.
        suppressed: How many recipients are not written to any more.
    """

    at: float
    counts: Mapping[str, int]
    doubted_at: float | None
    unasked_since: float | None
    suppressed: int = 0

    @property
    def in_doubt(self) -> int:
        """Those of which nobody knows whether they arrived."""
        return self.counts["in_doubt"]

    @property
    def in_doubt_for(self) -> float:
        """Seconds for which the first of them is; 0.0 when none is."""
        return max(0.0, self.at - self.doubted_at) if self.doubted_at is not None else 0.0

    @property
    def lag(self) -> float:
        """Seconds for which nobody asked about some open one; 0.0 when none is open."""
        return max(0.0, self.at - self.unasked_since) if self.unasked_since is not None else 0.0


def ask(pipe: Any, at: Keys) -> None:
    """Put the questions into a pipeline."""
    for state in _COUNTED:
        pipe.zcard(f"{at.submissions}:{state}")
    pipe.zrange(f"{at.submissions}:in_doubt", 0, 0, withscores=True)
    pipe.zrange(f"{at.submissions}:open", 0, 0, withscores=True)
    pipe.zcard(at.suppressed)


def read(replies: list[Any], at: float) -> Submitted | None:
    """What the answers say; None of a provider that was not asked."""
    if not replies:
        return None
    *counts, doubts, unasked, suppressed = replies
    return Submitted(
        at=at,
        counts=dict(zip(_COUNTED, counts, strict=True)),
        doubted_at=doubts[0][1] / 1000 if doubts else None,
        unasked_since=unasked[0][1] / 1000 if unasked else None,
        suppressed=suppressed,
    )
