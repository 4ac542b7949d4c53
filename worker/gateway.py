"""One provider's gateway in this process: its gate, its HTTP client, its cache and its policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.auth.tokens import Tokens
from worker.breaker import FleetBreaker
from worker.clients import open_clients
from worker.gate import Gate
from worker.keys import keys
from worker.overrides import kept_for, overridden
from worker.request import Answer
from worker.retry import RetryPolicy
from worker.spare import Spare
from worker.submissions.suppressed import Suppressed

if TYPE_CHECKING:
    from collections.abc import Callable

    import pybreaker
    from redis import Redis

    from config.settings import ProviderSettings
    from worker.cache.cache import Cache, Entry
    from worker.http.client import HttpClient
    from worker.outbox import Outbox
    from worker.provider import Caching, Provider
    from worker.request import Request
    from worker.stores import Commands

__all__ = ["Gateway", "open_gateway", "replayed"]


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """Everything a guarded call of one provider needs, built once."""

    provider: Provider
    gate: Gate
    http: HttpClient
    cache: Cache
    breaker: FleetBreaker
    retry: RetryPolicy
    settings: ProviderSettings | None = None
    tokens: Tokens | None = None
    suppressed: Suppressed | None = None
    spare: Spare | None = None

    def caching(self, request: Request) -> Caching | None:
        """How long answers to *request* are kept; None is not at all."""
        if request.method != "GET" or not request.kept:
            return None
        if request.caching is None:
            return self.provider.caching
        return kept_for(request.caching, self.settings)

    def shares(self, request: Request) -> bool:
        """Whether answers to *request* are kept, and so asked for once at a time."""
        return self.caching(request) is not None

    def recall(self, request: Request) -> Entry | None:
        """What is kept for *request*, fresh or stale."""
        found = self.cache.get(self._key(request)) if self.shares(request) else None
        return found if found is not None and _is_answer(found.value) else None

    def remember(self, request: Request, answer: Answer) -> None:
        """Keep *answer* as long as the provider declares."""
        caching = self.caching(request)
        if caching is None:
            return
        value = {"status": answer.status, "data": answer.data, "headers": dict(answer.headers)}
        if answer.empty:
            value["empty"] = True
        fresh = min(caching.redis, caching.empty) if answer.empty else caching.redis
        self.cache.put(
            self._key(request),
            value,
            fresh=fresh,
            memory=min(caching.memory, fresh),
            stale=0.0 if answer.empty else caching.stale_if_error,  # by then there may be something
            etag=answer.headers.get("etag"),
        )

    def _key(self, request: Request) -> str:
        return keys(self.provider.name).cached(request.fingerprint)


def _is_answer(kept: Any) -> bool:
    """Whether *kept* is what :meth:`Gateway.remember` keeps; anybody may have written it."""
    return (
        isinstance(kept, dict)
        and isinstance(kept.get("status"), int)
        and isinstance(kept.get("headers"), dict)
        and "data" in kept
    )


def replayed(entry: Entry, source: str) -> Answer:
    """A kept answer, as it was given *entry.age* seconds ago."""
    kept = entry.value
    return Answer(
        status=kept["status"],
        data=kept["data"],
        headers=kept["headers"],
        source=source,
        age=entry.age,
        empty=kept.get("empty", False),
    )


def open_gateway(  # noqa: PLR0913 - the composition of one provider
    provider: Provider,
    settings: ProviderSettings | None,
    redis: Redis,
    line: Commands,
    outbox: Outbox | None,
    cache: Cache,
    listeners: tuple[pybreaker.CircuitBreakerListener, ...] = (),
    *,
    contact: str = "",
    fleet: int = 1,
    bought: Callable[[str], None] = lambda _: None,
) -> Gateway:
    """The gateway of *provider* as the deployment configures it."""
    provider = overridden(provider, settings)
    credentials = settings.credentials if settings else ()
    gate = Gate(line, provider, credentials=credentials, outbox=outbox)
    clients = open_clients(provider, settings, contact=contact)
    tokens = None
    if host := clients.token_host:
        tokens = Tokens(
            provider.name,
            host.auth,
            host.path,
            host.http.send,
            credentials,
            line,
            keys(provider.name),
            within=host.within,
            bought=bought,
        )
    return Gateway(
        provider=provider,
        gate=gate,
        http=clients.http,
        cache=cache,
        breaker=FleetBreaker(gate, redis, listeners),
        retry=RetryPolicy(provider.retry),
        settings=settings,
        tokens=tokens,
        suppressed=Suppressed(line, gate.keys),
        spare=Spare(provider.rate, fleet) if provider.fails_open else None,
    )
