"""Credentials on the wire: a provider's ``auth`` and a key become headers or query parameters.

They are added when a request leaves and stand nowhere else: not in a
:class:`worker.request.Request`, its fingerprint, a cache key, a record or a log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.auth.pieces import Auth, Basic, Pair, basic, parts_of
from worker.errors import ConfigurationError
from worker.provider import Provider

__all__ = ["WireAuth", "wire_auth"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireAuth:
    """What a credential adds to a request.

    Attributes:
        missing: The provider needs a credential and none is set; nothing may be sent.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    missing: bool = False


def wire_auth(provider: Provider, credential: str | None) -> WireAuth:
    """What *credential* adds to every request to *provider*; nothing where it only buys a token.

    Raises:
        ConfigurationError: The credential cannot stand where it has to.
    """
    auth = provider.auth
    if auth is None:
        return WireAuth()
    if not credential:
        return WireAuth(missing=auth.required)
    if not (credential.isascii() and credential.isprintable()):
        raise ConfigurationError(f"the credential of {provider.name} holds characters that no header may")
    try:
        return _added(auth, credential)
    except ConfigurationError as wrong:
        raise ConfigurationError(f"{provider.name}: {wrong}") from None


def _added(auth: object, credential: str) -> WireAuth:
    if isinstance(auth, Basic):
        return WireAuth(headers=basic(credential))
    if isinstance(auth, Pair):
        return WireAuth(query=dict(zip(auth.query, parts_of(credential), strict=True)))
    if isinstance(auth, Auth):
        value = f"{auth.scheme} {credential}" if auth.scheme else credential
        return WireAuth(
            headers={auth.header: value} if auth.header else {},
            query={auth.query: value} if auth.query else {},
        )
    parts_of(credential)
    return WireAuth()
