"""Every dependency of this deployment, looked at once: what ``narrows doctor`` shows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from config import urls
from config.celery import BEAT_PREFIX
from worker import pins, registry
from worker.checks import Ailment, Finding, ask_all
from worker.clients import open_clients, trusted
from worker.durability import remembers
from worker.fleet import fleet
from worker.overrides import overridden
from worker.readiness import writable
from worker.redaction import mask_url
from worker.stack.redis_server import RedisServer, examined, ping
from worker.stores import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis

    from config.settings import Settings
    from worker.checks import Question
    from worker.engine import Engine
    from worker.provider import Provider

__all__ = ["examine"]

ROLES = ("state", "broker", "result", "cache")
ROLE_WITHIN = 2.5
WITHIN = 8.0
"""Seconds: for each server, one by one so that none slows another's pings; for all the rest together."""
SLOW = 0.01
"""Seconds of a round trip: each guarded call makes two."""
SKEWED = 1.0
"""Seconds: decisions go by Redis's clock alone, but logs and results by ours."""
FULL = 0.8


def examine(engine: Engine, app: Celery, *, live: bool = False) -> list[Finding]:
    """What was found, failures and warnings among it; takes two seconds or, at worst, eighteen. Never raises.

    Args:
        engine: Whose settings and servers are looked at.
        app: Whose broker, results and workers are.
        live: Ask each provider's address whether it answers at all: one HEAD, past the gate.
    """
    settings = engine.settings
    questions: dict[str, Question] = {"packages": _packages}
    questions |= {
        "workers": partial(_workers, app),
        "results": partial(_results, app),
        "beat": partial(_beat, engine),
    }
    questions |= {f"provider {name}": partial(_provider, settings, name) for name in registry.names()}
    if live:
        questions |= {f"{name} live": partial(_live, settings, name) for name in registry.names()}
    servers = [
        finding
        for role in ROLES
        for finding in ask_all({f"{role} redis": partial(_role, settings, role)}, within=ROLE_WITHIN)
    ]
    running = Finding(name="settings", ok=True, detail=settings.environment)
    return [running, *servers, *ask_all(questions, within=WITHIN)]


def _packages() -> Iterator[Finding]:
    try:
        unlike = pins.unlike()
    except FileNotFoundError:
        yield Finding(name="packages", ok=True, detail="no lock beside the code")
        return
    detail = ", ".join(unlike) or "as locked"
    advice = "make install, or build the image anew" if unlike else ""
    yield Finding(name="packages", ok=True, detail=detail, advice=advice)


def _role(settings: Settings, role: str) -> Iterator[Finding]:
    """The server of one role; one that several share is looked at closely once."""
    name, url = f"{role} redis", _url(settings, role)
    redis = connect(url, settings, timeout=2.0)
    try:
        delay = ping(redis)
        server = examined(redis)
        advice = "put the workers nearer to it" if delay > SLOW else ""
        said = f"{server.product} {server.version} at {mask_url(url)}, {delay * 1000:.1f} ms"
        if server.is_old:
            raise Ailment(said, "use Redis 6.2, Valkey 7.2 or later")
        yield Finding(name=name, ok=True, detail=said, advice=advice)
        shared = [other for other in ROLES[: ROLES.index(role)] if _shares(settings, role, other)]
        if shared:
            yield Finding(name=f"{name}: server", ok=True, detail=f"the same as for {shared[0]}")
        elif role == "cache":
            yield _evicts(name, server)
        else:
            yield from _lasts(name, server, redis, settings)
            if role == "state" and server.appends:
                yield from remembers(name, redis, settings)
    finally:
        redis.close()


def _lasts(name: str, server: RedisServer, redis: Redis, settings: Settings) -> Iterator[Finding]:
    """What a server of messages, records and results must do: keep them."""
    yield _written(name, redis)
    keeps = server.policy == "noeviction"
    cure = "" if keeps else "CONFIG SET maxmemory-policy noeviction: an evicted record is a lost call"
    yield Finding(name=f"{name}: eviction", ok=keeps, detail=server.policy, advice=cure)
    detail = "append-only file on" if server.appends else "append-only file off"
    cure = "" if server.appends else "CONFIG SET appendonly yes: a restart forgets every call"
    safe = server.appends or not settings.in_production
    yield Finding(name=f"{name}: disk", ok=safe, detail=detail, advice=cure)
    if server.limit:
        share = server.used / server.limit
        cure = "give it more memory, or look for what fills it" if share > FULL else ""
        yield Finding(name=f"{name}: memory", ok=True, detail=f"{share:.0%} used", advice=cure)
    cure = "set both clocks by NTP" if abs(server.skew) > SKEWED else ""
    detail = f"{server.skew:+.3f} s from this machine's"
    yield Finding(name=f"{name}: clock", ok=True, detail=detail, advice=cure)


def _written(name: str, redis: Redis) -> Finding:
    label = f"{name}: writes"
    try:
        return writable(label, redis)
    except Ailment as ill:
        return Finding(name=label, ok=False, detail=ill.detail)


def _evicts(name: str, server: RedisServer) -> Finding:
    """A cache of its own should make room by itself."""
    evicts = server.policy != "noeviction"
    cure = (
        ""
        if evicts
        else "CONFIG SET maxmemory-policy allkeys-lru, and a maxmemory: a full cache keeps nothing"
    )
    return Finding(name=f"{name}: eviction", ok=True, detail=server.policy, advice=cure)


def _workers(app: Celery) -> Iterator[Finding]:
    workers = fleet(app).workers
    if not workers:
        raise Ailment("none answers", "start one: narrows up, or celery -A worker worker")
    yield Finding(name="workers", ok=True, detail=f"{len(workers)}: {', '.join(workers)}")


def _results(app: Celery) -> Iterator[Finding]:
    app.backend.client.ping()
    yield Finding(name="results", ok=True, detail="Celery reaches them")


def _beat(engine: Engine) -> Iterator[Finding]:
    runs = bool(engine.state.exists(f"{BEAT_PREFIX}:lock"))
    cure = "" if runs else "start one: celery -A worker beat; nothing is watched or replayed without"
    yield Finding(name="beat", ok=True, detail="runs" if runs else "does not run", advice=cure)


def _provider(settings: Settings, name: str) -> Iterator[Finding]:
    """Its address, and whether it has what it needs to be let in, unless nothing of it is set.

    Raises:
        ConfigurationError: No call could be made so.
    """
    own = settings.providers.get(name)
    provider = overridden(registry.provider(name), own)
    open_clients(provider, own)
    label, at = f"provider {name}", mask_url(provider.base_url)
    keys, cure = len(own.credentials) if own else 0, ""
    if provider.auth is None:
        key = "needs no key"
    elif keys:
        key = "key set" if keys == 1 else f"{keys} keys set"
    elif provider.auth.required:
        key, cure = "no key", f"to use it, set NARROWS_PROVIDERS__{name.upper()}__API_KEY"
        if own is not None:
            raise Ailment(f"{at}, {key}", cure)
    else:
        key = "no key, which is optional"
    cures = [cure, *_unsigned(settings, provider)]
    yield Finding(name=label, ok=True, detail=f"{at}, {key}", advice="; ".join(filter(None, cures)))


def _unsigned(settings: Settings, provider: Provider) -> Iterator[str]:
    """What to do where a provider wants to know whom to write to, and nobody says."""
    if provider.identifies and not settings.contact:
        yield "set NARROWS_CONTACT to your address: it slows down callers that it cannot write to"


def _live(settings: Settings, name: str) -> Iterator[Finding]:
    import requests

    own = settings.providers.get(name)
    url = overridden(registry.provider(name), own).base_url
    try:
        answer = requests.head(url, timeout=(3.05, 4.0), allow_redirects=False, verify=trusted(name, own))
    except requests.RequestException as why:
        raise Ailment(f"does not answer: {type(why).__name__}", f"is {mask_url(url)} right?") from None
    took = answer.elapsed.total_seconds() * 1000
    yield Finding(name=f"{name} live", ok=True, detail=f"answered {answer.status_code} in {took:.0f} ms")


def _url(settings: Settings, role: str) -> str:
    url: str = getattr(settings, f"{role}_url").get_secret_value()
    return url


def _shares(settings: Settings, role: str, other: str) -> bool:
    return urls.server(_url(settings, role)) == urls.server(_url(settings, other))
