"""How a submission is run: sent once, remembered, and asked about when nobody knows whether it arrived.

1. Begin lets it out and marks it, in one step, so a worker that dies later leaves a doubt and no second copy.
2. The provider takes it: the ledger hears before Celery does, so a worker that dies in between loses nothing.
3. Nobody knows: :class:`worker.submissions.submission.Submits` says whether it is sent again, asked about,
   or left to a person.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from worker.errors import (
    ArgumentsInvalid,
    CallDeferred,
    CallFailed,
    CallInDoubt,
    CallInFlight,
    CallRejected,
    CredentialsRefused,
    DuplicateDelivery,
    ProviderThrottled,
    ProviderUnavailable,
    RecipientSuppressed,
    RecordGone,
    ResponseUnreadable,
    StateUnavailable,
    SubmissionKnown,
    UnexpectedError,
)
from worker.performing import Performance
from worker.record import KeyUsed
from worker.submissions.submission import Accepted, Submission, Submits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from inspect import BoundArguments

    from worker.claim import Claim
    from worker.operation import Operation, Progress, Steps
    from worker.pipeline import Pipeline
    from worker.submissions.ledger import Ledger

    Ask = Callable[[Steps[Any]], Any]

__all__ = ["Submitter", "state_after"]

logger = logging.getLogger("narrows")

INSIST, PAUSE = 20.0, 0.5
"""Seconds for which Redis is told that a provider took a submission, since nobody else knows; and between."""


CONFLICT = 409
"""What providers that take each id once say while the first of them is not done
(https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/, section 2.7)."""

LEAST, MOST = 1.0, 60.0
"""Seconds that a call waits which repeats a submission, a quarter of that one's age within these."""

DECIDED = frozenset({"accepted", "rejected", "in_doubt"})
"""What a call that repeats a submission is told; in doubt it may be for days."""


class Submitter:
    """What runs operations that submit, for one process.

    Args:
        ledger: A provider's ledger by name.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        ledger: Callable[[str], Ledger],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._pipeline, self._ledger, self._sleep, self._clock = pipeline, ledger, sleep, clock

    def run(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        claim: Claim,
        progress: Callable[[Progress], None],
    ) -> dict[str, Any]:
        """What callers are told of the submission once the provider has taken it, now or before."""
        claim.submits = operation.submission or Submits()
        given, name = operation.parsed(args, kwargs), operation.provider.name
        if given.arguments.get("idempotency_key") and not claim.task_id:
            text = "takes a task, which remembers it: call it with delay() or apply_async()"
            raise ArgumentsInvalid(f"{operation.name}: idempotency_key: {text}")

        def ask(steps: Steps[Any]) -> Any:
            return Performance(self._pipeline, name, operation.name, claim, progress).of(steps)

        try:
            return self._sent(operation, given, claim, ask)
        except SubmissionKnown:
            known = self._known(name, claim)
        if known.id != claim.task_id:
            return self._repeated(known, operation, claim)
        if known.state in {"accepted", "rejected"}:
            return known.told
        return self._seen_through(known, operation, given, claim, ask)

    def _known(self, provider: str, claim: Claim) -> Submission:
        """What the ledger knows of the claim's submission, or of the one that it repeats."""
        try:
            known = self._ledger(provider).get(claim.task_id)
        except RedisError as gone:
            raise StateUnavailable from gone
        if known is None:
            raise RecordGone
        return known

    def _sent(self, operation: Operation, given: BoundArguments, claim: Claim, ask: Ask) -> dict[str, Any]:
        """What callers are told once the provider has taken what is sent now."""
        try:
            taken = _receipt(operation, ask(operation.function(*given.args, **given.kwargs)))
        except Exception as why:  # noqa: BLE001 - whatever it is, it may leave a doubt
            raise self._failed(why, operation, claim) from None
        submits = claim.submits or Submits()
        return self._taken(operation, claim, taken, submits.details(*given.args, **given.kwargs))

    def _failed(self, why: Exception, operation: Operation, claim: Claim) -> Exception:
        """*why*, or the doubt that it leaves: what was answered well is not undone by what comes after."""
        submits = claim.submits or Submits()
        if claim.taken and not isinstance(why, CallInDoubt | StateUnavailable | DuplicateDelivery):
            kind = type(why).__name__
            why = CallInDoubt(f"{operation.provider.name}: it was taken, and what followed failed ({kind})")
        if submits.resend == "idempotent" and getattr(why, "status", None) == CONFLICT:
            why = CallInDoubt(f"{operation.provider.name}: the one sent before is under way there")
        if not isinstance(why, CallInDoubt):
            return why
        if submits.resend == "idempotent":
            return _sent_again(why)
        return self._in_doubt(why, submits, self._clock())

    def _repeated(self, known: Submission, operation: Operation, claim: Claim) -> dict[str, Any]:
        """What callers are told of the submission whose key this call repeats, once that has an end."""
        ledger = self._ledger(known.provider)
        try:
            first, lives = ledger.digest(known.id), ledger.lives(known.id)
        except RedisError as gone:
            raise StateUnavailable from gone
        if first and first != json.loads(claim.noted)["digest"]:
            raise ArgumentsInvalid(f"{operation.name}: {KeyUsed()}")
        if known.state in DECIDED or not lives:
            return known.told
        wait = min(max((claim.clock - known.created_at) / 4, LEAST), MOST)
        text = f"{known.provider}: the same submission is under way, again in {wait:.1f} s"
        raise CallInFlight(text, wait=wait, provider=known.provider)

    def _seen_through(
        self, known: Submission, operation: Operation, given: BoundArguments, claim: Claim, ask: Ask
    ) -> dict[str, Any]:
        """What callers are told of one in doubt: what the provider has of it, or takes now."""
        submits = claim.submits or Submits()
        if submits.verify is None:
            raise CallInDoubt(f"{known.provider}: it was sent before, and nobody knows whether it arrived")
        claim.anew = True
        try:
            found = ask(submits.verify(known, *given.args, **given.kwargs))
        except (CallFailed, CallRejected) as why:
            text = f"{known.provider}: it was sent before, and the look for it failed ({why})"
            raise self._in_doubt(CallInDoubt(text), submits, known.sent_at) from None
        if found is not None:
            return self._taken(operation, claim, _receipt(operation, found), known.details)
        claim.again = True
        if claim.attempt >= self._pipeline.gateway(known.provider).provider.retry.attempts:
            raise ProviderUnavailable(
                f"{known.provider}: it was sent {claim.attempt} times and never arrived"
            )
        return self._sent(operation, given, claim, ask)

    def _in_doubt(self, why: CallInDoubt, submits: Submits, sent_at: float) -> CallInDoubt:
        """*why*, and when the provider is asked what came of what was *sent_at*."""
        if submits.verify is not None and self._clock() + submits.after < sent_at + submits.within:
            why.wait = submits.after
        return why

    def _taken(
        self, operation: Operation, claim: Claim, value: Accepted, details: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What callers are told, once the ledger knows it too."""
        details = {**details, **value.details}
        if claim.task_id:
            self._remember(operation.provider.name, claim, value, details)
        claim.sending = False
        told = Submission(
            id=claim.task_id,
            provider=operation.provider.name,
            operation=operation.name,
            state="accepted",
            resend="never",
            since=0.0,
            created_at=0.0,
            external_id=value.external_id,
            external_status=value.external_status,
            details=details,
        )
        return told.told

    def _remember(self, provider: str, claim: Claim, value: Accepted, details: Mapping[str, Any]) -> None:
        """Tell the ledger, for as long as the claim may last."""
        extra = {"task_id": claim.task_id, "external_id": value.external_id}
        until = time.monotonic() + INSIST
        while True:
            try:
                before, known = self._ledger(provider).accepted(claim.task_id, value, details)
            except StateUnavailable:
                if time.monotonic() > until:
                    logger.exception("accepted submission not remembered", extra=extra)
                    raise
                self._sleep(PAUSE)
            else:
                if known not in {None, value.external_id}:
                    logger.error("submission taken twice", extra={**extra, "first_external_id": known})
                elif before not in {"sending", "in_doubt", "accepted"}:
                    logger.error("submission accepted out of turn", extra={**extra, "state": before})
                return


def _receipt(operation: Operation, value: Any) -> Accepted:
    """*value*, when it is what an operation that submits returns."""
    if not isinstance(value, Accepted):
        kind = type(value).__name__
        raise UnexpectedError(f"{operation.name} returned {kind}; an operation that submits, Accepted")
    if not isinstance(value.external_id, str) or not value.external_id:
        raise UnexpectedError(f"{operation.name} returned an Accepted without an external_id")
    return value


def _sent_again(why: CallInDoubt) -> CallFailed:
    """*why* as a failure that may be tried again: a provider that takes each id only once says it again."""
    failed = ProviderUnavailable(str(why))
    failed.sent = True
    return failed


def state_after(why: BaseException, claim: Claim) -> str:
    """What a submission is once *why* has ended an attempt; "" leaves it what it is.

    The pipeline has made a doubt of every failure that may have arrived, but for those that are sent again
    all the same; they are in doubt meanwhile. What no error of ours stands for may hide an answer, and so may
    an answer that cannot be read.
    """
    if isinstance(why, CallInDoubt):
        return "in_doubt"
    if not claim.sending:
        unsent = "queued" if claim.again else ""
        return "rejected" if isinstance(why, RecipientSuppressed) else unsent
    if claim.taken:
        return "in_doubt"
    if isinstance(why, CallFailed) and why.sent and not isinstance(why, ProviderThrottled):
        return "in_doubt"
    if isinstance(why, CallFailed | CallDeferred | CredentialsRefused):
        return "queued"
    return (
        "rejected"
        if isinstance(why, CallRejected) and not isinstance(why, ResponseUnreadable)
        else "in_doubt"
    )
