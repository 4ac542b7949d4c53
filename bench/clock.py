"""The machine's own jitter: a bare timer that sends, beside whatever else is measured at the time."""

from __future__ import annotations

import socket
import threading
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

__all__ = ["Clock"]


class Clock:
    """``with Clock(url, rate):`` asks *url* at even moments, on one connection, until it ends."""

    def __init__(self, url: str, rate: float) -> None:
        self._url, self._pause = urlsplit(url), 1 / rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-clock", daemon=True)

    def __enter__(self) -> Self:
        """The clock as it runs."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        url = self._url
        request = f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
        with socket.create_connection((url.hostname or "", url.port or 0), timeout=5) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            moment = time.monotonic()
            while not self._stop.wait(max(0.0, moment - time.monotonic())):
                wire.sendall(request)
                reply = wire.recv(4096)
                while not reply.endswith(b"}"):
                    reply += wire.recv(4096)
                moment += self._pause
