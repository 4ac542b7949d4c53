"""Connections that break where a test wants it, in front of a real server or of none."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Cut", "Hole"]

HOST = "127.0.0.1"


class Hole:
    """Takes connections on loopback, and never says a word."""

    def __init__(self) -> None:
        self._server = socket.create_server((HOST, 0), backlog=64)
        self._server.settimeout(0.1)
        self._over = threading.Event()
        self._taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self.port: int = self._server.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for each in (self._server, *self._taken):
            each.close()

    @property
    def url(self) -> str:
        """Its address as a Redis."""
        return f"redis://{HOST}:{self.port}/0"

    def through(self, url: str) -> str:
        """*url*, a Redis of this machine, by way of here."""
        parts = urlsplit(url)
        return parts._replace(netloc=f":{parts.password}@{HOST}:{self.port}").geturl()

    def _accept(self) -> None:
        while not self._over.is_set():
            with contextlib.suppress(TimeoutError):
                self._taken.append(self._server.accept()[0])
                self._serve(self._taken[-1])

    def _serve(self, client: socket.socket) -> None:
        """Nothing."""


class Cut(Hole):
    """Stands before the server at *port*; hangs up on whoever sent the bytes *after*, before the reply.

    Args:
        port: Of the real server.
        after: Bytes in what a client sends.
        times: How often; always, when None.
        forward: Whether the server gets what was sent.
        first: Called before that, the first time.
    """

    def __init__(
        self,
        port: int,
        *,
        after: bytes,
        times: int | None = None,
        forward: bool = True,
        first: Callable[[], object] | None = None,
    ) -> None:
        super().__init__()
        self._port, self._after, self._left, self._forward, self._first = port, after, times, forward, first

    def _serve(self, client: socket.socket) -> None:
        server = socket.create_connection((HOST, self._port))
        self._taken.append(server)
        threading.Thread(target=self._there, args=(client, server), daemon=True).start()
        threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _there(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while sent := client.recv(65536):
                if self._after not in sent or self._left == 0:
                    server.sendall(sent)
                    continue
                self._cut(client, server, sent)
                return

    def _cut(self, client: socket.socket, server: socket.socket, sent: bytes) -> None:
        if self._first is not None:
            self._first()
            self._first = None
        if self._left is not None:
            self._left -= 1
        client.shutdown(socket.SHUT_RDWR)
        if self._forward:
            server.sendall(sent)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while said := server.recv(65536):
                client.sendall(said)
            client.shutdown(socket.SHUT_RDWR)
