"""Why no answer came: what the transport says, as an error that names no address and no data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    IncompleteRead,
    InvalidChunkLength,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from worker.errors import CallError, ProviderUnavailable, RequestInvalid, ResponseTooLarge, ResponseUnreadable
from worker.http.body import BodyTooLarge

if TYPE_CHECKING:
    from worker.http.connection import Exchange
    from worker.provider import Provider, Timeouts

__all__ = ["outage"]


def outage(provider: Provider, timeouts: Timeouts, exchange: Exchange, error: Exception | None) -> CallError:
    """The error that stands for *error*, or for a deadline that fell without one."""
    kind, said = _told(provider, timeouts, exchange, error)
    failed = kind(f"{provider.name} {said}")
    failed.sent = exchange.sent
    return failed


def _told(
    provider: Provider, timeouts: Timeouts, exchange: Exchange, error: Exception | None
) -> tuple[type[CallError], str]:
    if error is None or exchange.deadline.expired:
        return ProviderUnavailable, f"timed out after {timeouts.total:g} s"
    if _timed_out(error):
        limit, at = (timeouts.read, " without a byte") if exchange.sent else (timeouts.connect, " connecting")
        spent = f"{limit:g} s{at}" if limit < timeouts.total else f"{timeouts.total:g} s"
        return ProviderUnavailable, f"timed out after {spent}"
    if isinstance(error, ValueError) and not exchange.sent:
        return RequestInvalid, "cannot be sent this request: its path or a header is malformed"
    if isinstance(error, BodyTooLarge):
        return ResponseTooLarge, f"sent more than {provider.max_body} bytes"
    if isinstance(error, DecodeError | ValueError):
        return ResponseUnreadable, "sent headers or a compressed body that make no sense"
    return ProviderUnavailable, _broken(error)


def _timed_out(error: Exception) -> bool:
    # urllib3 still counts a refused connection among its connect timeouts.
    timeouts = (ConnectTimeoutError, ReadTimeoutError, TimeoutError)
    return isinstance(error, timeouts) and not isinstance(error, NewConnectionError)


def _broken(error: Exception) -> str:
    causes = (error, *error.args)
    for kind, said in _BREAKS.items():
        if any(isinstance(cause, kind) for cause in causes):
            return said
    return "did not answer in HTTP"


_BREAKS: Mapping[type[Exception], str] = {  # the first that fits
    NameResolutionError: "has a name that does not resolve",
    NewConnectionError: "refused the connection",
    SSLError: "offered no secure connection that we trust",
    ProxyError: "cannot be reached through the proxy",
    IncompleteRead: "sent a truncated body",
    InvalidChunkLength: "sent a truncated body",
    OSError: "broke the connection",
}
