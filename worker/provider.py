"""A provider as data: what its owner allows and how its answers read.

A provider module declares one :class:`Provider`; the engine gives each field its
meaning. Nothing here does anything, so importing a module opens nothing.
All durations are seconds, all rates calls per second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Auth", "Breaker", "Caching", "Provider", "Quota", "Rate", "Retry", "Timeouts", "Verdict"]

Verdict = Literal["ok", "missing", "rejected", "credentials", "throttled", "unavailable", "pending"]
"""What an answer means: ``pending`` is a 202 that wants the same request again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A token bucket: *calls* per *per* seconds, at most *burst* at once."""

    calls: float
    per: float = 1.0
    burst: int = 1

    @property
    def per_second(self) -> float:
        """Tokens that come back each second."""
        return self.calls / self.per


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """At most *limit* calls in a day of *zone* (an IANA name), each credential.

    When they are *spent*, calls wait for the next day, or fail at once.
    """

    limit: int
    zone: str = "America/New_York"
    spent: Literal["wait", "fail"] = "wait"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """When to stop asking: *failures* in a row, or a *ratio* over the last *window* calls.

    After *reset_after* seconds *probes* leased calls at a time may try; *successes* of
    them in a row close it, one failure opens it again.
    """

    failures: int | None = 5
    ratio: float | None = None
    window: int = 20
    reset_after: float = 60.0
    successes: int = 2
    probes: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Which failures are tried again: *attempts* in all, within *within* seconds.

    Waits grow from *first* to *most* with decorrelated jitter. Over the fleet and a minute, retries are at
    most the share *budget* of the calls, though *floor* are always allowed; what goes beyond waits until the
    budget has room. A budget of None sets no bound.
    """

    attempts: int = 5
    within: float = 300.0
    first: float = 1.0
    most: float = 30.0
    budget: float | None = 0.2
    floor: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Caching:
    """How long an answer stays good: in this process, in Redis, and when the provider is down."""

    memory: float
    redis: float
    stale_if_error: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one exchange may take: to connect, between bytes, and in all."""

    connect: float = 3.05
    read: float = 20.0
    total: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Where the API key goes: a header or a query parameter; *scheme* stands before it."""

    header: str | None = None
    query: str | None = None
    scheme: str = ""
    required: bool = True


def no_opinion(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:  # noqa: ARG001
    """None: let the status decide."""
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One outside API.

    Attributes:
        name: The queue's name, the metrics' label and the first half of every task's name.
        base_url: The live host. ``NARROWS_PROVIDERS__<NAME>__BASE_URL`` replaces it.
        max_concurrency: Calls in flight over the whole fleet; None is no limit.
        max_cooldown: The longest pause that a provider may impose, and the longest that its throttling may
            hold one call back; *too_long* says whether the call is a dead letter then or waits on.
        cooldown: The pause after a throttled answer that names none.
        judge: ``(status, headers, parsed body) -> Verdict | None`` for what the status does
            not say; asked before the status is believed.
        max_body: Bytes of a body that are read at most, after decompression.
        contract: The name of the interface that this is, where the provider publishes several.
        contracts: The others by their names, each a whole provider of the same name.
            ``NARROWS_PROVIDERS__<NAME>__CONTRACT`` chooses.
    """

    name: str
    base_url: str
    rate: Rate | None = None
    quota: Quota | None = None
    breaker: Breaker = field(default_factory=Breaker)
    retry: Retry = field(default_factory=Retry)
    caching: Caching | None = None
    timeouts: Timeouts = field(default_factory=Timeouts)
    auth: Auth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_concurrency: int | None = None
    max_cooldown: float = 3600.0
    too_long: Literal["fail", "wait"] = "fail"
    cooldown: float = 10.0
    judge: Callable[[int, Mapping[str, str], Any], Verdict | None] = no_opinion
    max_body: int = 32 * 1024 * 1024
    contract: str = ""
    contracts: Mapping[str, Provider] = field(default_factory=dict)
