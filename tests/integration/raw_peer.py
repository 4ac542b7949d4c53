"""A peer that says exactly the bytes a test wants, over real sockets."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

__all__ = ["Peer", "Speech", "http", "says"]

Speech = Callable[[socket.socket, bytes], None]
"""Answers one request, given its bytes; raising OSError hangs up."""


def http(
    body: object = None, *, status: int = 200, headers: dict[str, str] | None = None, raw: bytes | None = None
) -> bytes:
    """A complete response."""
    content = json.dumps(body).encode() if raw is None else raw
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + content


def says(*responses: bytes) -> Speech:
    """Each response in its turn, the last for ever."""
    left = list(responses)

    def speech(sock: socket.socket, _request: bytes) -> None:
        sock.sendall(left.pop(0) if len(left) > 1 else left[0])

    return speech


class Peer:
    """A server on loopback; use it as a context manager.

    Attributes:
        requests: The bytes of each request, in order of arrival.
        connections: How many were accepted.
        gone: Set when the test is over; a speech that idles waits on it.
    """

    def __init__(self, speech: Speech, *, tls: ssl.SSLContext | None = None) -> None:
        self._speech, self._tls = speech, tls
        self.requests: list[bytes] = []
        self.connections = 0
        self.gone = threading.Event()
        self.closed = threading.Semaphore(0)
        self._server = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._socks: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self.port: int = self._server.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.gone.set()
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for sock in self._socks:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def parsed(self, index: int = -1) -> tuple[str, dict[str, str], Any]:
        """The request line, headers with lower-case names and JSON body of one request."""
        head, _, body = self.requests[index].partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
        return line, headers, json.loads(body) if body else None

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._socks.append(sock)
            thread = threading.Thread(target=self._converse, args=(sock,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _converse(self, plain: socket.socket) -> None:
        sock = plain
        try:
            if self._tls:
                sock = self._tls.wrap_socket(plain, server_side=True)
                self._socks.append(sock)
            with sock:
                while request := _request(sock):
                    self.requests.append(request)
                    self._speech(sock, request)
        except OSError:
            pass
        finally:
            plain.close()
            self.closed.release()


def _request(sock: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        if not (chunk := sock.recv(65536)):
            return b""
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    length = 0
    for field in head.lower().split(b"\r\n"):
        if field.startswith(b"content-length:"):
            length = int(field.split(b":")[1])
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body
