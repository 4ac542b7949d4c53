"""One provider's lane in this process: its gate, its HTTP client, its cache and its policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from worker.breaker import FleetBreaker
from worker.gate import Gate
from worker.http import HttpClient
from worker.keys import keys
from worker.provider import Quota, Rate
from worker.request import Answer
from worker.retry import RetryPolicy

if TYPE_CHECKING:
    import pybreaker
    from redis import Redis

    from config.settings import ProviderSettings
    from worker.cache import Cache, Entry
    from worker.provider import Provider
    from worker.request import Request
    from worker.stores import Commands

__all__ = ["Lane", "configured", "open_lane"]


@dataclass(frozen=True, kw_only=True)
class Lane:
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


def configured(provider: Provider, settings: ProviderSettings | None) -> Provider:
    """*provider* with what the deployment overrides."""
    if settings is None:
        return provider
    changes: dict[str, object] = {}
    if settings.base_url is not None:
        changes["base_url"] = str(settings.base_url)
    if settings.rate is not None or settings.burst is not None:
        declared = provider.rate or Rate(calls=settings.rate or 1.0)
        per_second = settings.rate if settings.rate is not None else declared.per_second
        burst = settings.burst if settings.burst is not None else declared.burst
        changes["rate"] = Rate(calls=per_second, burst=burst)
    if settings.daily_quota is not None:
        zone = provider.quota.zone if provider.quota else Quota(limit=0).zone
        changes["quota"] = Quota(limit=settings.daily_quota, zone=zone)
    if settings.max_concurrency is not None:
        changes["max_concurrency"] = settings.max_concurrency
    timeouts = {
        name: value
        for name in ("connect", "read", "total")
        if (value := getattr(settings, f"{name}_timeout")) is not None
    }
    if timeouts:
        changes["timeouts"] = replace(provider.timeouts, **timeouts)
    if provider.caching is not None:
        caching = provider.caching
        if settings.cache_seconds is not None:
            caching = replace(
                caching, redis=settings.cache_seconds, memory=min(caching.memory, settings.cache_seconds)
            )
        if settings.stale_if_error is not None:
            caching = replace(caching, stale_if_error=settings.stale_if_error)
        changes["caching"] = caching
    return replace(provider, **changes)  # type: ignore[arg-type]


def open_lane(
    provider: Provider,
    settings: ProviderSettings | None,
    redis: Redis,
    line: Commands,
    cache: Cache,
    listeners: tuple[pybreaker.CircuitBreakerListener, ...] = (),
) -> Lane:
    """The lane of *provider* as the deployment configures it."""
    provider = configured(provider, settings)
    gate = Gate(line, provider)
    credential = settings.api_key.get_secret_value() if settings and settings.api_key else None
    verify = True if settings is None or settings.verify_tls is None else settings.verify_tls
    return Lane(
        provider=provider,
        gate=gate,
        http=HttpClient(
            provider,
            base_url=provider.base_url,
            credential=credential,
            timeouts=provider.timeouts,
            verify=verify,
        ),
        cache=cache,
        breaker=FleetBreaker(gate, redis, listeners),
        retry=RetryPolicy(provider.retry),
    )
