"""One run over a provider's open submissions: each is asked about in its turn, what changed is announced.

The one that was asked about longest ago comes first. The order and the beginning of the round lie in Redis,
so whoever comes takes a round up where it was left. A lease, renewed before each call, keeps runs apart.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from worker.errors import CallDeferred, CallError, CredentialsRefused, ProviderThrottled
from worker.keys import keys

if TYPE_CHECKING:
    from redis import Redis

    from worker.lease import Lease
    from worker.submissions.ledger import Ledger
    from worker.submissions.submission import Submission

__all__ = ["Poller"]

logger = logging.getLogger("narrows")

BETWEEN = 0.3
"""Seconds from one call to the next."""

LONGEST_RUN = 60.0
"""Seconds after which a run goes on in another message: well below any task's time limit."""

REMEMBERED = 86_400
"""Seconds for which an unfinished round is remembered."""

ASK_AGAIN = 1.0
"""Seconds at most before a call is asked for again that waits for its turn."""

PASSING = frozenset({"breaker", "probing", "cooldown", "line"})
LASTING = frozenset({"quota", "credentials"})
"""Why a provider is not asked now: so that a minute's wait may help, or an hour's at best."""

Ended = Literal["done", "later", "held", "waiting", "stopped"]


class _NotNow(Exception):
    """The provider is not to be asked for a while."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended)
        self.ended = ended


@dataclass(slots=True, kw_only=True)
class Poller:
    """One provider's open submissions, asked about in turn.

    Attributes:
        check: ``check_service_request``, as a guarded call; None is a number that is not known.
        announce: Hears of each change: the submission as it was, and its new status.
        longest: Seconds that a run takes at most.
        ended: ``done``; ``later``: the rest is another run's; ``held``: another run has the lease;
            ``waiting``: the provider cannot be asked now, but soon; ``stopped``: it cannot be asked, and the
            next round will see.
    """

    state: Redis
    ledger: Ledger
    lease: Lease
    check: Callable[[str], Mapping[str, Any] | None]
    announce: Callable[[Submission, str], None]
    longest: float = LONGEST_RUN
    between: float = BETWEEN
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    asked: int = 0
    changed: int = 0
    failed: int = 0
    ended: Ended = "later"

    def run(self, *, resume: bool = False) -> Poller:
        """Itself, once it has asked as long as it may: a new round, or the unfinished one only."""
        if not self.lease.take():
            self.ended = "held"
            return self
        try:
            since = self._since(resume=resume)
            self.ended = self._work(since) if since else "done"
        except _NotNow as why:
            self.ended = why.ended
        finally:
            if self.ended in {"done", "stopped"}:
                self.state.delete(self._round)
            self.lease.drop()
        return self

    @property
    def _round(self) -> str:
        return keys(self.ledger.provider).round

    def _since(self, *, resume: bool) -> float:
        """When the round began, on Redis's clock; 0.0 when there is none to go on with."""
        if resume:
            return float(self.state.get(self._round) or 0) / 1000
        seconds, micros = self.state.time()
        now = seconds * 1000 + micros // 1000
        self.state.set(self._round, now, ex=REMEMBERED)
        return now / 1000

    def _work(self, since: float) -> Ended:
        deadline = self.clock() + self.longest
        for submission in self._due(since):
            if self.clock() >= deadline:
                return "later"
            if not self.lease.take():
                return "held"
            self._observe(submission, deadline)
            self.sleep(self.between)
        return "done"

    def _due(self, since: float) -> Iterator[Submission]:
        """Who was not asked about since; none twice in a run, whatever its record says."""
        seen: set[str] = set()
        while page := [each for each in self.ledger.open(before=since) if each.id not in seen]:
            seen.update(each.id for each in page)
            yield from page

    def _observe(self, submission: Submission, deadline: float) -> None:
        """Ask about one, announce what changed, and remember it."""
        status, closed = None, False
        try:
            said = self._said(submission, deadline)
            if said is None:
                logger.info("submission not found", extra=self._about(submission))
            else:
                status, closed = str(said["external_status"]), bool(said["closed"])
        except CallError as why:
            self.failed += 1
            logger.warning("submission not checked", extra={**self._about(submission), "code": why.code})
        self.asked += 1
        if status is not None and status != submission.external_status:
            self.changed += 1
            self.announce(submission, status)
        self.ledger.observed(submission.id, status, closed=closed)

    def _said(self, submission: Submission, deadline: float) -> Mapping[str, Any] | None:
        """What the provider says of it, once the call's turn has come; None when it does not know it."""
        while True:
            try:
                return self.check(submission.external_id or "")
            except (CredentialsRefused, ProviderThrottled) as why:
                raise self._not_now(why.code, lasts=isinstance(why, CredentialsRefused)) from None
            except CallDeferred as why:
                late = self.clock() + why.wait >= deadline
                if late or why.reason in PASSING | LASTING:
                    raise self._not_now(why.reason, lasts=why.reason in LASTING) from None
                self.sleep(min(max(why.wait, 0.05), ASK_AGAIN))

    def _not_now(self, reason: str, *, lasts: bool) -> _NotNow:
        extra = {"integration.provider": self.ledger.provider, "reason": reason}
        logger.warning("polling stopped", extra=extra)
        return _NotNow("stopped" if lasts else "waiting")

    def _about(self, submission: Submission) -> dict[str, Any]:
        return {"integration.provider": self.ledger.provider, "submission_id": submission.id}
