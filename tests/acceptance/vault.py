"""Servers and providers with secrets of their own, and a collector of spans."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from tests.acceptance.every_provider import PACE
from tests.acceptance.hoard import COLLECTOR, METRICS, SEALED, SECRETS, TOKENS
from tests.acceptance.parrot import Parrot, Way
from tests.fleet import Ground
from tests.sandbox import Sandbox
from tests.sandbox.settings import DOORS
from worker.keys import keys

__all__ = ["Collector", "Vault"]


class Vault(Ground):
    """A ground on which everything that can have a secret has one, and parrots play the providers.

    Args:
        folder: Where log files go.
        collector: Where spans go.
    """

    def __init__(self, *, folder: Path, collector: str) -> None:
        super().__init__()
        self.parrots = {name: Parrot(name) for name in DOORS}
        self.sandbox = Sandbox(players=self.parrots.values(), tokens=TOKENS.values())
        self.sandbox.musicbrainz.rate = None
        for name, parrot in self.parrots.items():
            parrot.inner = getattr(self.sandbox, name)
        self._sealing = Fernet.generate_key().decode()
        self._more = {
            **PACE,
            **{f"NARROWS_PROVIDERS__{name.upper()}__RETRY_ATTEMPTS": "2" for name in DOORS},
            "NARROWS_LOG_DIR": str(folder),
            "NARROWS_LOG_FORMAT": "pretty",  # the files have JSON
            "NARROWS_LOG_LEVEL": "DEBUG",
            "NARROWS_METRICS_TOKEN": METRICS,
            "NARROWS_SEALED_TASKS": ",".join(SEALED),
            "NARROWS_SEALING_KEYS": self._sealing,
            "NARROWS_TRACING_ENDPOINT": collector,
            "NARROWS_TRACING_HEADERS": f"x-collector={COLLECTOR}",
        }

    @property
    def env(self) -> dict[str, str]:
        """As everywhere, with these secrets."""
        keyed = {
            f"NARROWS_PROVIDERS__{name.upper()}__API_KEY": ":".join(filter(None, (DOORS[name].user, token)))
            for name, token in TOKENS.items()
        }
        return {**super().env, **self._more, **keyed}

    @property
    def secrets(self) -> Mapping[str, str]:
        """What only the deployment's own processes know, by whose it is."""
        servers = {"state": self.valkey, "answers": self.cache}
        passwords = {
            name: server.url.partition("//:")[2].partition("@")[0] for name, server in servers.items()
        }
        return {**SECRETS, **passwords, "metrics": METRICS, "sealing": self._sealing}

    def behave(self, way: Way | str) -> None:
        """Let every provider do so from now on, whatever was kept, broken or paused before."""
        for name, parrot in self.parrots.items():
            self.sandbox.control.clear(name)
            if way == "reset":
                self.sandbox.control.fault(name, mode="reset")
            else:
                parrot.way = way  # type: ignore[assignment]
        with self.client() as state, self.cache.client() as cache:
            cache.flushall()
            for name in DOORS:
                state.delete(*state.keys(f"narrows:{{{name}}}:limits*"), keys(name).breaker)


class Collector:
    """Takes spans as an OpenTelemetry collector does, and keeps what it was sent.

    Attributes:
        bodies: As they came; texts lie in them in clear.
    """

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        kept = self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                kept.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Hear no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
