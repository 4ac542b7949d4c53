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
    from worker.gate import Verdict

__all__ = ["deferred", "inline_pause", "pause"]

_KINDS: dict[str, type[CallDeferred]] = {
    kind.reason: kind for kind in (BucketEmpty, CallInFlight, ConcurrencyFull, ProviderCooling, QuotaSpent)
}
_POLLED = {"concurrency": 0.1, "in_flight": 0.05, "probing": 1.0}
"""Reasons that usually end long before the wait they name, the end of somebody's lease, and the seconds
after which asking again makes sense."""


def deferred(verdict: Verdict, provider: str) -> NarrowsError:
    """The error for a verdict other than ``admit``."""
    word = verdict.word
    if word in {"duplicate", "fenced"}:
        return DuplicateDelivery()
    if word == "revoked":
        return CallRevoked()
    if word == "gone":
        return RecordGone()
    wait = pause(verdict)
    if word in {"breaker", "probing"}:
        from worker.breaker import BreakerOpen

        return BreakerOpen(f"{provider}: the breaker is open, again in {wait:.1f} s", wait=wait)
    kind = _KINDS[word]
    return kind(f"{provider}: held back by {kind.reason}, again in {wait:.1f} s", wait=wait)


def pause(verdict: Verdict) -> float:
    """Seconds after which asking again makes sense."""
    return min(verdict.wait, _POLLED.get(verdict.word, verdict.wait))


def inline_pause(verdict: Verdict, left: float) -> float | None:
    """Seconds to wait in the slot, or None when the call has to leave it.

    Args:
        left: What is left of ``inline_wait``.
    """
    wait = pause(verdict)
    return wait if wait <= left else None
