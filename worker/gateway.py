"""One provider's gateway in this process: its gate, its HTTP client, its cache and its policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.breaker import FleetBreaker
from worker.gate import Gate
from worker.http.client import HttpClient
from worker.http.origin import environment_proxy
from worker.http.wire import USER_AGENT
from worker.keys import keys
from worker.overrides import overridden
from worker.request import Answer
from worker.retry import RetryPolicy

if TYPE_CHECKING:
    import pybreaker
    from redis import Redis

    from config.settings import ProviderSettings
    from worker.cache.cache import Cache, Entry
    from worker.outbox import Outbox
    from worker.provider import Provider
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

    def shares(self, request: Request) -> bool:
        """Whether answers to *request* are kept, and so asked for once at a time."""
        return self.provider.caching is not None and request.method == "GET"

    def recall(self, request: Request) -> Entry | None:
        """What is kept for *request*, fresh or stale."""
        return self.cache.get(self._key(request)) if self.shares(request) else None

    def remember(self, request: Request, answer: Answer) -> None:
        """Keep *answer* as long as the provider declares."""
        caching = self.provider.caching
        if caching is None or not self.shares(request):
            return
        value = {"status": answer.status, "data": answer.data, "headers": dict(answer.headers)}
        self.cache.put(
            self._key(request),
            value,
            fresh=caching.redis,
            memory=caching.memory,
            stale=caching.stale_if_error,
            etag=answer.headers.get("etag"),
        )

    def _key(self, request: Request) -> str:
        return keys(self.provider.name).cached(request.fingerprint)


def replayed(entry: Entry, source: str) -> Answer:
    """A kept answer, as it was given *entry.age* seconds ago."""
    kept = entry.value
    return Answer(
        status=kept["status"], data=kept["data"], headers=kept["headers"], source=source, age=entry.age
    )


def open_gateway(
    provider: Provider,
    settings: ProviderSettings | None,
    redis: Redis,
    line: Commands,
    outbox: Outbox | None,
    cache: Cache,
    listeners: tuple[pybreaker.CircuitBreakerListener, ...] = (),
    contact: str = "",
) -> Gateway:
    """The gateway of *provider* as the deployment configures it."""
    provider = overridden(provider, settings)
    credentials = settings.credentials if settings else ()
    gate = Gate(line, provider, credentials=credentials, outbox=outbox)
    verify = True if settings is None or settings.verify_tls is None else settings.verify_tls
    return Gateway(
        provider=provider,
        gate=gate,
        http=HttpClient(
            provider,
            base_url=provider.base_url,
            credential=credentials[0] if credentials else None,
            others=credentials[1:],
            timeouts=provider.timeouts,
            verify=verify,
            proxy=environment_proxy(provider.base_url),
            user_agent=f"{USER_AGENT} ({contact})" if contact else USER_AGENT,
        ),
        cache=cache,
        breaker=FleetBreaker(gate, redis, listeners),
        retry=RetryPolicy(provider.retry),
    )
