"""What an exchange tells the gate: how its provider fares, what is left, and how long to leave it alone."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from worker.errors import (
    CallError,
    CallFailed,
    CallRejected,
    CredentialsRefused,
    ProviderThrottled,
    RecipientSuppressed,
    ResponseUnreadable,
    StateUnavailable,
    ThrottledTooLong,
    TokenExpired,
)
from worker.http.retry_after import headroom

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.auth.tokens import Token
    from worker.claim import Claim
    from worker.gate import Report
    from worker.gateway import Gateway
    from worker.http.retry_after import Headroom
    from worker.provider import Provider
    from worker.request import Request

__all__ = ["FORBIDDEN", "believed", "learnt", "noted"]

FORBIDDEN = 403

ASIDE, FORBIDDEN_ASIDE = 900.0, 60.0
"""Seconds for which a refused credential is not used when there are several; then one call tries it again.
A 403 may speak of what was asked rather than of who asks, so it counts for less."""

LEAST_PAUSE = 1.0
"""Seconds for which a provider is left alone that throttles until now, or until a moment that is over."""


def believed(headers: Mapping[str, str], provider: Provider) -> Headroom | None:
    """What an answer says is left; it holds nobody for longer than the provider may impose."""
    left = headroom(headers)
    return left and left._replace(seconds=min(left.seconds, provider.max_cooldown))


def noted(why: CallError, report: Report, claim: Claim) -> CallError:
    """*why*, with waits as they will be made, its outcome noted in *report*. A rejection is proof of life.

    Another error when the provider holds the call back for too long.
    """
    provider = report.gate.provider
    if isinstance(why, ProviderThrottled):
        report.outcome = "throttled"
        pause = provider.cooldown if why.retry_after is None else max(why.retry_after, LEAST_PAUSE)
        report.pause = min(pause, provider.max_cooldown)
        return _paused(why, pause, report, claim)
    if (
        isinstance(why, CredentialsRefused)
        and not isinstance(why, TokenExpired)
        and len(report.gate.limits) > 1
    ):
        report.outcome = "refused"
        report.pause = FORBIDDEN_ASIDE if why.status == FORBIDDEN else ASIDE
    elif isinstance(why, ResponseUnreadable) or getattr(why, "neutral", False):
        report.outcome = "neutral"
    elif isinstance(why, CallRejected):
        report.outcome = "success"
    else:
        report.outcome = "failure"
    if isinstance(why, CallFailed) and why.retry_after is not None:
        why.retry_after = min(why.retry_after, provider.max_cooldown)
    return why


def _paused(why: ProviderThrottled, asked: float, report: Report, claim: Claim) -> ProviderThrottled:
    """*why* with the pause that is made; another error when it comes to too much for one call.

    A pause of one credential of several holds nobody yet, so then only what is past counts.
    """
    provider = report.gate.provider
    ahead = asked if len(report.gate.limits) == 1 else 0.0
    so_far = claim.clock - claim.throttled_at if claim.throttled_at else 0.0
    if provider.too_long == "fail" and so_far + ahead > provider.max_cooldown:
        text = f"{why}: it would be held back for {so_far + ahead:.0f} s"
        final = ThrottledTooLong(text, status=why.status, retry_after=why.retry_after)
        final.sent = why.sent
        return final
    paused = ProviderThrottled(
        f"{why}, again in {report.pause:.1f} s", status=why.status, retry_after=report.pause
    )
    paused.sent = why.sent
    return paused


def learnt(
    why: CallError, gateway: Gateway, request: Request, report: Report, token: Token | None
) -> CallError:
    """*why*, or news of a token that ended; what it says of a recipient is remembered."""
    if isinstance(why, RecipientSuppressed) and request.recipient and gateway.suppressed:
        with suppress(StateUnavailable):  # the provider will say it again
            gateway.suppressed.add(request.recipient, now=time.time())
    if not (token and gateway.tokens and isinstance(why, CredentialsRefused)):
        return why
    if not gateway.tokens.renews(report.credential, token, why):
        return why
    expired = TokenExpired(str(why), status=why.status)
    expired.sent = why.sent
    return expired
