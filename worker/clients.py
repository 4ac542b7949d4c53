"""A provider's HTTP clients as the deployment has them: its own, and the one of its token host."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.auth.pieces import Auth, Basic, Pair
from worker.errors import ConfigurationError
from worker.http.client import HttpClient
from worker.http.origin import environment_proxy, tls
from worker.http.wire import USER_AGENT
from worker.provider import Provider, Signs

if TYPE_CHECKING:
    from collections.abc import Callable

    from config.settings import ProviderSettings
    from worker.auth.pieces import TokenAuth

__all__ = ["TOKEN_SIGNS", "Clients", "TokenHost", "open_clients", "trusted"]

KEYS = (Auth, Basic, Pair)
"""Credentials that go with each request themselves."""

TOKEN_SIGNS = Signs(statuses={400: "credentials", 401: "credentials", 403: "credentials"})
"""Who sells no token refuses the credential: what was asked is always the same (RFC 6749, 5.2)."""

TOKEN_BODY = 64 * 1024
TOKEN_WITHIN = 10.0
"""Bytes and seconds of an exchange with a token host; calls wait for it in their slots."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenHost:
    """Where a credential buys a token: *path* below the client's address, in *within* seconds."""

    auth: TokenAuth
    http: HttpClient
    path: str
    within: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """What a provider's calls go out by; *token_host* is None where no token is bought."""

    http: HttpClient
    token_host: TokenHost | None = None


def open_clients(provider: Provider, settings: ProviderSettings | None, *, contact: str = "") -> Clients:
    """The clients of *provider*, which is as the deployment overrides it. No connection is opened yet.

    Raises:
        ConfigurationError: An address, a credential or a file of authorities is not what it has to be.
    """
    credentials = settings.credentials if settings else ()
    client = partial(
        HttpClient,
        timeouts=provider.timeouts,
        verify=trusted(provider.name, settings),
        user_agent=f"{USER_AGENT} ({contact})" if contact else USER_AGENT,
    )
    http = client(
        provider,
        base_url=provider.base_url,
        credential=credentials[0] if credentials else None,
        others=credentials[1:],
        proxy=environment_proxy(provider.base_url),
    )
    if not credentials or provider.auth is None or isinstance(provider.auth, KEYS):
        return Clients(http=http)
    return Clients(http=http, token_host=_token_host(provider, provider.auth, credentials, client))


def trusted(provider: str, settings: ProviderSettings | None) -> bool | str:
    """Whether certificates are checked, or the file of authorities that they are checked against.

    Raises:
        ConfigurationError: That file holds none.
    """
    if settings is None or settings.verify_tls is False:
        return settings is None
    if settings.ca_file is None:
        return True
    try:
        tls(str(settings.ca_file))
    except OSError:  # ssl's own errors are such, too
        variable = f"NARROWS_PROVIDERS__{provider.upper()}__CA_FILE"
        raise ConfigurationError(f"{variable}: holds no certificate that can be read") from None
    return str(settings.ca_file)


def _token_host(
    provider: Provider, auth: TokenAuth, credentials: tuple[str, ...], client: Callable[..., HttpClient]
) -> TokenHost:
    """The provider's own host or another."""
    parts = urlsplit(auth.url)
    host = f"{parts.scheme}://{parts.netloc}" if parts.netloc else provider.base_url
    limits = replace(provider.timeouts, total=min(provider.timeouts.total, TOKEN_WITHIN))
    shop = Provider(name=provider.name, base_url=host, judge=TOKEN_SIGNS, max_body=TOKEN_BODY)
    known = ":".join(credentials)  # goes with no question by itself; no error repeats a part of it
    http = client(shop, base_url=host, credential=known, proxy=environment_proxy(host), timeouts=limits)
    return TokenHost(auth=auth, http=http, path=parts.path, within=limits.total)
