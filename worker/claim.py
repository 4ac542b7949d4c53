"""A task's hold on its call's record, as the worker that runs it sees it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.context import Context
from worker.errors import ProviderThrottled, ThrottledTooLong
from worker.keys import keys

if TYPE_CHECKING:
    from worker.errors import CallFailed
    from worker.gate import Report
    from worker.keys import Keys
    from worker.retry import RetryPolicy
    from worker.submissions.submission import Submits

__all__ = ["Claim"]

RECORD_LEASE = 30.0
"""Seconds after which a silent worker's calls are given to others; the reconciler renews it every third."""


def _never() -> bool:
    return False


@dataclass(slots=True, kw_only=True, eq=False)
class Claim:
    """What one run of a task knows of its record. A run without a task has an empty ``task_id``.

    Attributes:
        home: The provider whose indexes hold the record.
        recorded: The producer wrote the record; a call enqueued by bare name gets it from us.
        silent: No result will tell late copies that it ended.
        rebuild: The message as JSON, for a record that has to be written here.
        ended: Whether the task has its result already.
        crowded: Whether this process runs more of the provider's tasks than it has slots for.
        token: Fencing token; 0 until the first begin.
        lane: Where it stands in line: ``interactive``, ``batch`` or ``replay``.
        released: Its turn had come when it was claimed; ``begun`` says that it has made a call since.
        throttled_at: When the provider first said "too often" to it; 0.0 never.
        attempt: Failed attempts so far; ``backoff`` the last back-off in seconds.
        created_at: When the call was enqueued, seconds since the epoch; 0.0 unknown.
        first_failed_at: When its first attempt failed; 0.0 never.
        clock: Redis's clock at the last begin; ``heard_at`` is this process's monotonic one then, and from
            the start of the run until then.
        context: On whose behalf the call is made.
        report: The last call's outcome, not yet told to the gate.
        retry_in: Seconds until the failed call is tried again; None when it is not.
        wait: Seconds that the task is to wait outside of the slot; None while it does not.
        planned: The failure that ``retry_in`` is for.
        submits: How its operation submits; None for one that only asks.
        noted: What the ledger is to know of it from the start (JSON, see ``worker/submissions/ledger.py``).
        sending: A request that may act was let out in this run.
        again: It is known that the one before did nothing.
        taken: The provider has answered it well.
        anew: What was answered before is of no use: it is asked what is so now.
        afresh: What was done is safe, so failures are counted anew, whatever the record says.
        leaves_at: When the request that was let out is to leave, on this process's monotonic clock.
        span: What is told of this run, where somebody collects that.
    """

    home: str = ""
    task_id: str = ""
    recorded: bool = False
    silent: bool = False
    rebuild: Callable[[], str] = str
    ended: Callable[[], bool] = _never
    crowded: Callable[[], bool] = _never
    lease: float = RECORD_LEASE
    lane: str = "interactive"
    token: int = 0
    released: bool = False
    begun: bool = False
    attempt: int = 0
    backoff: float = 0.0
    created_at: float = 0.0
    first_failed_at: float = 0.0
    throttled_at: float = 0.0
    clock: float = 0.0
    heard_at: float = 0.0
    context: Context = field(default_factory=Context)
    report: Report | None = None
    retry_in: float | None = None
    wait: float | None = None
    planned: CallFailed | None = None
    submits: Submits | None = None
    noted: str = ""
    sending: bool = False
    again: bool = False
    taken: bool = False
    anew: bool = False
    afresh: bool = False
    leaves_at: float = 0.0
    span: Any = None

    @property
    def keys(self) -> Keys | None:
        """Where the record lies; None for a run without one."""
        return keys(self.home) if self.task_id else None

    @property
    def message(self) -> str:
        """What begin may write when the record is missing: nothing while the producer wrote one."""
        return "" if self.recorded or not self.task_id or self.token else self.rebuild()

    def heard(
        self,
        *,
        token: int,
        attempt: int,
        backoff: float,
        created_at: float,
        first_failed_at: float,
        throttled_at: float,
        released: bool,
        now: float,
    ) -> None:
        """Take over what the record says; *now* is Redis's clock in seconds."""
        self.clock, self.heard_at = now, time.monotonic()
        if token:
            self.token = token
            if not self.afresh:
                self.attempt, self.backoff = attempt, backoff
                self.first_failed_at, self.throttled_at = first_failed_at, throttled_at
            self.released = self.released or released
        self.created_at = self.created_at or created_at

    def safe(self) -> None:
        """Count failures anew: what was done so far will not be done again."""
        self.afresh, self.attempt, self.backoff = True, 0, 0.0
        self.first_failed_at = self.throttled_at = 0.0

    def passes_line(self, provider: Keys) -> bool:
        """Whether the line at *provider* is not for it: it stood there, has begun, or stands elsewhere."""
        return self.released or self.begun or (bool(self.task_id) and self.keys is not provider)

    def plan(self, why: CallFailed, policy: RetryPolicy) -> None:
        """Decide whether *why* is worth another attempt; the error says so in ``passing``.

        A throttled call was not looked at: it costs no attempt, and the pause is the provider's. Nor does
        what the error has patience for.
        """
        self.planned = why
        if isinstance(why, ProviderThrottled):
            self.retry_in = None if isinstance(why, ThrottledTooLong) else why.retry_after or 0.0
            why.passing = self.retry_in is not None and bool(self.task_id)
            return
        elapsed = self.clock - self.first_failed_at if self.first_failed_at else 0.0
        self.retry_in = policy.backoff(why, attempt=self.attempt + 1, elapsed=elapsed, last=self.backoff)
        why.passing = self.retry_in is not None and bool(self.task_id)
