"""What ``narrows doctor`` finds of the servers behind queue, state, results and answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from config import urls
from worker.doctor.checks import Ailment, Finding
from worker.doctor.durability import remembers
from worker.doctor.readiness import writable
from worker.fleet import reached
from worker.redaction import mask_url
from worker.stack.redis_server import RedisServer, examined, ping
from worker.stores import connect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis

    from config.settings import Settings

__all__ = ["ROLES", "disk", "server_findings"]

ROLES = ("state", "broker", "result", "cache")
WITHIN = 2.0
SLOW = 0.01
"""Seconds of a round trip: each guarded call makes two."""
SKEWED = 1.0
"""Seconds: decisions go by Redis's clock alone, but logs and results by ours."""
FULL = 0.8


def server_findings(settings: Settings, app: Celery, role: str) -> Iterator[Finding]:
    """What was found of the server of one role; one that several share is looked at closely once."""
    name, url = f"{role} redis", _url(settings, role)
    if urls.is_rabbit(url):
        yield from _rabbit(app, url)
        return
    redis = connect(url, settings, timeout=WITHIN)
    try:
        server, delay = examined(redis), ping(redis)
        advice = "put the workers nearer to it" if delay > SLOW else ""
        said = f"{server.product} {server.version} at {mask_url(url)}, {delay * 1000:.1f} ms"
        if server.is_old:
            raise Ailment(said, "use Redis 6.2, Valkey 7.2 or later")
        yield Finding(name=name, ok=True, detail=said, advice=advice)
        shared = [other for other in ROLES[: ROLES.index(role)] if _shares(settings, role, other)]
        if shared:
            yield Finding(name=f"{name}: server", ok=True, detail=f"the same as for {shared[0]}")
            return
        yield _access(name, url)
        if urls.sentinels(url):
            yield _sentinels(name, redis, settings)
        if role == "cache":
            yield _evicts(name, server)
        else:
            yield from _lasts(name, server, redis, settings)
            if role == "state" and server.appends:
                yield from remembers(name, redis, settings)
    finally:
        redis.close()


def _rabbit(app: Celery, url: str) -> Iterator[Finding]:
    """A broker that is no Redis: that it lets us in, and which version it is."""
    began = time.perf_counter()
    with reached(app, within=WITHIN) as connection:
        about = getattr(connection.connection, "server_properties", {})
        took = (time.perf_counter() - began) * 1000
    product, version = about.get("product", "AMQP broker"), about.get("version", "of unknown version")
    said = f"{product} {version} at {mask_url(url)}, {took:.0f} ms to connect"
    yield Finding(name="broker", ok=True, detail=said)
    yield _access("broker", url)


def _access(name: str, url: str) -> Finding:
    """How we are let in, by our own settings."""
    node = urls.nodes(url)[0]
    way = "a socket file" if node.scheme == "unix" else "TLS" if urls.is_tls(url) else "no TLS"
    user = f"user {node.username}" if node.username else "the default user"
    known = urls.has_password(url)
    cure = "" if known or node.scheme == "unix" else "give it a password: whoever reaches it can run tasks"
    with_what = f"{user}" if node.password else f"{user} without a password"
    return Finding(name=f"{name}: access", ok=True, detail=f"{way}, {with_what}", advice=cure)


def _sentinels(name: str, redis: Redis, settings: Settings) -> Finding:
    """How many of the Sentinels that we name answer and know the primary."""
    pool: Any = redis.connection_pool
    named, primary = pool.sentinel_manager.sentinels, settings.sentinel.primary
    seen = [each for each in named if _knows(each, primary)]
    detail = f"{len(seen)} of {len(named)} know {primary}"
    cure = "" if len(seen) == len(named) else "start the others: a majority of them decides a failover"
    return Finding(name=f"{name}: sentinels", ok=True, detail=detail, advice=cure)


def _knows(sentinel: Redis, primary: str) -> bool:
    from redis.exceptions import RedisError

    try:
        return bool(sentinel.sentinel_get_master_addr_by_name(primary))
    except RedisError:
        return False


def _lasts(name: str, server: RedisServer, redis: Redis, settings: Settings) -> Iterator[Finding]:
    """What a server of messages, records and results must do: keep them."""
    yield _written(name, redis)
    keeps = server.policy == "noeviction"
    cure = "" if keeps else "CONFIG SET maxmemory-policy noeviction: an evicted record is a lost call"
    yield Finding(name=f"{name}: eviction", ok=keeps, detail=server.policy, advice=cure)
    yield disk(name, server, settings)
    yield _memory(name, server, settings)
    yield _replicas(name, server)
    cure = "set both clocks by NTP" if abs(server.skew) > SKEWED else ""
    detail = f"{server.skew:+.3f} s from this machine's"
    yield Finding(name=f"{name}: clock", ok=True, detail=detail, advice=cure)


def disk(name: str, server: RedisServer, settings: Settings) -> Finding:
    """Whether what it acknowledged survives it."""
    label = f"{name}: disk"
    if server.appends and not server.appended:
        return Finding(
            name=label, ok=False, detail="the last write failed", advice="is its disk full? see its log"
        )
    detail = "append-only file on" if server.appends else "append-only file off"
    cure = "" if server.appends else "CONFIG SET appendonly yes: a restart forgets every call"
    return Finding(name=label, ok=server.appends or not settings.in_production, detail=detail, advice=cure)


def _memory(name: str, server: RedisServer, settings: Settings) -> Finding:
    label = f"{name}: memory"
    if not server.limit:
        wanted = "CONFIG SET maxmemory: without one its machine runs out first, and the kernel ends it"
        cure = wanted if settings.in_production else ""
        return Finding(name=label, ok=True, detail=f"{server.used / 2**20:.0f} MB, no limit", advice=cure)
    share = server.used / server.limit
    cure = "give it more memory, or look for what fills it" if share > FULL else ""
    return Finding(name=label, ok=True, detail=f"{share:.0%} used", advice=cure)


def _replicas(name: str, server: RedisServer) -> Finding:
    """Who would take over, and whether a write waits for them."""
    if not server.replicas:
        return Finding(name=f"{name}: replicas", ok=True, detail="none")
    guard = "writes need one" if server.needs_replica else "writes need none"
    risk = (
        "CONFIG SET min-replicas-to-write 1: a primary that is cut off takes writes that a failover forgets"
    )
    cure = "" if server.needs_replica else risk
    return Finding(name=f"{name}: replicas", ok=True, detail=f"{server.replicas}, {guard}", advice=cure)


def _written(name: str, redis: Redis) -> Finding:
    label = f"{name}: writes"
    try:
        return writable(label, redis)
    except Ailment as ill:
        return Finding(name=label, ok=False, detail=ill.detail)


def _evicts(name: str, server: RedisServer) -> Finding:
    """A cache of its own should make room by itself."""
    evicts = server.policy != "noeviction"
    wanted = "CONFIG SET maxmemory-policy allkeys-lru, and a maxmemory: a full cache keeps nothing"
    return Finding(name=f"{name}: eviction", ok=True, detail=server.policy, advice="" if evicts else wanted)


def _url(settings: Settings, role: str) -> str:
    url: str = getattr(settings, f"{role}_url").get_secret_value()
    return url


def _shares(settings: Settings, role: str, other: str) -> bool:
    return urls.server(_url(settings, role)) == urls.server(_url(settings, other))
