"""What became of each submission: what its desk counted, what the ledger says, and what its callers heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Ending", "Told", "wrong"]

DECIDED = frozenset({"accepted", "rejected"})

OPEN = frozenset({"pending_external", "in_doubt"})
"""What who repeats a submission may have been told before it was decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What one of its callers reads.

    Attributes:
        result: What its task returned, or None.
        error: The class of what its task failed with, or "".
    """

    state: str
    result: Mapping[str, Any] | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """One submission.

    Attributes:
        desk: Its way out of a doubt: ``never``, ``verify`` or ``idempotent``.
        ids: Of the submissions that its callers' tasks stand for; more than one is one too many.
        arrived: How often the desk took it; *numbers* are all that it gave it.
        state: In the ledger; None when that does not know it.
        listed: The states under which the ledger lists it.
        shown: Whether ``narrows submission list`` shows it as in doubt.
        letters: The codes of its dead letters.
        told: What each caller reads.
    """

    note: str
    desk: str
    ids: tuple[str, ...]
    arrived: int
    numbers: frozenset[str]
    state: str | None
    external_id: str | None
    listed: tuple[str, ...]
    shown: bool
    letters: tuple[str, ...]
    told: tuple[Told, ...]

    def faults(self) -> list[str]:
        """What should not be."""
        broken = {
            "submissions arrived more than once": self.arrived > 1 or len(self.numbers) > 1,
            "submissions were lost": self.lost,
            "submissions have two names": len(self.ids) != 1,
            "submissions are listed under another state": self.listed != (self.state,),
            "submissions are in doubt, and the command does not say so": self.shown
            != (self.state == "in_doubt"),
            "submissions were accepted, and not so by their desk": self.state == "accepted"
            and (self.arrived != 1 or self.numbers != {self.external_id}),
            "accepted submissions have a dead letter": self.state == "accepted" and bool(self.letters),
            "submissions were rejected, and arrived": self.state == "rejected" and self.arrived > 0,
            "refused or doubtful submissions have not one letter": self.state in {"rejected", "in_doubt"}
            and len(self.letters) != 1,
            "doubts did not resolve themselves": self.state == "in_doubt"
            and self.desk != "never"
            and "worker_lost" not in self.letters,
            "callers were told otherwise": not all(self._agrees(each) for each in self.told),
        }
        return [what for what, held in broken.items() if held]

    @property
    def lost(self) -> bool:
        """Whether nobody knows what became of it."""
        return self.state not in DECIDED | {"in_doubt"}

    @property
    def doubled(self) -> bool:
        """Whether it arrived more than once, or is more than one."""
        return self.arrived > 1 or len(self.numbers) > 1 or len(self.ids) > 1

    def _agrees(self, told: Told) -> bool:
        """Whether a caller heard what the ledger says, or what it said when that was asked."""
        if told.result is None:
            errors = {"rejected": {"RequestInvalid"}, "in_doubt": {"CallInDoubt", "WorkerLost"}}
            return told.state == "FAILURE" and told.error in errors.get(self.state or "", ())
        heard = told.result
        same = (heard["submission_id"],) == self.ids
        if heard["state"] in OPEN:
            return same and heard["external_id"] is None
        return same and heard["state"] == self.state and heard["external_id"] == self.external_id


def wrong(endings: Iterable[Ending]) -> dict[str, float]:
    """How many submissions have which fault."""
    return dict(Counter(fault for ending in endings for fault in ending.faults()))
