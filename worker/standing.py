"""How one provider stands at one moment, as data."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Literal

from worker.forecast import Line, Source, quota_ends, slipping

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.budget import Budget
    from worker.limits import Limits
    from worker.provider import Provider
    from worker.submissions.submitted import Submitted

__all__ = ["BreakerWord", "Standing"]

BreakerWord = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One provider as the fleet sees it. Moments are seconds since the epoch on Redis's clock.

    Attributes:
        declared: The provider's rules, with what the deployment overrides.
        at: When it was read.
        breaker: What the next call would meet: an open breaker whose time is up is half-open.
        open_until: When probes may go out; None unless it is open.
        opened_at: When it left closed; None when it is closed, or was opened by an older version.
        by_hand: Open until a person closes it.
        failures: In a row. ``window`` holds the last outcomes of a rate rule, oldest first, 1 for failed.
        probes: Under way while it is half-open.
        credentials: What is left of each one's limits; a provider without a key has one of them, too.
        budget: The retries of the last minute.
        queued: Calls whose message waits for a worker; ``oldest_queued`` when the first was published.
        running: Calls that a worker holds.
        waiting: Calls that back off, or are not to run yet; ``next_due`` when the first may run again.
        in_line: Calls parked until their turn comes; ``lanes`` counts them by lane, ``oldest_parked`` is when
            the one of them that waits longest was parked.
        slow: Failed calls that wait for the retry budget.
        under_way: Calls whose turn has come and that no worker has begun.
        in_flight: Exchanges with the provider under way.
        slots: Calls that the workers who serve its line run at once; known while somebody waits.
        submitted: Its submissions; None for a provider that takes none.
    """

    declared: Provider
    at: float
    breaker: BreakerWord
    open_until: float | None
    opened_at: float | None
    by_hand: bool
    failures: int
    window: str
    successes: int
    probes: int
    credentials: tuple[Limits, ...]
    budget: Budget
    queued: int
    oldest_queued: float | None
    running: int
    waiting: int
    next_due: float | None
    in_line: int
    lanes: Mapping[str, int]
    oldest_parked: float | None
    slow: int
    under_way: int
    in_flight: int
    slots: int
    dead_letters: int
    submitted: Submitted | None = None

    @property
    def provider(self) -> str:
        """Its name."""
        return self.declared.name

    @property
    def parked(self) -> int:
        """Calls that lie in Redis until the provider, or the retry budget, has room for them."""
        return self.in_line + self.slow

    @property
    def open_for(self) -> float:
        """Seconds since the breaker left closed; 0.0 when it has not."""
        return max(0.0, self.at - self.opened_at) if self.opened_at is not None else 0.0

    @property
    def parked_for(self) -> float:
        """Seconds for which the oldest in line has stood there; 0.0 when nobody does."""
        return max(0.0, self.at - self.oldest_parked) if self.oldest_parked is not None else 0.0

    @property
    def queued_for(self) -> float:
        """Seconds for which the first one queued has been published; 0.0 when none is."""
        return max(0.0, self.at - self.oldest_queued) if self.oldest_queued is not None else 0.0

    @property
    def tokens(self) -> float | None:
        """In the buckets of all credentials; None without a rate."""
        held = [each.tokens for each in self.credentials if each.tokens is not None]
        return sum(max(0.0, tokens) for tokens in held) if held else None

    @property
    def burst(self) -> int | None:
        """What the buckets hold at most; None without a rate."""
        return self.declared.rate.burst * len(self.credentials) if self.declared.rate else None

    @property
    def factor(self) -> float | None:
        """The share of the declared rate at which the provider is asked; None without a rate."""
        each = [limits.factor for limits in self.credentials]
        return sum(each) / len(each) if self.declared.rate else None

    @property
    def quota_left(self) -> int | None:
        """Calls left today, with all credentials; None without a quota, as are the next two."""
        return sum(each.quota_left or 0 for each in self.credentials) if self.declared.quota else None

    @property
    def quota_limit(self) -> int | None:
        """Calls of a whole day."""
        return self.declared.quota.limit * len(self.credentials) if self.declared.quota else None

    @property
    def quota_until(self) -> float | None:
        """The day's end."""
        return self.credentials[0].quota_until

    @property
    def cooldown_until(self) -> float | None:
        """The end of a pause that the provider asked for; of several credentials the first one's to end.

        None while one of them need not pause.
        """
        ends = [each.cooldown_until for each in self.credentials]
        return None if None in ends else min(end for end in ends if end is not None)

    @property
    def set_aside(self) -> int:
        """Credentials that are not used because the provider refused them."""
        return sum(each.refused_until is not None for each in self.credentials)

    @property
    def hold(self) -> tuple[str, float | None]:
        """What keeps the first in line from leaving, in the gate's own words, and until when.

        None when nobody knows, which is so wherever it depends on other calls' ends, or on a person.
        """
        holds: list[tuple[str, float | None]] = []
        if self.by_hand:
            return "breaker", None
        if self.open_until is not None:
            holds.append(("breaker", self.open_until))
        each = [limits.hold for limits in self.credentials]
        if None not in each:
            holds.append(min((hold for hold in each if hold), key=lambda hold: hold[1]))
        if holds:
            return max(holds, key=lambda hold: hold[1] or 0.0)
        if self.breaker == "half_open" and self.probes >= self.declared.breaker.probes:
            return "probing", None
        most = self.declared.max_concurrency
        if (most and self.in_flight >= most) or (self.slots and self.in_flight >= self.slots):
            return "concurrency", None
        return ("bucket" if self.declared.rate else "line"), None

    @property
    def line(self) -> Line:
        """The line as those who stand in it see it."""
        quota = self.declared.quota
        return Line(
            at=self.at,
            sources=tuple(self._source(each) for each in self.credentials),
            opens_at=inf if self.by_hand else self.open_until or 0.0,
            day_end=self.quota_until,
            zone=quota.zone if quota else "UTC",
        )

    @property
    def drained_at(self) -> float | None:
        """About when the last one in line now has been served; None when nobody stands there or can say."""
        return self.line.moment(self.in_line + self.under_way) if self.in_line else None

    @property
    def quota_spent_at(self) -> float | None:
        """About when today's quota is spent; None without a quota, or when it lasts until the day's end."""
        return quota_ends(self.line, self.parked + self.under_way, self.budget.pace)

    @property
    def slipping(self) -> int:
        """How many of the parked calls have to wait for another day's quota."""
        return min(self.parked, slipping(self.line, self.parked + self.under_way))

    def _source(self, each: Limits) -> Source:
        """Without a rate the present pace, if there is one, must do."""
        rate, quota = each.rate, self.declared.quota
        if rate is None and self.budget.pace > 0:
            rate = self.budget.pace / len(self.credentials)
        declared = self.declared.rate
        return Source(
            rate=rate,
            tokens=1.0 if each.tokens is None else each.tokens,
            burst=float(declared.burst) if declared else 1.0,
            free_at=max(each.cooldown_until or 0.0, each.refused_until or 0.0),
            left=each.quota_left,
            daily=quota.limit if quota else None,
        )
