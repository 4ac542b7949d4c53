"""The provider of the bench: the tests' sandbox in a process of its own, and how much it can bear."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from bench.arrivals import Arrivals
from worker.stack.lifeline import Lifeline

__all__ = ["Stub"]

ROOT = Path(__file__).resolve().parents[1]


class Stub:
    """``with Stub(lifeline) as stub:`` runs it; ``stub.url`` is the provider's base address.

    Attributes:
        arrivals: What the provider itself saw.
    """

    def __init__(self, lifeline: Lifeline) -> None:
        self._lifeline = lifeline
        self._process: subprocess.Popen[str] | None = None
        self.url = ""

    def __enter__(self) -> Self:
        """The running provider."""
        command = [sys.executable, "-m", "tests.sandbox"]
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT
        )
        self._lifeline.hold(self._process.pid)
        said = self._process.stdout.readline() if self._process.stdout else ""
        if not said.startswith("sandbox "):
            raise RuntimeError("the sandbox did not start")
        self.url = said.split()[1] + "/stub"
        self.arrivals = Arrivals(said.split()[1] + "/_journal/stub")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.communicate(timeout=10)
            self._lifeline.release(self._process.pid)

    def capacity(self, seconds: float = 0.5) -> float:
        """Calls a second that it answers one after the other on one connection, to a client that is cheap."""
        parts = urlsplit(self.url)
        request = f"GET {parts.path}/thing?number=1 HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode()
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=5) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            count, start = 0, time.perf_counter()
            while time.perf_counter() < start + seconds:
                wire.sendall(request)
                reply = wire.recv(4096)
                while not reply.endswith(b"}"):
                    reply += wire.recv(4096)
                count += 1
            return count / (time.perf_counter() - start)
