"""How every provider stands at one moment: its limits, its breaker and its calls, as Redis knows them.

Read in one round trip, whatever the number of providers. What the scripts work out when they are asked
(an open breaker whose time is up, a bucket that refills) is worked out here in the same way, on Redis's
own clock; nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from config.celery import BEAT_LOCK
from worker import budget, limits, registry
from worker.breaker import FOREVER
from worker.keys import Keys, keys
from worker.lane import LANES
from worker.letters.letter import UNROUTABLE
from worker.overrides import overridden
from worker.scripts import script
from worker.standing import BreakerWord, Standing
from worker.submissions import submitted
from worker.submissions.finding import submitters
from worker.submissions.submission import STATES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.engine import Engine
    from worker.metrics.gauges import ProviderState
    from worker.provider import Provider

__all__ = ["Look", "Memory", "Standing", "View", "look", "provider_states", "standings", "view"]

_NUMBERS: dict[BreakerWord, int] = {"closed": 0, "open": 1, "half_open": 2}
_BREAKER = ("state", "open_until", "opened_at", "failures", "window", "successes")
_BY_HAND = FOREVER / 2
"""No provider's own rule keeps a breaker open for fifty years."""

_FRONT = 32
"""The first in line among whom the one that waits longest is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A provider as a deployment has it, and where its limits lie."""

    provider: Provider
    digests: tuple[str, ...]
    at: Keys
    limits: tuple[str, ...]
    submits: bool = False

    def ask(self, ask: Any) -> None:
        """Put the questions about it into a pipeline: as many as :meth:`standing` takes answers."""
        at = self.at
        ask.hmget(at.breaker, _BREAKER)
        ask.zrange(at.probes, 0, -1, withscores=True)
        for key in self.limits:
            ask.hmget(key, limits.FIELDS)
        ask.hgetall(at.budget)
        ask.zrange(at.leases, 0, -1, withscores=True)
        ask.zrange(at.workers, 0, -1, withscores=True)
        for index in (at.queued, at.running, at.waiting, at.parked, at.slow, at.released):
            ask.zcard(index)
        ask.zrange(at.queued, 0, 0, withscores=True)
        ask.zrange(at.waiting, 0, 0, withscores=True)
        ask.hmget(at.lot, [f"in_{lane}" for lane in LANES])
        ask.execute_command("EVAL", script("waited").text, 1, at.parked, at.call(""), _FRONT)
        ask.llen(at.dlq)
        if self.submits:
            submitted.ask(ask, at)

    def standing(self, replies: list[Any], now: int) -> Standing:
        """How it stands, from the answers, at *now* in ms since the epoch."""
        breaker, probes, *rest = replies
        many = len(self.limits)
        spent, leases, workers, *counts = rest[many:]
        queued, running, waiting, parked, slow, released, oldest, due, lanes, waited, letters, *ledger = (
            counts
        )
        return Standing(
            declared=self.provider,
            at=now / 1000,
            **_breaker(breaker, now),
            probes=_alive(probes, now),
            credentials=tuple(
                limits.read(self.provider, digest, fields, now)
                for digest, fields in zip(self.digests, rest[:many], strict=True)
            ),
            budget=budget.read(self.provider.retry, spent, now),
            queued=queued,
            oldest_queued=_first(oldest),
            running=running,
            waiting=waiting,
            next_due=_first(due),
            in_line=parked,
            lanes={lane: int(count or 0) for lane, count in zip(LANES, lanes, strict=True)},
            oldest_parked=waited / 1000 if waited else None,
            slow=slow,
            under_way=released,
            in_flight=_alive(leases, now),
            slots=sum(int(name.rpartition(b"/")[2]) for name, until in workers if until > now),
            dead_letters=letters,
            submitted=submitted.read(ledger, now / 1000),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the providers stand, and what belongs to none of them.

    Attributes:
        unroutable: Messages that no worker could take.
        beats: Somebody holds beat's lock.
        memory: What the state Redis says of its memory; None where it may not be asked.
    """

    standings: list[Standing]
    unroutable: int
    beats: bool
    memory: Memory | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes that a Redis uses, and may use; the limit is None where there is none."""

    used: int
    limit: int | None


def view(engine: Engine, name: str) -> View:
    """The provider of that name as *engine*'s settings have it."""
    chosen = engine.settings.providers.get(name)
    credentials, at = chosen.credentials if chosen else (), keys(name)
    return View(
        provider=overridden(registry.provider(name), chosen),
        digests=limits.digests(credentials),
        at=at,
        limits=at.limits_of(credentials),
        submits=name in submitters(),
    )


def standings(engine: Engine, names: Iterable[str] | None = None) -> list[Standing]:
    """How the providers of *names* stand, all known ones when None; one round trip."""
    return look(engine, names).standings


def look(engine: Engine, names: Iterable[str] | None = None) -> Look:
    """The same, and what belongs to no provider; one round trip."""
    views = [view(engine, name) for name in (registry.names() if names is None else names)]
    with engine.state.pipeline(transaction=False) as ask:
        ask.time()
        ask.llen(keys(UNROUTABLE).dlq)
        ask.exists(BEAT_LOCK)
        ask.info("memory")
        asked = [0]
        for each in views:
            each.ask(ask)
            asked.append(len(ask) - 4)
        time, unroutable, beats, memory, *replies = ask.execute(raise_on_error=False)
    _refused([time, unroutable, beats, *replies])
    seconds, micros = time
    now = seconds * 1000 + micros // 1000
    spans = zip(views, asked, asked[1:], strict=False)
    found = [each.standing(replies[start:end], now) for each, start, end in spans]
    return Look(standings=found, unroutable=unroutable, beats=bool(beats), memory=_memory(memory))


def provider_states(found: Look) -> list[ProviderState]:
    """What the gauges show of it."""
    from worker.metrics.gauges import ProviderState

    states = [
        ProviderState(
            provider=each.provider,
            breaker_state=_NUMBERS[each.breaker],
            tokens=each.tokens,
            rate_factor=each.factor,
            credentials_set_aside=each.set_aside,
            retry_budget_left=each.budget.left,
            quota_remaining=each.quota_left,
            quota_limit=each.quota_limit,
            quota_exhaustion=None if each.quota_spent_at is None else each.quota_spent_at - each.at,
            parked=each.parked,
            waiting=each.waiting,
            queued=each.queued,
            running=each.running,
            oldest_queued=each.queued_for,
            slots=each.slots or None,
            oldest_parked=each.parked_for,
            dlq_depth=each.dead_letters,
            **_submissions(each.submitted),
        )
        for each in found.standings
    ]
    return [*states, ProviderState.of_letters(UNROUTABLE, found.unroutable)]


def _submissions(each: submitted.Submitted | None) -> dict[str, Any]:
    if each is None:
        return {}
    counts = {state: each.counts[state] for state in STATES}
    return {
        "submissions": counts,
        "in_doubt": each.in_doubt_for,
        "poller_lag": each.lag,
        "suppressed": each.suppressed,
    }


def _refused(replies: list[Any]) -> None:
    """Raise what one of the questions was answered with, if it was an error."""
    for reply in replies:
        if isinstance(reply, Exception):
            raise reply


def _memory(info: Any) -> Memory | None:
    """What a server says, unless it is that we may not ask."""
    if not isinstance(info, dict) or "used_memory" not in info:
        return None
    return Memory(used=int(info["used_memory"]), limit=int(info.get("maxmemory", 0)) or None)


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


def _alive(leases: list[tuple[bytes, float]], now: int) -> int:
    """Leases that have not run out."""
    return sum(ends > now for _, ends in leases)


def _first(members: list[tuple[bytes, float]]) -> float | None:
    """When the first is due, seconds; None when there is none."""
    return members[0][1] / 1000 if members else None
