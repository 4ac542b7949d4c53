"""What a stack runs: workers, beat, exporter and Flower, as commands with an environment."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping
from typing import Protocol

from worker.stack.child import Program
from worker.stack.embedded import HOST, free_port

__all__ = ["CeleryPrograms", "Programs"]

_NARROWS = (sys.executable, "-c", "from worker.cli import main; main()")
_CELERY = (sys.executable, "-m", "celery", "--app", "worker")


class Programs(Protocol):
    """Makes the programs of a stack; tests hand in stand-ins."""

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        """The worker of that number, from 1."""

    def beat(self, env: Mapping[str, str]) -> Program:
        """The clock."""

    def exporter(self, env: Mapping[str, str]) -> Program:
        """The page that shows the fleet's state to Prometheus."""

    def flower(self, env: Mapping[str, str]) -> Program:
        """The page that shows tasks."""


class CeleryPrograms:
    """The real ones.

    ``--without-mingle --without-gossip``: a start is 1.4 s faster, and workers do not receive each
    other's heartbeats.

    Args:
        flower_port: Where Flower is when nobody else is there; 0 takes any port.
        exporter_port: The same of the exporter.

    Attributes:
        flower_auth: ``user:password``, made here when none is given.
    """

    def __init__(
        self,
        *,
        concurrency: int = 32,
        pool: str = "threads",
        log_level: str = "INFO",
        flower_auth: str | None = None,
        flower_port: int = 5555,
        exporter_port: int = 9809,
    ) -> None:
        self.flower_auth = flower_auth or f"narrows:{secrets.token_urlsafe(12)}"
        self._flower_port, self._exporter_port = flower_port, exporter_port
        self._concurrency = concurrency
        self._pool = pool
        self._log_level = log_level

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        """A worker for all queues, with a port of its own for metrics and readiness."""
        port = free_port()
        address = f"http://{HOST}:{port}"
        command = (
            *_CELERY,
            "worker",
            f"--hostname=worker-{number}@%h",
            f"--pool={self._pool}",
            f"--concurrency={self._concurrency}",
            f"--loglevel={self._log_level}",
            "--without-mingle",
            "--without-gossip",
        )
        own = {"NARROWS_METRICS_HOST": HOST, "NARROWS_METRICS_PORT": str(port)}
        return Program(
            name=f"worker-{number}",
            command=command,
            env={**env, **own},
            ready=lambda: answers(f"{address}/readyz"),
            address=address,
        )

    def beat(self, env: Mapping[str, str]) -> Program:
        """Beat; it has nothing to ask, so it is ready when it runs."""
        command = (*_CELERY, "beat", f"--loglevel={self._log_level}", "--pidfile=")
        return Program(name="beat", command=command, env=dict(env))

    def exporter(self, env: Mapping[str, str]) -> Program:
        """The exporter, on loopback."""
        port = free_port(preferred=self._exporter_port)
        address = f"http://{HOST}:{port}"
        own = {"NARROWS_EXPORTER_HOST": HOST, "NARROWS_EXPORTER_PORT": str(port)}
        return Program(
            name="exporter",
            command=(*_NARROWS, "exporter"),
            env={**env, **own},
            ready=lambda: answers(f"{address}/readyz"),
            address=address,
        )

    def flower(self, env: Mapping[str, str]) -> Program:
        """Flower, behind a password; :mod:`worker.flower` closes and bounds it."""
        port = free_port(preferred=self._flower_port)
        command = (
            *_CELERY,
            "flower",
            f"--address={HOST}",
            f"--port={port}",
        )
        address = f"http://{HOST}:{port}"
        return Program(
            name="flower",
            command=command,
            env={**env, "FLOWER_BASIC_AUTH": self.flower_auth},  # not an option: the process list shows those
            ready=lambda: answers(f"{address}/healthcheck"),
            address=address,
        )


def answers(url: str) -> bool:
    """Whether a GET of *url*, one of our own on loopback, is answered with 200."""
    from http.client import HTTPConnection, HTTPException
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    connection = HTTPConnection(parts.hostname or HOST, parts.port, timeout=2.0)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200  # noqa: PLR2004 - OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
