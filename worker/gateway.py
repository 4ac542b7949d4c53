"""One provider's gateway in this process: its gate, its HTTP client, its cache and its policies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.auth import Auth, Basic, Pair
from worker.breaker import FleetBreaker
from worker.gate import Gate
from worker.http.client import HttpClient
from worker.http.origin import environment_proxy
from worker.http.wire import USER_AGENT
from worker.keys import keys
from worker.overrides import kept_for, overridden
from worker.provider import Provider, Signs
from worker.request import Answer
from worker.retry import RetryPolicy
from worker.spare import Spare
from worker.suppressed import Suppressed
from worker.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    import pybreaker
    from redis import Redis

    from config.settings import ProviderSettings
    from worker.auth import TokenAuth
    from worker.cache.cache import Cache, Entry
    from worker.outbox import Outbox
    from worker.provider import Caching
    from worker.request import Request
    from worker.stores import Commands

__all__ = ["Gateway", "open_gateway", "replayed"]

KEYS = (Auth, Basic, Pair)
"""Credentials that go with each request themselves."""

TOKEN_SIGNS = Signs(statuses={400: "credentials", 401: "credentials", 403: "credentials"})
"""Who sells no token refuses the credential: what was asked is always the same (RFC 6749, 5.2)."""

TOKEN_BODY = 64 * 1024
TOKEN_WITHIN = 10.0
"""Bytes and seconds of an exchange with a token host; calls wait for it in their slots."""


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
        return self.cache.get(self._key(request)) if self.shares(request) else None

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
    client = partial(
        HttpClient,
        timeouts=provider.timeouts,
        verify=_verified(settings),
        user_agent=f"{USER_AGENT} ({contact})" if contact else USER_AGENT,
    )
    tokens = None
    if credentials and provider.auth is not None and not isinstance(provider.auth, KEYS):
        tokens = _tokens(provider, provider.auth, credentials, client, line, bought)
    return Gateway(
        provider=provider,
        gate=gate,
        http=client(
            provider,
            base_url=provider.base_url,
            credential=credentials[0] if credentials else None,
            others=credentials[1:],
            proxy=environment_proxy(provider.base_url),
        ),
        cache=cache,
        breaker=FleetBreaker(gate, redis, listeners),
        retry=RetryPolicy(provider.retry),
        settings=settings,
        tokens=tokens,
        suppressed=Suppressed(line, gate.keys),
        spare=Spare(provider.rate, fleet) if provider.fails_open else None,
    )


def _verified(settings: ProviderSettings | None) -> bool | str:
    """Whether certificates are checked, or the file of authorities that they are checked against."""
    if settings is None or settings.verify_tls is False:
        return settings is None
    return str(settings.ca_file) if settings.ca_file else True


def _tokens(
    provider: Provider,
    auth: TokenAuth,
    credentials: tuple[str, ...],
    client: Callable[..., HttpClient],
    line: Commands,
    bought: Callable[[str], None],
) -> Tokens:
    """What buys access tokens with the provider's credentials, at its own host or another."""
    parts = urlsplit(auth.url)
    host = f"{parts.scheme}://{parts.netloc}" if parts.netloc else provider.base_url
    limits = replace(provider.timeouts, total=min(provider.timeouts.total, TOKEN_WITHIN))
    shop = Provider(name=provider.name, base_url=host, judge=TOKEN_SIGNS, max_body=TOKEN_BODY)
    known = ":".join(credentials)  # goes with no question by itself; no error repeats a part of it
    http = client(shop, base_url=host, credential=known, proxy=environment_proxy(host), timeouts=limits)
    return Tokens(
        provider.name,
        auth,
        parts.path,
        http.send,
        credentials,
        line,
        keys(provider.name),
        within=limits.total,
        bought=bought,
    )
