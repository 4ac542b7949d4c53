"""Where one call is at one moment, as data and as one line for a person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from worker.submissions.submission import Submission

__all__ = ["State", "Whereabouts", "clock"]

State = Literal[
    "queued", "running", "waiting", "parked", "slow",
    "revoked", "ended", "dead letter", "finished", "unrecorded", "unknown",
]  # fmt: skip

_MINUTE = 60

_OVER = frozenset({"revoked", "ended", "dead letter", "finished"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """One call at one moment. Moments are seconds since the epoch on Redis's clock.

    Attributes:
        state: Of its record, while there is one: ``queued``, ``running``, ``waiting`` (backing off, or not to
            run yet), ``parked`` (in line for its provider), ``slow`` (failed, and the retry budget is spent).
            After that ``finished``, ``revoked``, ``dead letter``, or ``ended`` when nobody kept how;
            ``unrecorded`` for a task that only Celery knows, ``unknown`` for one that nobody does.
        at: When it was looked at.
        reason: Of a parked call what holds the line now: ``breaker``, ``probing``, ``cooldown``, ``quota``,
            ``credentials``, ``concurrency``, ``bucket`` or ``line``; of a failed one its error's code.
        since: When it got there; of a running call when it was begun, or published where that is not known.
        expected: About when it runs; None when nobody can say.
        until: The end of its worker's lease, after which another takes over.
        position: In line, or in the queue, counted from 1.
        attempts: Failed ones so far.
        served: Whether a worker is there whose slots the line counts on.
        outcome: Celery's state of a task that is over.
        submission: What the ledger remembers of it, when it is one.
    """

    task_id: str
    state: State
    at: float
    provider: str = ""
    reason: str = ""
    since: float | None = None
    expected: float | None = None
    until: float | None = None
    position: int | None = None
    lane: str = ""
    attempts: int = 0
    served: bool = True
    outcome: str = ""
    submission: Submission | None = None

    def __str__(self) -> str:
        """One line: ``parked · musicbrainz bucket · position 812 · about 14:47 UTC``."""
        return " · ".join([self.state, *(part for part in self._parts() if part)])

    @property
    def waits(self) -> bool:
        """Whether it lies in Redis, without a message, until something lets it go on."""
        return self.state in {"waiting", "parked", "slow"}

    def as_dict(self) -> dict[str, Any]:
        """Its fields and ``text``, the one line; of a submission what callers are told of it."""
        told = self.submission.told if self.submission else None
        return {**asdict(self), "submission": told, "text": str(self)}

    def _parts(self) -> list[str]:
        if self.state == "unknown":
            ways = (
                "it never was, ended without a trace, or was sent by bare name and not seen by a worker yet"
            )
            return [f"no call {self.task_id!r} is known: {ways}"]
        place = " ".join(part for part in (self.provider, self._because(), self.outcome) if part)
        return [place, *self._when(), self._submitted()]

    def _because(self) -> str:
        if self.state == "slow":
            return f"retry budget, after {self.reason}" if self.reason else "retry budget"
        return self.reason

    def _when(self) -> list[str]:
        position = f"position {self.position}" if self.position else ""
        about = f"about {clock(self.expected, self.at)}" if self.expected else ""
        if self.state == "queued":
            before = f"{self.position - 1} before it" if self.position else ""
            return [f"published {clock(self.since, self.at)}" if self.since else "", before]
        if self.state == "running":
            return [f"since {clock(self.since, self.at)}", f"leased until {clock(self.until, self.at)}"]
        if self.waits:
            return [position, about, "" if self.served else "no worker serves it now"]
        return [clock(self.since, self.at)] if self.since else []

    def _submitted(self) -> str:
        """What became of a submission and, in doubt, who decides."""
        known = self.submission
        if known is None:
            return ""
        return {
            "queued": "to be sent again" if known.sent_at else "not sent yet",
            "sending": "sent, not answered yet",
            "accepted": f"accepted as {known.external_id}",
            "rejected": "rejected",
            "in_doubt": f"in doubt, {self._decides(known)}",
        }[known.state]

    def _decides(self, known: Submission) -> str:
        if self.state in _OVER:
            return f"a person decides: narrows submission resolve {known.id}"
        return (
            "sent again when it runs"
            if known.resend == "idempotent"
            else "the provider is asked when it runs"
        )


def clock(moment: float | None, at: float) -> str:
    """The time of day in UTC, with the day when it is not today."""
    when, today = (
        datetime.fromtimestamp(round(each / _MINUTE) * _MINUTE, UTC) for each in (moment or at, at)
    )
    return f"{when:%H:%M} UTC" if when.date() == today.date() else f"{when:%Y-%m-%d %H:%M} UTC"
