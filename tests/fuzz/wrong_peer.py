"""A provider that says, to each request, exactly the bytes that were laid ready for it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from tests.fuzz.oddities import CANARY, NUMBER, changed, documents, written
from tests.integration.raw_peer import Peer
from worker.request import Answer

__all__ = ["OTHERS", "WAITS", "Reply", "WrongPeer", "replies"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is said once.

    Attributes:
        raw: All of it, in place of the rest.
        closes: It hangs up then, as it must where the length is a lie.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    raw: bytes | None = None
    closes: bool = False

    @property
    def bytes(self) -> bytes:
        """On the wire."""
        if self.raw is not None:
            return self.raw
        usual = {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in {**usual, **self.headers}.items())
        return f"HTTP/1.1 {self.status:03d} Said\r\n{lines}\r\n".encode("latin-1", "replace") + self.body


class WrongPeer:
    """Says :attr:`reply` to whoever asks."""

    def __init__(self) -> None:
        self.reply = Reply()
        self._peer = Peer(self._speak)

    @property
    def url(self) -> str:
        """Its origin."""
        return self._peer.url

    def __enter__(self) -> Self:
        """Listen."""
        self._peer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """End, with all connections."""
        self._peer.__exit__(None, None, None)

    def _speak(self, sock: socket.socket, _request: bytes) -> None:
        reply = self.reply
        sock.sendall(reply.bytes)
        if reply.closes:
            raise ConnectionAbortedError


WAITS = (
    "0", "1", "-1", "1.5", "999999999999999", "9" * 40, "1e9", "inf", "nan", "soon", "", " 3 ", "0x10", "²",
    "Wed, 21 Oct 2015 07:28:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +1400",
    "Mon, 32 Foo 2026 99:99:99 XYZ", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "1, 2", "Wed, 21 Oct",
    "Wed, 21 Oct 2015 07:28:00 +99999999999999999999",
)  # fmt: skip
NAMES = (
    "Retry-After", "Date", "X-RateLimit-Remaining", "X-RateLimit-Reset", "X-Rate-Limit-Reset",
    "RateLimit-Reset",
    "X-SODA2-Truth-Last-Modified", "X-SODA2-Secondary-Last-Modified", "X-SODA2-Fields", "ETag",
    "X-Message-Id",
)  # fmt: skip
OTHERS: tuple[Mapping[str, str], ...] = (
    {"Content-Type": ""}, {"Content-Type": "text/html"}, {"Content-Type": "application/json; charset=utf-16"},
    {"Content-Type": 'application/json; charset="'}, {"Content-Type": "application/json; charset=\xff"},
    {"Content-Type": "application/json; charset=idna"},
    {"Content-Type": "x; charset*=utf-8''%ff; charset*1=x"},
    {"Content-Type": "x; charset=rot13"}, {"Content-Type": "x; charset=base64"},
    {"Content-Type": "x; charset=utf-7"},
    {"Content-Type": "x; charset=unicode_escape"}, {"Content-Type": "x; charset=\x00"},
    {"Content-Encoding": "gzip"}, {"Content-Encoding": "deflate, gzip"}, {"Content-Encoding": "br"},
    {"Transfer-Encoding": "chunked"}, {"Transfer-Encoding": "gzip, chunked"}, {"Location": "http://[::1"},
    {"Location": "//127.0.0.2/x"}, {"Location": "/again"}, {"Location": "\x00"}, {"Set-Cookie": "a=b"},
    {"X-SODA2-Fields": '["a", 1, {"b": []}]'}, {"X-SODA2-Fields": "[" * 3000}, {"ETag": "x" * 60_000},
    {"ETag": "\xff\xfe"}, {"X-Message-Id": "x" * 5000}, {"X-Message-Id": CANARY},
)  # fmt: skip
LIES = ("0", "-1", "1", "99999999999999999999999", "ten", "5, 7", "")
RAW = (
    b"", b"\x00", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 2OO OK\r\n\r\n{}", b"HTTP/9.9 200 OK\r\n\r\n{}",
    b"{}\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 300 + b"\r\n",
    b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n{}\r\n0\r\n\r\n", b"HTTP/1.1 99 Low\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 7\r\n\r\n{}", b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
    b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n\xff: \xfe\r\n\r\n{}",
    b"\r\n\r\n\r\n",
)  # fmt: skip
BODIES = (
    b"", b" ", b"{", b"[" * 5000, b'"', b"nul", b"\xff\xfe", b"\xef\xbb\xbf{}", b"NaN", b"[Infinity]",
    b"1e999",
    b"9" * 5000, b'{"a":1,"a":2}', b'"\\ud800"', b"<html>" + CANARY.encode() + b"</html>", b"\x1f\x8b",
    b"{}{}",
    b'{"error":{"code":' + str(NUMBER).encode() + b"}}", b"[" + b"{}," * 2000 + b"{}]", b"{}\x00", b"-",
)  # fmt: skip
STATUSES = (
    200,
    201,
    202,
    204,
    206,
    226,
    299,
    300,
    301,
    302,
    304,
    307,
    400,
    401,
    402,
    403,
    404,
    405,
    408,
    409,
)
TROUBLES = (410, 413, 418, 422, 425, 429, 431, 451, 499, 500, 501, 502, 503, 504, 520, 599, 600, 999)
ERRORS = ("error", "code", "message", "errors", "cod", "status", "statusCode", "error_description")


KINDS = {"changed": 9, "headers": 2, "error": 2, "any": 1, "body": 1, "lie": 1, "raw": 1}
"""What is wrong, and how often."""


@st.composite
def replies(draw: DrawFn, right: Answer | None) -> Reply:
    """A reply that is nearly *right* (what the provider says when nothing is wrong), or nothing like it."""
    kind = draw(st.sampled_from([kind for kind, often in KINDS.items() for _ in range(often)]))
    right = right or Answer(status=200, data=draw(documents))
    kept = {name: value for name, value in right.headers.items() if not name.startswith("content-")}
    match kind:
        case "changed":
            reply = Reply(status=right.status, headers=kept, body=written(draw(changed(right.data))))
        case "headers":
            status = draw(st.sampled_from([right.status, right.status, 429, 503, 202, 302, 304]))
            named = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WAITS), max_size=3))
            headers = {**kept, **named, **draw(st.sampled_from(OTHERS))}
            reply = Reply(status=status, headers=headers, body=written(right.data), closes=True)
        case "error":
            said = {draw(st.sampled_from(ERRORS)): draw(documents | st.just({"code": CANARY})) for _ in "12"}
            status = draw(st.sampled_from(STATUSES + TROUBLES))
            reply = Reply(status=status, body=written(said), closes=True)
        case "any":
            body = written(draw(documents))
            reply = Reply(status=draw(st.integers(100, 599)), body=body, closes=True)
        case "body":
            body = draw(st.sampled_from(BODIES) | st.binary())
            reply = Reply(status=draw(st.sampled_from([200, 200, 500])), body=body)
        case "lie":
            lie = {"Content-Length": draw(st.sampled_from(LIES))}
            reply = Reply(status=right.status, headers=lie, body=written(right.data), closes=True)
        case _:
            reply = Reply(raw=draw(st.sampled_from(RAW) | st.binary(max_size=60)), closes=True)
    return reply
