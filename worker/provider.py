"""A provider as data: what its owner allows and how its answers read.

A provider module declares one :class:`Provider`; the engine gives each field its
meaning. Nothing here does anything, so importing a module opens nothing.
All durations are seconds, all rates calls per second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from worker.auth.pieces import Auth, Basic, Pair, TokenAuth

__all__ = [
    "Auth",
    "Breaker",
    "Caching",
    "Option",
    "Provider",
    "Quota",
    "Rate",
    "Retry",
    "Signs",
    "Timeouts",
    "Verdict",
]

Verdict = Literal[
    "ok",
    "empty",
    "missing",
    "rejected",
    "credentials",
    "throttled",
    "spent",
    "suppressed",
    "unavailable",
    "pending",
    "unreadable",
]
"""What an answer means: ``empty`` is one that is well and holds nothing, ``pending`` a 202 that wants the
same request again, ``spent`` that the provider's day has no more calls for us, ``suppressed`` that who was
to be written to does not want it, ``unreadable`` a 200 that is not what its contract says: it is not kept."""


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
    """How long an answer stays good: in this process, in Redis, and when the provider is down.

    One that holds nothing (the verdict ``empty``) is good for *empty* seconds at most: what was not there may
    come any moment.
    """

    memory: float
    redis: float
    stale_if_error: float = 0.0
    empty: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one exchange may take: to connect, between bytes, and in all."""

    connect: float = 3.05
    read: float = 20.0
    total: float = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signs:
    """What answers of a provider mean beyond their status: a ``judge`` that is data.

    The code in the body is believed first, then words in its message, then the status.

    Attributes:
        at: Where the body's own code stands, with dots between the names: ``error.status``.
        codes: What each means, by its text.
        message: Where the body's words stand, in the same way.
        words: What a message means that holds them.
        statuses: What statuses mean that this provider uses in a way of its own.
    """

    at: str = ""
    codes: Mapping[str, Verdict] = field(default_factory=dict)
    message: str = "message"
    words: Mapping[str, Verdict] = field(default_factory=dict)
    statuses: Mapping[int, Verdict] = field(default_factory=dict)

    def __call__(self, status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:  # noqa: ARG002
        """The verdict, or None where the usual table holds."""
        code = _found(body, self.at) if self.at else None
        if isinstance(code, str | int) and (meaning := self.codes.get(str(code))):
            return meaning
        said = _found(body, self.message) if self.words else None
        if isinstance(said, str):
            for words, meaning in self.words.items():
                if words in said:
                    return meaning
        return self.statuses.get(status)


def _found(body: Any, path: str) -> Any:
    """What stands in *body* at *path*; the first of a list stands for it."""
    for name in path.split(".") if path else ():
        if isinstance(body, list):
            body = body[0] if body else None
        body = body.get(name) if isinstance(body, dict) else None
    return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Something that a deployment chooses: ``NARROWS_PROVIDERS__<NAME>__OPTIONS__<OPTION>``.

    Attributes:
        about: What it is, in a few words.
        default: None has to be set before what needs it can be called.
        parse: From the setting's text to a value; raises ValueError with what it takes.
    """

    about: str
    default: Any = None
    parse: Callable[[str], Any] = str


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
            not say; asked before the status is believed. :class:`Signs` is one that is data.
        waits: Patterns for a throttled answer's message, where the wait stands in words: one group of
            seconds, or three of hours, minutes and seconds, or one of days before them.
        options: What an operation lets a deployment choose, by name; see :mod:`worker.choice`.
        fails_open: Without the state Redis it is asked all the same, at this process's share of its rate.
        health: A path that answers well when the provider is; production does not start without it.
        identifies: It wants to know whom to write to: `narrows doctor` warns while NARROWS_CONTACT is empty.
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
    auth: Auth | Basic | Pair | TokenAuth | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    max_concurrency: int | None = None
    max_cooldown: float = 3600.0
    too_long: Literal["fail", "wait"] = "fail"
    cooldown: float = 10.0
    judge: Callable[[int, Mapping[str, str], Any], Verdict | None] = no_opinion
    waits: tuple[str, ...] = ()
    options: Mapping[str, Option] = field(default_factory=dict)
    fails_open: bool = False
    health: str = ""
    identifies: bool = False
    max_body: int = 32 * 1024 * 1024
    contract: str = ""
    contracts: Mapping[str, Provider] = field(default_factory=dict)
