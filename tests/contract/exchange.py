"""Our requests and the sandbox's answers, in the shape in which openapi-core looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from openapi_core.datatypes import RequestParameters
from werkzeug.datastructures import Headers, ImmutableMultiDict

from tests.sandbox import TOKEN
from worker.auth.pieces import Auth, Basic, Pair
from worker.http.auth import WireAuth, wire_auth
from worker.http.wire import USER_AGENT, Wire
from worker.provider import Provider
from worker.request import Request

__all__ = ["FORM", "JSON", "Reply", "Sent", "sent"]

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@dataclass(kw_only=True)
class Sent:
    """A request as it leaves. openapi-core writes the path's own parameters into it."""

    host_url: str
    path: str
    method: str
    parameters: RequestParameters
    content_type: str
    body: bytes | None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """An answer as it arrives."""

    status_code: int
    content_type: str
    headers: Headers
    data: bytes

    @classmethod
    def of(cls, status: int, body: bytes, headers: Mapping[str, str]) -> Reply:
        """One of these."""
        named = Headers(dict(headers))
        return cls(status_code=status, content_type=named.get("Content-Type", ""), headers=named, data=body)


def sent(request: Request, *, base: str, provider: Provider | None = None, signed: bool = True) -> Sent:
    """*request* as our own wire makes it, with what *provider* adds.

    Its path stands below the provider's base address, which the owner may publish under another scheme; below
    *base* where there is no provider.
    """
    place = provider or Provider(name="nobody", base_url=base)
    auth = _auth(place) if signed else WireAuth()
    home = urlsplit(place.base_url)
    ready = Wire(place, auth, user_agent=USER_AGENT, prefix=home.path.rstrip("/")).ready(request)
    target, headers = urlsplit(ready.target), Headers(dict(ready.headers))
    return Sent(
        host_url=f"{urlsplit(base).scheme}://{home.netloc}",
        path=unquote(target.path),
        method=ready.method.lower(),
        parameters=RequestParameters(
            query=ImmutableMultiDict(parse_qsl(target.query, keep_blank_values=True)), header=headers
        ),
        content_type=headers.get("Content-Type", "").lower(),
        body=ready.body,
    )


def _auth(provider: Provider) -> WireAuth:
    """What a credential adds, or the token that it has bought."""
    auth = provider.auth
    if auth is None or isinstance(auth, Auth | Basic | Pair):
        parts = isinstance(auth, Basic | Pair)
        return wire_auth(provider, f"sandbox:{TOKEN}" if parts else TOKEN)
    return WireAuth(headers=auth.headers(TOKEN))
