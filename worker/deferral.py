"""What a denial means: the error it becomes, and how long its call waits where.

This is the one place that decides between waiting in the slot and leaving it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import (
    BucketEmpty,
    CallDeferred,
    CallInFlight,
    CallRevoked,
    ConcurrencyFull,
    DuplicateDelivery,
    NarrowsError,
    ProviderCooling,
    QuotaSpent,
    RecordGone,
)

if TYPE_CHECKING:
    from worker.gate import Decision

__all__ = ["deferred", "inline_pause", "pause"]

_KINDS: dict[str, type[CallDeferred]] = {
    kind.reason: kind for kind in (BucketEmpty, CallInFlight, ConcurrencyFull, ProviderCooling, QuotaSpent)
}
_POLLED = {"concurrency": 0.1, "in_flight": 0.05, "probing": 1.0}
"""Reasons that usually end long before the wait they name, the end of somebody's lease, and the seconds
after which asking again makes sense."""


def deferred(decision: Decision, provider: str) -> NarrowsError:
    """The error for a decision other than ``admit``."""
    word = decision.word
    if word in {"duplicate", "fenced"}:
        return DuplicateDelivery()
    if word == "revoked":
        return CallRevoked()
    if word == "gone":
        return RecordGone()
    wait = pause(decision)
    if word in {"breaker", "probing"}:
        from worker.breaker import BreakerOpen

        return BreakerOpen(f"{provider}: the breaker is open, again in {wait:.1f} s", wait=wait)
    kind = _KINDS[word]
    return kind(f"{provider}: held back by {kind.reason}, again in {wait:.1f} s", wait=wait)


def pause(decision: Decision) -> float:
    """Seconds after which asking again makes sense."""
    return min(decision.wait, _POLLED.get(decision.word, decision.wait))


def inline_pause(decision: Decision, left: float) -> float | None:
    """Seconds to wait in the slot, or None when the call has to leave it.

    Args:
        decision: A denial.
        left: What is left of ``inline_wait``.
    """
    wait = pause(decision)
    return wait if wait <= left else None
