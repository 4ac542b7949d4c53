"""What a person on call should look at, out of how the providers stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from worker.snapshot import Standing

__all__ = ["LONG_OPEN", "LOW_QUOTA", "Concern", "Kind", "concerns"]

LONG_OPEN = 300.0
"""Seconds: an outage that a breaker rides out by itself is shorter."""

LOW_QUOTA = 0.1
"""Share of the day's calls."""

Kind = Literal["breaker_open", "credentials_refused", "quota_low", "dead_letters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One thing to look at; *kind* is a constant, *amount* so many seconds, credentials, calls or letters."""

    provider: str
    kind: Kind
    amount: float

    def __str__(self) -> str:
        """One line for a person."""
        number = f"{self.amount:,.0f}"
        return {
            "breaker_open": f"{self.provider}: not closed for {number} s; see narrows breaker show",
            "credentials_refused": f"{self.provider}: credentials refused: {number}; "
            f"see narrows limits show {self.provider}",
            "quota_low": f"{self.provider}: {number} calls left of today's quota",
            "dead_letters": f"{self.provider}: dead letters: {number}; see narrows dlq list {self.provider}",
        }[self.kind]


def concerns(standing: Standing) -> list[Concern]:
    """What is wrong with one provider: a breaker not closed for long, refused keys, little quota, letters."""
    found: list[tuple[Kind, float]] = []
    if standing.breaker != "closed" and standing.open_for >= LONG_OPEN:
        found.append(("breaker_open", standing.open_for))
    if standing.set_aside:
        found.append(("credentials_refused", standing.set_aside))
    limit, left = standing.quota_limit, standing.quota_left
    if limit is not None and left is not None and left <= limit * LOW_QUOTA:
        found.append(("quota_low", left))
    if standing.dead_letters:
        found.append(("dead_letters", standing.dead_letters))
    return [Concern(provider=standing.provider, kind=kind, amount=amount) for kind, amount in found]
