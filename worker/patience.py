"""How long a call waits in its slot whatever the deployment would have it wait, and whether it has one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.claim import Claim
    from worker.provider import Provider

__all__ = ["crowded", "patience_of"]

LEAST_TURN, MOST_TURN = 30.0, 90.0
"""Seconds that a task waits in its slot for its next call at most: a provider of one call a second, lowered
to a twentieth; and what leaves room in a task's time limit."""

RELEASED = 1.0
"""The same for a call whose turn had come, as ``lua/begin.lua`` has it for one that it claims itself."""


def patience_of(claim: Claim, provider: Provider) -> float:
    """Seconds that the call waits in its slot, whatever the deployment would have it wait."""
    if claim.begun:
        return _turn(provider)
    return RELEASED if claim.released else 0.0


def crowded(claim: Claim) -> bool:
    """Whether the call has to leave for want of a slot; a task that has begun keeps the one it has."""
    return not claim.begun and claim.crowded()


def _turn(provider: Provider) -> float:
    """Seconds within which the next turn of a task that has begun comes, also at a rate that was lowered.

    Parked, it would make its first call again and spend that turn on it, for ever where turns are rarer
    than its patience.
    """
    between = 1 / provider.rate.per_second if provider.rate else 0.0
    return min(max(LEAST_TURN, 2 * between), MOST_TURN)
