"""A request that may act: how it goes out, and what is known when it failed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from worker.errors import (
    CallError,
    CallFailed,
    ProviderThrottled,
    ProviderUnavailable,
    ResponseUnreadable,
    StateUnavailable,
    UnexpectedError,
)
from worker.submissions.submission import Submits

if TYPE_CHECKING:
    from worker.auth.tokens import Token, Tokens
    from worker.claim import Claim
    from worker.gateway import Gateway
    from worker.provider import Provider
    from worker.request import Request

__all__ = ["in_time", "may_have_acted", "stock", "submitted", "token_for"]


def submitted(request: Request, claim: Claim) -> Request:
    """*request* as it goes out, with the submission's id where its provider is to see that."""
    claim.submits = claim.submits or Submits()
    if claim.sending:
        raise UnexpectedError("an operation submits once: what comes after needs a task of its own")
    return claim.submits.tag(request, claim.task_id)


def stock(gateway: Gateway) -> None:
    """Have access tokens at hand: once a submission is marked as sent, its bytes should come next."""
    if gateway.tokens is not None:
        for number, _ in enumerate(gateway.gate.limits):
            with suppress(CallError):
                gateway.tokens.held(number)


def token_for(tokens: Tokens, number: int, request: Request) -> Token:
    """The access token for *request*; what may act is known not to have left when Redis cannot say it."""
    try:
        return tokens.held(number)
    except StateUnavailable:
        if request.repeatable:
            raise
        raise ProviderUnavailable("no access token could be had, and nothing was sent") from None


def in_time(claim: Claim, provider: Provider) -> None:
    """Nothing while the claim must still be ours; others take over from a process that stood still."""
    if claim.task_id and time.monotonic() > claim.leaves_at + claim.lease / 2:
        raise ProviderUnavailable(f"{provider.name} was not asked: this worker stood still for too long")


def may_have_acted(why: CallError, claim: Claim) -> bool:
    """Whether the provider may have done what it was asked, and would do it again.

    A throttled request was not looked at. What cannot be read may be a receipt.
    """
    if not why.sent or isinstance(why, ProviderThrottled):
        return False
    if isinstance(why, CallFailed):
        return claim.submits is None or claim.submits.resend != "idempotent"
    return isinstance(why, ResponseUnreadable)
