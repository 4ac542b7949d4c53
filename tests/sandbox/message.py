"""What a client sent and what a player answers, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, unquote

__all__ = ["JSON_TYPE", "Reply", "Request", "json_reply"]

JSON_TYPE = "application/json;charset=utf-8"


@dataclass(kw_only=True)
class Request:
    """One HTTP request as it stood on the wire.

    Attributes:
        target: Path and query below the mount (``/resource/x.json?$limit=1``), still encoded.
        head: The header lines, undecoded; parsed only when somebody asks.
    """

    method: str
    target: str
    head: bytes = b""
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        """The decoded path, without the query."""
        return unquote(self.target.partition("?")[0])

    @cached_property
    def query(self) -> str:
        """What follows the question mark, still encoded."""
        return self.target.partition("?")[2]

    @cached_property
    def params(self) -> dict[str, str]:
        """Query parameters, decoded; the last of equal names wins."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @cached_property
    def headers(self) -> dict[str, str]:
        """Header values by lower-case name; equal names are joined by a comma."""
        return parsed_headers(self.head)

    def json(self) -> Any:
        """The body as JSON; raises ValueError when it is not."""
        return json.loads(self.body)

    def below(self, target: str) -> Request:
        """The same request, seen from where a player is mounted."""
        return Request(method=self.method, target=target, head=self.head, body=self.body)


@dataclass(kw_only=True)
class Reply:
    """What goes back. ``chunked`` sends the body as one chunk, as servers do that do not know its length."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    chunked: bool = False

    def head(self, *, length: int | None = None, close: bool = False) -> bytes:
        """The status line and headers; *length* announces another length than the body's."""
        lines = [f"HTTP/1.1 {self.status} {_phrase(self.status)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.chunked and length is None:
            lines.append("Transfer-Encoding: chunked")
        elif self.status not in {204, 304}:
            lines.append(f"Content-Length: {len(self.body) if length is None else length}")
        lines.append("Connection: close\r\n\r\n" if close else "Connection: keep-alive\r\n\r\n")
        return "\r\n".join(lines).encode("latin-1")

    def encoded(self, *, bodiless: bool = False, close: bool = False) -> bytes:
        """The whole answer; *bodiless* for HEAD."""
        head = self.head(close=close)
        if bodiless or self.status in {204, 304}:
            return head
        if not self.chunked:
            return head + self.body
        if not self.body:
            return head + b"0\r\n\r\n"
        return b"%b%x\r\n%b\r\n0\r\n\r\n" % (head, len(self.body), self.body)


def json_reply(data: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """*data* as a JSON answer."""
    body = json.dumps(data, ensure_ascii=False).encode()
    return Reply(status=status, headers={"Content-Type": JSON_TYPE, **(headers or {})}, body=body)


def parsed_headers(head: bytes) -> dict[str, str]:
    """Header values by lower-case name out of raw header lines."""
    found: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            key = name.strip().lower()
            found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
    return found


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
