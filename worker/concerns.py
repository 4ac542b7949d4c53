"""What a person on call should look at, out of how the providers stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from worker.letters.letter import UNROUTABLE

if TYPE_CHECKING:
    from worker.snapshot import Look
    from worker.standing import Standing

__all__ = [
    "LONG_IN_DOUBT",
    "LONG_OPEN",
    "LONG_UNASKED",
    "LOW_QUOTA",
    "Concern",
    "Kind",
    "all_concerns",
    "concerns",
]

LONG_OPEN = 300.0
"""Seconds: an outage that a breaker rides out by itself is shorter."""

LOW_QUOTA = 0.1
"""Share of the day's calls."""

LONG_IN_DOUBT = 3600.0
"""Seconds: a provider that can be asked has said long before whether it has a submission."""

LONG_UNASKED = 10_800.0
"""Seconds: three of the poller's rounds."""

Kind = Literal["breaker_open", "credentials_refused", "quota_low", "dead_letters", "in_doubt", "poller_late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concern:
    """One thing to look at; *kind* is a constant, *amount* so many seconds, keys, calls or what it names."""

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
            "in_doubt": f"{self.provider}: submissions in doubt: {number}, the first for over an hour; "
            f"see narrows submission list {self.provider}",
            "poller_late": f"{self.provider}: some open submission was not asked about for {number} s; "
            f"see narrows submission list {self.provider} --state open",
        }[self.kind]


def all_concerns(look: Look) -> list[Concern]:
    """What is wrong with each provider, and messages that no worker could take."""
    found = [concern for each in look.standings for concern in concerns(each)]
    if look.unroutable:
        found.append(Concern(provider=UNROUTABLE, kind="dead_letters", amount=look.unroutable))
    return found


def concerns(standing: Standing) -> list[Concern]:
    """What is wrong with one provider.

    A breaker not closed for long, refused keys, little quota, dead letters, submissions in doubt for long, or
    open ones that nobody asks about.
    """
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
    submitted = standing.submitted
    if submitted is not None and submitted.in_doubt_for > LONG_IN_DOUBT:
        found.append(("in_doubt", submitted.in_doubt))
    if submitted is not None and submitted.lag > LONG_UNASKED:
        found.append(("poller_late", submitted.lag))
    return [Concern(provider=standing.provider, kind=kind, amount=amount) for kind, amount in found]
