"""The way of a call: cache, gate, HTTP, and what came of it.

Everything that one task asks of providers goes through :meth:`Pipeline.call`. A call's outcome is
told to the gate with the next thing that the task says to Redis, mostly the end of its record, so a
task with one call costs two round trips.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from worker.deferral import deferred, inline_pause
from worker.errors import (
    CallDeferred,
    CallError,
    CallFailed,
    CallInDoubt,
    CallRejected,
    CredentialsRefused,
    ProviderThrottled,
    RecordGone,
    ResponseUnreadable,
)
from worker.lane import replayed
from worker.operation import Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.cache import Entry
    from worker.claim import Claim
    from worker.gate import Decision, Report
    from worker.lane import Lane
    from worker.operation import Steps
    from worker.request import Answer, Request
    from worker.watcher import Watcher

__all__ = ["Pipeline"]


class Pipeline:
    """Guarded calls of one process.

    Args:
        lane: A provider's lane by name.
        inline_wait: Seconds that a call may wait in its worker's slot.
        watcher: Hears what happens, for metrics and logs.
        sleep: Waits in the slot.
    """

    def __init__(
        self,
        lane: Callable[[str], Lane],
        *,
        inline_wait: float,
        watcher: Watcher,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.lane = lane
        self._inline_wait, self._watcher, self._sleep = inline_wait, watcher, sleep

    def run(
        self,
        provider: str,
        operation: str,
        steps: Steps[Any],
        claim: Claim,
        progress: Callable[[Progress], None],
    ) -> Any:
        """What the operation returns, each of its requests answered or failed in its turn."""
        lane = self.lane(provider)
        try:
            wanted = next(steps)
            while True:
                if isinstance(wanted, Progress):
                    progress(wanted)
                    wanted = next(steps)
                    continue
                try:
                    answer = self.call(lane, wanted, claim, operation)
                except CallError as why:
                    wanted = steps.throw(why)
                else:
                    wanted = steps.send(answer)
        except StopIteration as done:
            return done.value

    def call(self, lane: Lane, request: Request, claim: Claim, operation: str = "") -> Answer:
        """The answer to *request*, from the cache or from the provider, or why there is none."""
        known = lane.recall(request)
        if known is not None and known.fresh and _new_enough(known, request, claim):
            self._watcher.cache_hit(lane.provider.name, known.tier)
            return replayed(known, "cache")
        if lane.shares(request):
            self._watcher.cache_missed(lane.provider.name)
        try:
            found = self._admit(lane, request, claim)
            if found is not None:
                return found
            answer = self._exchange(lane, request, known, claim, operation)
        except (CallDeferred, CallFailed) as why:
            if known is None or request.fresh:
                raise
            self._watcher.served_stale(lane.provider.name, why.code, known.age)
            return replayed(known, "stale")
        lane.remember(request, answer)
        return answer

    def _admit(self, lane: Lane, request: Request, claim: Claim) -> Answer | None:
        """None once the gate has let the call out; or the answer that another worker fetched meanwhile."""
        flight = request.fingerprint if lane.shares(request) else ""
        left = self._inline_wait
        self.tell(claim)
        while True:
            decision, report = self._begin(lane, claim, flight)
            if decision.word == "admit":
                claim.report = report
                self._watcher.admitted(lane.provider.name, decision)
                lane.breaker.moved(decision.moved)
                return None
            why = deferred(decision, lane.provider.name)
            if not isinstance(why, CallDeferred):
                raise why
            pause = inline_pause(decision, left)
            if pause is None:
                self._watcher.deferred(lane.provider.name, why.reason, why.wait)
                raise why
            self._sleep(pause)
            left -= pause
            known = lane.recall(request) if decision.word == "in_flight" else None
            if known is not None and known.fresh and _new_enough(known, request, claim):
                self._watcher.cache_hit(lane.provider.name, known.tier)
                return replayed(known, "cache")

    def _begin(self, lane: Lane, claim: Claim, flight: str) -> tuple[Decision, Report]:
        decision, report = lane.gate.begin(claim, flight=flight, lease=claim.lease)
        if decision.word == "gone":
            if claim.ended():
                raise RecordGone
            claim.recorded = False
            decision, report = lane.gate.begin(claim, flight=flight, lease=claim.lease)
        return decision, report

    def _exchange(
        self, lane: Lane, request: Request, known: Entry | None, claim: Claim, operation: str
    ) -> Answer:
        """One HTTP exchange, its outcome noted in the claim's report."""
        report = claim.report
        assert report is not None  # noqa: S101 - admitted just now
        started = time.perf_counter()
        status = "error"
        try:
            etag = {"If-None-Match": known.etag} if known is not None and known.etag else None
            answer = lane.http.send(request, extra_headers=etag)
            if answer.status == 304 and known is not None:  # noqa: PLR2004
                answer = replayed(known, "live").aged("live", 0.0)
            report.outcome, status = "success", "success"
        except CallError as why:
            _note(report, why, lane)
            status = why.code
            if isinstance(why, CredentialsRefused):
                self._watcher.credentials_refused(lane.provider.name)
            if isinstance(why, CallFailed) and why.sent and not request.repeatable and not _unprocessed(why):
                raise CallInDoubt(f"{lane.provider.name}: it may have been acted on ({why})") from None
            if isinstance(why, CallFailed):
                claim.plan(why, lane.retry)
            raise
        else:
            return answer
        finally:
            elapsed = time.perf_counter() - started
            self._watcher.call_ended(lane.provider.name, operation, status, elapsed)

    def tell(self, claim: Claim) -> None:
        """Report the task's last call, before it begins another or when it has no record to end."""
        if claim.report is not None:
            report, claim.report = claim.report, None
            moved, _ = report.gate.finish(report, claim)
            self.lane(report.gate.provider.name).breaker.moved(moved)


def _new_enough(known: Entry, request: Request, claim: Claim) -> bool:
    """A request that wants it fresh takes what was fetched since its call was enqueued."""
    return not request.fresh or (claim.created_at > 0 and known.stored_at >= claim.created_at)


def _unprocessed(why: CallFailed) -> bool:
    """Whether the provider said that it did nothing: a throttled request was not looked at."""
    return isinstance(why, ProviderThrottled)


def _note(report: Report, why: CallError, lane: Lane) -> None:
    """What *why* says about the provider's health. A rejection is proof of life."""
    if isinstance(why, ProviderThrottled):
        report.outcome = "throttled"
        pause = why.retry_after if why.retry_after is not None else lane.provider.cooldown
        report.pause = min(pause, lane.provider.max_cooldown)
    elif isinstance(why, ResponseUnreadable) or getattr(why, "neutral", False):
        report.outcome = "neutral"
    elif isinstance(why, CallRejected):
        report.outcome = "success"
    else:
        report.outcome = "failure"
