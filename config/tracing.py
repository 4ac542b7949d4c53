"""Where spans go: which addresses are understood, and the headers that go with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

__all__ = ["TRACES", "headers", "headers_understood", "is_near", "is_tls", "understood"]

TRACES = "/v1/traces"
"""Where a collector takes them: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request, 2026-11-21."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset({"content-type", "content-encoding", "content-length", "host", "user-agent"})
_NEAR = (".internal", ".local", ".localhost", ".svc")


def understood(address: str) -> str:
    """The whole address that spans are sent to; ValueError when it is none. Never shows it.

    A collector's base address gets ``/v1/traces``, as OpenTelemetry's own variables have it.
    """
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - raises when it is none
    except ValueError:
        raise ValueError("is not an address") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be a collector's address for OTLP over HTTP, like http://127.0.0.1:4318")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("must not hold credentials or a query; those stand in NARROWS_TRACING_HEADERS")
    whole = address.rstrip("/")
    return whole if whole.endswith(TRACES) else f"{whole}{TRACES}"


def headers_understood(text: str) -> str:
    """*text* itself; ValueError when it is no list of headers. Never shows it."""
    headers(text)
    return text


def headers(text: str) -> Mapping[str, str]:
    """The headers in ``name=value,name=value``, the form of OTEL_EXPORTER_OTLP_HEADERS.

    Raises:
        ValueError: One of them is none, or is ours to set.
    """
    found: dict[str, str] = {}
    for number, pair in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (equals and _NAME.fullmatch(name) and value.isascii() and value.isprintable()):
            raise ValueError(f"header {number} is none; takes name=value, with commas between")
        if name.lower() in _OURS:
            raise ValueError(f"header {number} is ours to set")
        found[name] = value
    return found


def is_tls(address: str) -> bool:
    """Whether the connection is encrypted."""
    return urlsplit(address).scheme == "https"


def is_near(address: str) -> bool:
    """Whether it is this machine's or its own network's: loopback, a private address, a local name."""
    host = (urlsplit(address).hostname or "").rstrip(".")
    try:
        number = ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_NEAR)
    return number.is_loopback or number.is_private
