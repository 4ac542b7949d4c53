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
    CredentialsAside,
    DuplicateDelivery,
    NarrowsError,
    OthersFirst,
    ProviderCooling,
    QuotaSpent,
    RecordGone,
    SubmissionKnown,
)

if TYPE_CHECKING:
    from worker.gate import Decision

__all__ = ["deferred", "inline_pause", "kind_of", "parks", "pause"]

_KINDS: dict[str, type[CallDeferred]] = {
    kind.reason: kind
    for kind in (
        BucketEmpty,
        CallInFlight,
        ConcurrencyFull,
        CredentialsAside,
        OthersFirst,
        ProviderCooling,
        QuotaSpent,
    )
}
_BREAKER = frozenset({"breaker", "probing"})
_POLLED = {"concurrency": 0.1, "in_flight": 0.05, "probing": 1.0}
"""Reasons that usually end long before the wait they name, the end of somebody's lease, and the seconds
after which asking again makes sense."""


_IN_LINE = frozenset({"bucket", "line"})
"""Reasons that are not polled: the gate lets out, to wait for its moment, whoever would wait in the slot."""


def deferred(decision: Decision, provider: str) -> NarrowsError:
    """The error for a decision other than ``admit``."""
    word = decision.word
    if word in {"duplicate", "fenced"}:
        return DuplicateDelivery()
    if word == "revoked":
        return CallRevoked()
    if word == "gone":
        return RecordGone()
    if word == "submitted":
        return SubmissionKnown()
    wait = pause(decision)
    place = f" at position {decision.ahead + 1}" if decision.ahead else ""
    held = "the breaker is open" if word in _BREAKER else f"held back by {word}{place}"
    return kind_of(word)(f"{provider}: {held}, again in {wait:.1f} s", wait=wait, provider=provider)


def kind_of(reason: str) -> type[CallDeferred]:
    """The error that stands for what holds a call back."""
    if reason in _BREAKER:
        from worker.breaker import BreakerOpen

        return BreakerOpen
    return _KINDS.get(reason, CallDeferred)


def parks(why: CallDeferred, home: str) -> bool:
    """Whether the call stands in line at *home* until its turn comes.

    Not so when it waits for somebody else's call, or for another provider, whose line its record is not in.
    """
    return why.reason != CallInFlight.reason and why.provider in {"", home}


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
    return wait if wait <= left and decision.word not in _IN_LINE else None
