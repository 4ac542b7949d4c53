"""The way of a call: cache, gate, HTTP, and what came of it.

Everything that one task asks of providers (``worker/performing.py``) goes through :meth:`Pipeline.call`. A
call's outcome is told to the gate with the next thing that the task says to Redis, mostly the end of its
record, so a task with one call costs two round trips.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from worker.deferral import deferred, inline_pause
from worker.errors import (
    CallDeferred,
    CallError,
    CallFailed,
    CallInDoubt,
    CredentialsAside,
    CredentialsRefused,
    QuotaSpent,
    RecipientSuppressed,
    RecordGone,
    StateUnavailable,
    TokenExpired,
)
from worker.gate import Report
from worker.gateway import replayed
from worker.outcome import FORBIDDEN, believed, learnt, noted
from worker.patience import crowded, patience_of
from worker.sending import in_time, may_have_acted, stock, submitted, token_for
from worker.tracing.tracer import Untraced

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.cache.cache import Entry
    from worker.claim import Claim
    from worker.gate import Decision
    from worker.gateway import Gateway
    from worker.provider import Provider
    from worker.request import Answer, Request
    from worker.tracing.tracer import Tracer
    from worker.watcher import Watcher

__all__ = ["Pipeline"]

logger = logging.getLogger("narrows")

LATE = 0.25
"""Seconds after its moment at which a call may still leave: more, and others of a busy provider meet it."""


class Pipeline:
    """Guarded calls of one process.

    Args:
        gateway: A provider's gateway by name.
        inline_wait: Seconds that a call may wait in its worker's slot.
        watcher: Hears what happens, for metrics and logs.
        sleep: Waits in the slot.
        tracer: Is told of each call as spans.
    """

    def __init__(
        self,
        gateway: Callable[[str], Gateway],
        *,
        inline_wait: float,
        watcher: Watcher,
        sleep: Callable[[float], None] = time.sleep,
        tracer: Tracer | None = None,
    ) -> None:
        self.gateway, self._tracer = gateway, tracer or Untraced()
        self._inline_wait, self._watcher, self._sleep = inline_wait, watcher, sleep

    def call(self, gateway: Gateway, request: Request, claim: Claim, operation: str = "") -> Answer:
        """The answer to *request*, from the cache or from the provider, or why there is none."""
        with self._tracer.calling(gateway.provider, request, claim, operation):
            return self._answer(gateway, request, claim, operation)

    def _answer(self, gateway: Gateway, request: Request, claim: Claim, operation: str) -> Answer:
        if request.recipient:
            self._reachable(gateway, request)
        if not request.repeatable and claim.task_id:
            request = submitted(request, claim)
            stock(gateway)
        known = None if claim.anew else gateway.recall(request)
        if known is not None and known.fresh and _new_enough(known, request, claim):
            self._watcher.cache_hit(gateway.provider.name, known.tier)
            return replayed(known, "cache")
        if gateway.shares(request):
            self._watcher.cache_missed(gateway.provider.name)
        try:
            found = self._admit(gateway, request, claim)
            if found is not None:
                return found
            answer = self._asked(gateway, request, known, claim, operation)
        except (CallDeferred, CallFailed) as why:
            if known is None or request.fresh:
                raise
            self._watcher.served_stale(gateway.provider.name, why.code, known.age)
            return replayed(known, "stale")
        gateway.remember(request, answer)
        return answer

    def _asked(
        self, gateway: Gateway, request: Request, known: Entry | None, claim: Claim, operation: str
    ) -> Answer:
        """What the provider says, asked with another credential or token when it refuses one."""
        found = self._with_token(gateway, request, claim)
        for _ in gateway.gate.limits * (2 if gateway.tokens else 1):
            if found is not None:
                return found
            try:
                return self._exchange(gateway, request, known, claim, operation)
            except TokenExpired:
                found = self._with_token(gateway, request, claim, anew=True)
            except CredentialsRefused as why:
                found = self._with_another(gateway, request, claim, why)
        return found or self._exchange(gateway, request, known, claim, operation)

    def _with_token(
        self, gateway: Gateway, request: Request, claim: Claim, *, anew: bool = False
    ) -> Answer | None:
        """As :meth:`_admit`, once there is a token, for a call whose moment passed while one was bought.

        All that waited for the same token would leave together otherwise. Why there is none is heard again by
        the exchange, which notes it.
        """
        if gateway.tokens is None:
            return None
        number, started = claim.report.credential if claim.report else 0, time.monotonic()
        with suppress(CallError, StateUnavailable):
            gateway.tokens.held(number)
        if not anew and time.monotonic() - started < LATE:
            return None
        claim.again = claim.again or claim.sending
        return self._admit(gateway, request, claim)

    @staticmethod
    def _reachable(gateway: Gateway, request: Request) -> None:
        """Nothing unless who is written to does not want it."""
        if gateway.suppressed is not None and gateway.suppressed.since(request.recipient) is not None:
            raise RecipientSuppressed(
                f"{gateway.provider.name}: the recipient does not want it; nothing was sent"
            )

    def _with_another(
        self, gateway: Gateway, request: Request, claim: Claim, why: CredentialsRefused
    ) -> Answer | None:
        """As :meth:`_admit`, once the credential that was refused is set aside.

        When all are, the call waits for better ones, for as many times as it may fail. A forbidden one does
        not: it may ask for what no credential is good for, and would stop all the others again and again.
        """
        if len(gateway.gate.limits) == 1:
            raise why
        claim.again = claim.again or claim.sending
        try:
            return self._admit(gateway, request, claim)
        except CredentialsAside:
            last = claim.attempt + 1 >= gateway.provider.retry.attempts
            if not claim.task_id or last or why.status == FORBIDDEN:
                raise why from None
            claim.attempt += 1
            raise

    def _admit(self, gateway: Gateway, request: Request, claim: Claim) -> Answer | None:
        """None once the gate has let the call out; or the answer that another worker fetched meanwhile."""
        with self._tracer.waiting():
            return self._let_out(gateway, request, claim)

    def _let_out(self, gateway: Gateway, request: Request, claim: Claim) -> Answer | None:
        flight = request.fingerprint if gateway.shares(request) and not claim.anew else ""
        left = self._inline_wait
        self.tell(claim)
        while True:
            try:
                decision, report = self._begin(gateway, claim, flight, left, sends=not request.repeatable)
            except StateUnavailable:
                if not self._without(gateway, claim):
                    raise
                return None
            if decision.word == "admit":
                claim.report, claim.begun = report, True
                claim.sending = claim.sending or not request.repeatable
                claim.leaves_at = time.monotonic() + decision.wait
                self._watcher.admitted(gateway.provider.name, decision)
                gateway.breaker.moved(decision.moved)
                if decision.wait:
                    self._sleep(decision.wait)
                return None
            why = deferred(decision, gateway.provider.name)
            if not isinstance(why, CallDeferred):
                raise why
            pause = None if crowded(claim) else inline_pause(decision, left)
            if pause is None:
                raise self._held_back(gateway.provider, why, claim)
            self._sleep(pause)
            left -= pause
            known = gateway.recall(request) if decision.word == "in_flight" else None
            if known is not None and known.fresh and _new_enough(known, request, claim):
                self._watcher.cache_hit(gateway.provider.name, known.tier)
                return replayed(known, "cache")

    def _without(self, gateway: Gateway, claim: Claim) -> bool:
        """Whether the call may leave without Redis: its provider fails open, and its moment is near."""
        wait = gateway.spare.moment(self._inline_wait) if gateway.spare else None
        if wait is None:
            return False
        claim.report, claim.begun = None, True
        claim.leaves_at = time.monotonic() + wait
        logger.warning("asked without redis", extra={"integration.provider": gateway.provider.name})
        self._sleep(wait)
        return True

    def _held_back(self, provider: Provider, why: CallDeferred, claim: Claim) -> CallDeferred:
        """*why*, told to whoever watches, and whether the task is to wait for it."""
        if not claim.task_id:  # nobody waits for a call without a task, so who can do without it should
            why.passing = False
        if isinstance(why, QuotaSpent) and provider.quota is not None:
            why.waits = provider.quota.spent == "wait"
        self._watcher.deferred(provider.name, why.reason, why.wait)
        return why

    def _begin(
        self, gateway: Gateway, claim: Claim, flight: str, patience: float, *, sends: bool
    ) -> tuple[Decision, Report]:
        ask = partial(
            gateway.gate.begin,
            claim,
            flight=flight,
            lease=claim.lease,
            patience=max(patience, patience_of(claim, gateway.provider)),
            crowded=crowded(claim),
            sends=sends,
        )
        decision, report = ask()
        if decision.word == "gone":
            if claim.ended():
                raise RecordGone
            claim.recorded = False
            decision, report = ask()
        return decision, report

    def _exchange(
        self, gateway: Gateway, request: Request, known: Entry | None, claim: Claim, operation: str
    ) -> Answer:
        """One HTTP exchange, its outcome noted in the claim's report."""
        report = claim.report or Report(gateway.gate, "", "")
        started = time.perf_counter()
        status, token = "error", None
        try:
            extra = {"If-None-Match": known.etag} if known is not None and known.etag else {}
            if gateway.tokens is not None:
                token = token_for(gateway.tokens, report.credential, request)
                extra = {**extra, **gateway.tokens.headers(token)}
            if not request.repeatable:
                in_time(claim, gateway.provider)
            send = partial(gateway.http.send, request, extra_headers=extra, credential=report.credential)
            answer = self._tracer.exchange(gateway.provider, request, send)
            report.headroom = believed(answer.headers, gateway.provider)
            if answer.status == 304 and known is not None:  # noqa: PLR2004
                answer = replayed(known, "live").aged("live", 0.0)
            report.outcome, status = "success", "success"
            claim.taken = claim.taken or not request.repeatable
        except CallError as why:
            why = noted(learnt(why, gateway, request, report, token), report, claim)
            status = why.code
            if isinstance(why, CredentialsRefused) and not isinstance(why, TokenExpired):
                self._watcher.credentials_refused(gateway.provider.name, report.credential + 1)
            if not request.repeatable and may_have_acted(why, claim):
                raise CallInDoubt(f"{gateway.provider.name}: it may have been acted on ({why})") from None
            if isinstance(why, CallFailed):
                claim.plan(why, gateway.retry)
            raise why from None
        else:
            return answer
        finally:
            elapsed = time.perf_counter() - started
            self._watcher.call_ended(gateway.provider.name, operation, status, elapsed)

    def tell(self, claim: Claim) -> None:
        """Report the task's last call, before it begins another or when it has no record to end."""
        if claim.report is None:
            return
        report, claim.report = claim.report, None
        moved = self.gateway(report.gate.provider.name).breaker.moved
        if claim.task_id:
            report.gate.finish_soon(report, claim, moved, "keep")
        else:  # nobody knows how long this process lives
            with suppress(StateUnavailable):  # its lease runs out by itself; the answer must not go with it
                moved(report.gate.finish(report, claim)[0])


def _new_enough(known: Entry, request: Request, claim: Claim) -> bool:
    """A request that wants it fresh takes what was fetched since its call was enqueued."""
    return not request.fresh or (claim.created_at > 0 and known.stored_at >= claim.created_at)
