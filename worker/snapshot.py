"""How every provider stands at one moment: its limits, its breaker and its calls, as Redis knows them.

Read in one round trip, whatever the number of providers. What the scripts work out when they are asked
(an open breaker whose time is up, a bucket that refills) is worked out here in the same way, on Redis's
own clock; nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from worker import registry
from worker.breaker import FOREVER
from worker.days import day_ends
from worker.keys import keys
from worker.overrides import overridden

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.engine import Engine
    from worker.metrics.gauges import ProviderState
    from worker.provider import Provider

__all__ = ["Standing", "provider_states", "standings"]

BreakerWord = Literal["closed", "open", "half_open"]

_NUMBERS: dict[BreakerWord, int] = {"closed": 0, "open": 1, "half_open": 2}
_BREAKER = ("state", "open_until", "opened_at", "failures", "window", "successes")
_LIMITS = ("tokens", "at", "cooldown_until", "quota_used", "quota_until")
_READS = 9
_BY_HAND = FOREVER / 2
"""No provider's own rule keeps a breaker open for fifty years."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One provider as the fleet sees it. Moments are seconds since the epoch on Redis's clock.

    Attributes:
        at: When it was read.
        breaker: What the next call would meet: an open breaker whose time is up is half-open.
        open_until: When probes may go out; None unless it is open.
        opened_at: When it left closed; None when it is closed, or was opened by an older version.
        by_hand: Open until a person closes it.
        failures: In a row. ``window`` holds the last outcomes of a rate rule, oldest first, 1 for failed.
        cooldown_until: The end of a pause that the provider asked for; None when there is none.
        tokens: In the bucket now; None without a rate.
        quota_left: Calls left today; None without a quota, as is ``quota_until``, the day's end.
        queued: Calls whose message waits for a worker; ``oldest_queued`` when the first was published.
        running: Calls that a worker holds.
        waiting: Calls held back or backing off; ``next_due`` when the first may run again.
        in_flight: Exchanges with the provider under way.
    """

    provider: str
    at: float
    breaker: BreakerWord
    open_until: float | None
    opened_at: float | None
    by_hand: bool
    failures: int
    window: str
    successes: int
    cooldown_until: float | None
    tokens: float | None
    burst: int | None
    quota_left: int | None
    quota_limit: int | None
    quota_until: float | None
    queued: int
    oldest_queued: float | None
    running: int
    waiting: int
    next_due: float | None
    in_flight: int
    dead_letters: int

    @property
    def open_for(self) -> float:
        """Seconds since the breaker left closed; 0.0 when it has not."""
        return max(0.0, self.at - self.opened_at) if self.opened_at is not None else 0.0


def standings(engine: Engine, names: Iterable[str] | None = None) -> list[Standing]:
    """How the providers of *names* stand, all known ones when None; one round trip."""
    providers = [
        overridden(registry.provider(name), engine.settings.providers.get(name))
        for name in (registry.names() if names is None else names)
    ]
    with engine.state.pipeline(transaction=False) as ask:
        ask.time()
        for provider in providers:
            _ask(ask, provider.name)
        (seconds, micros), *replies = ask.execute()
    now = seconds * 1000 + micros // 1000
    parts = [replies[start : start + _READS] for start in range(0, len(replies), _READS)]
    return [_standing(provider, part, now) for provider, part in zip(providers, parts, strict=True)]


def provider_states(engine: Engine) -> list[ProviderState]:
    """What the gauges show; one round trip."""
    from worker.metrics.gauges import ProviderState

    return [
        ProviderState(
            provider=each.provider,
            breaker_state=_NUMBERS[each.breaker],
            tokens=each.tokens,
            quota_remaining=each.quota_left,
            parked=each.waiting,
            dlq_depth=each.dead_letters,
        )
        for each in standings(engine)
    ]


def _ask(ask: Any, name: str) -> None:
    at = keys(name)
    ask.hmget(at.breaker, _BREAKER)
    ask.hmget(at.limits, _LIMITS)
    ask.zrange(at.leases, 0, -1, withscores=True)
    ask.zcard(at.queued)
    ask.zrange(at.queued, 0, 0, withscores=True)
    ask.zcard(at.running)
    ask.zcard(at.waiting)
    ask.zrange(at.waiting, 0, 0, withscores=True)
    ask.llen(at.dlq)


def _standing(provider: Provider, reply: list[Any], now: int) -> Standing:
    breaker, limits, leases, queued, oldest, running, waiting, due, letters = reply
    return Standing(
        provider=provider.name,
        at=now / 1000,
        **_breaker(breaker, now),
        **_limits(provider, limits, now),
        queued=queued,
        oldest_queued=_first(oldest),
        running=running,
        waiting=waiting,
        next_due=_first(due),
        in_flight=sum(1 for _, ends in leases if ends > now),
        dead_letters=letters,
    )


def _breaker(fields: list[bytes | None], now: int) -> dict[str, Any]:
    state, open_until, opened_at, failures, window, successes = fields
    ends = float(open_until or 0)
    word = (state or b"closed").decode()
    is_open = word == "open" and ends > now
    return {
        "breaker": "half_open" if word == "open" and not is_open else word,
        "open_until": ends / 1000 if is_open else None,
        "opened_at": float(opened_at) / 1000 if opened_at else None,
        "by_hand": is_open and ends - now > _BY_HAND * 1000,
        "failures": int(failures or 0),
        "window": (window or b"").decode(),
        "successes": int(successes or 0),
    }


def _limits(provider: Provider, fields: list[bytes | None], now: int) -> dict[str, Any]:
    """As ``lua/limits.lua`` reads them."""
    tokens, at, cooldown_until, used, until = (None if field is None else float(field) for field in fields)
    rate, quota = provider.rate, provider.quota
    full = float(rate.burst) if rate else 0.0
    held = full if tokens is None else min(full, tokens + (now - (at or 0)) * _per_ms(provider))
    ends = until or 0.0
    if quota and ends <= now:
        used, ends = 0, min([now + 90_000_000, *(end for end in day_ends(quota.zone) if end > now)])
    return {
        "cooldown_until": cooldown_until / 1000 if cooldown_until and cooldown_until > now else None,
        "tokens": max(0.0, held) if rate else None,
        "burst": rate.burst if rate else None,
        "quota_left": max(0, quota.limit - int(used or 0)) if quota else None,
        "quota_limit": quota.limit if quota else None,
        "quota_until": ends / 1000 if quota else None,
    }


def _per_ms(provider: Provider) -> float:
    return provider.rate.per_second / 1000 if provider.rate else 0.0


def _first(members: list[tuple[bytes, float]]) -> float | None:
    """When the first is due, seconds; None when there is none."""
    return members[0][1] / 1000 if members else None
