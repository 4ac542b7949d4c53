"""How a provider wants to know who asks: small pieces, each plain data.

A credential is one text in the settings: a key, or two parts with a colon between them
(``client id:client secret``, ``user:password``, ``account:token``).

    Auth                a key in a header or in a query parameter; with ``scheme="Bearer"`` a bearer key
    Basic               both parts, as RFC 7617 has it
    Pair                both parts, each in a query parameter
    ClientCredentials   both parts buy an access token (RFC 6749, 4.4), which stands in its header
    Login               the same by a JSON form of the provider's own

Tokens are kept by :mod:`worker.auth.tokens`; nothing here sends or remembers anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from worker.errors import ConfigurationError, ResponseUnreadable
from worker.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "Auth",
    "Basic",
    "ClientCredentials",
    "Login",
    "Pair",
    "TokenAuth",
    "TokenGrant",
    "basic",
    "parts_of",
]

LONGEST = 8192
"""Characters of an access token; what is longer fits into no header that servers take."""

LONGEST_LIFE = 30 * 86_400.0
"""Seconds for which a token is kept at most, whatever its seller says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auth:
    """Where the API key goes: a header or a query parameter; *scheme* stands before it."""

    header: str | None = None
    query: str | None = None
    scheme: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Basic:
    """``Authorization: Basic``, of ``user:password``.

    Attributes:
        account: The option for the account that paths name. While it is not set they name the credential's
            user, so that all credentials have to be of one.
    """

    account: str = ""
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both parts of ``id:key``, each in the query parameter of its name."""

    query: tuple[str, str]
    required: bool = True


class TokenGrant(NamedTuple):
    """An access token, and the seconds for which it is good."""

    token: str
    seconds: float


class TokenAuth(Protocol):
    """A credential that buys an access token.

    Attributes:
        url: Where: a whole address, or a path below the provider's own.
        refused: Statuses by which the provider may say that a token is no longer good.
        required: It always is.
    """

    @property
    def url(self) -> str: ...  # noqa: D102
    @property
    def refused(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def required(self) -> bool: ...  # noqa: D102

    def request(self, path: str, credential: str) -> Request:
        """What asks for a token at *path*."""

    def grant(self, data: Any) -> TokenGrant:
        """The token in the answer's body; raises ResponseUnreadable when there is none."""

    def headers(self, token: str) -> Mapping[str, str]:
        """What a request carries that shows *token*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """OAuth 2 client credentials (RFC 6749, 4.4), with the client's own in a Basic header (2.3.1)."""

    url: str
    scope: str = ""
    refused: tuple[int, ...] = (401,)
    required: bool = True

    def __post_init__(self) -> None:
        """Refuse what would not be sent."""
        _whole(self.url)

    def request(self, path: str, credential: str) -> Request:
        """As the RFC has it: each part of the credential is encoded as in a form before both are joined."""
        from urllib.parse import parse_qsl, quote_plus

        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        headers = basic(":".join(map(quote_plus, parts_of(credential))))
        form = dict(parse_qsl(prepare_token_request("client_credentials", scope=self.scope)))
        return Request(path=path, method="POST", form=form, headers=headers, pure=True)

    def grant(self, data: Any) -> TokenGrant:
        """``access_token`` and ``expires_in``; an hour when it does not say (RFC 6749, 5.1)."""
        return _granted(data, "access_token", 3600.0)

    def headers(self, token: str) -> Mapping[str, str]:
        """RFC 6750, 2.1."""
        return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A token for a JSON body with user name and password.

    Attributes:
        user: The body's field for it; *password* the same.
        at: The answer's field that holds the token.
        seconds: For which it is good; the answer does not say.
        scheme: Stands before the token in its header.
    """

    url: str
    user: str = "username"
    password: str = "password"  # noqa: S105 - a field's name
    at: str = "token"
    seconds: float = 3600.0
    scheme: str = ""
    refused: tuple[int, ...] = (401, 403)
    required: bool = True

    def __post_init__(self) -> None:
        """Refuse what would not be sent."""
        _whole(self.url)

    def request(self, path: str, credential: str) -> Request:
        """The body is never logged, as no body is."""
        user, password = parts_of(credential)
        return Request(path=path, method="POST", data={self.user: user, self.password: password}, pure=True)

    def grant(self, data: Any) -> TokenGrant:
        """What stands at *at*."""
        return _granted(data, self.at, self.seconds)

    def headers(self, token: str) -> Mapping[str, str]:
        """The bare token, unless there is a scheme."""
        return {"Authorization": f"{self.scheme} {token}" if self.scheme else token}


def parts_of(credential: str) -> tuple[str, str]:
    """What stands before and behind its first colon.

    Raises:
        ConfigurationError: It has no two parts.
    """
    first, colon, second = credential.partition(":")
    if not (first and colon and second):
        raise ConfigurationError("a credential of two parts is written with a colon between them: id:secret")
    return first, second


def basic(credential: str) -> dict[str, str]:
    """The header ``Authorization: Basic`` (RFC 7617) of ``user:password``."""
    from base64 import b64encode

    parts_of(credential)
    return {"Authorization": f"Basic {b64encode(credential.encode()).decode('ascii')}"}


def _whole(url: str) -> None:
    if "?" in url or "#" in url:
        raise ValueError("a token's url is an address or a path; a query or a fragment would not be sent")


def _granted(data: Any, at: str, seconds: float) -> TokenGrant:
    token = data.get(at) if isinstance(data, dict) else None
    whole = isinstance(token, str) and 0 < len(token) <= LONGEST and token.isascii() and token.isprintable()
    if not whole or " " in str(token):
        raise ResponseUnreadable("the answer holds no access token")
    said = data.get("expires_in")
    if isinstance(said, str) and said.isdecimal() and len(said) <= len("2592000"):
        said = int(said)  # some sellers quote their numbers
    number = isinstance(said, int | float) and not isinstance(said, bool) and said > 0
    return TokenGrant(str(token), float(min(said, LONGEST_LIFE)) if number else seconds)
