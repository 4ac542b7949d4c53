"""The small web page for machines of a worker or exporter: ``/metrics``, ``/healthz`` and ``/readyz``.

``/healthz`` says that the process lives, and that no part of it is silent that must never be: what restarts
a worker must not ask Redis, or an outage there restarts the whole fleet. ``/readyz`` runs the checks that it
was given. Neither says anything that is secret; ``/metrics`` may want to see a token.

It answers beside the work: requests have a thread each, a client is cut off after some seconds however slowly
it sends or reads, and the number of clients is bounded. A forked child closes the socket it inherits, so the
address is free when the parent ends.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cache
from hmac import compare_digest
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from worker.errors import ConfigurationError
from worker.metrics.server import Listener, Reply

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = ["Check", "Exposition", "Pages", "Ready", "token"]

logger = logging.getLogger("narrows")

TURN = 0.2
"""Seconds between two looks at clients out of time, and the longest that :meth:`Exposition.stop` waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing a worker needs before it can work; *detail* is a constant phrase or a number."""

    name: str
    ok: bool
    detail: str = ""


class Pages(Protocol):
    """What makes ``/metrics`` (:class:`worker.metrics.metrics.Metrics`)."""

    def page(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and text for an Accept header."""


Ready = Callable[[], Iterable[Check]]
Silent = Callable[[], Iterable[str]]


def _none() -> Iterable[Any]:
    return ()


class Exposition:
    """Serves the three addresses from :meth:`start` to :meth:`stop`.

    Args:
        metrics: Makes ``/metrics``.
        ready: Makes ``/readyz``; one that raises counts as a failed check.
        silent: Makes ``/healthz``: the parts of this process that are dead or hang.
        token: Who asks for ``/metrics`` must bring it (``Authorization: Bearer``, RFC 6750); "" asks nobody.
        host: Loopback unless the network around is trusted, or a token is asked for.
        port: 0 takes a free one.
        any_port: Whether a port that is taken is replaced by a free one; for development.
        patience: Seconds until a client is cut off.
    """

    def __init__(
        self,
        metrics: Pages,
        *,
        ready: Ready = _none,
        silent: Silent = _none,
        token: str = "",
        host: str = "127.0.0.1",
        port: int = 0,
        any_port: bool = False,
        patience: float = 10.0,
    ) -> None:
        self._metrics, self._ready, self._silent = metrics, ready, silent
        self._token = token.encode()
        self._host, self._asked_port, self._patience = host, port, patience
        self._any_port = any_port
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it answers, for instance ``http://127.0.0.1:9808``; empty when it does not."""
        if self._listener is None:
            return ""
        host, port = self._listener.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"

    @property
    def clients(self) -> int:
        """How many are being answered now."""
        return self._listener.clients if self._listener else 0

    def start(self) -> str:
        """Answer from now on; the address.

        Raises:
            ConfigurationError: host and port cannot be had.
        """
        if self._listener is None:
            self._listener = self._bound()
            self._thread = threading.Thread(
                target=self._listener.serve_forever, args=(TURN,), name="narrows-exposition", daemon=True
            )
            self._thread.start()
            _watch_forks().add(self)
            logger.info("metrics served", extra={"url": self.url})
        return self.url

    def stop(self) -> None:
        """Answer no more and free the address; nothing when it has not started."""
        listener, self._listener = self._listener, None
        if listener is not None and self._thread is not None:
            listener.shutdown()
            listener.server_close()
            self._thread.join(timeout=self._patience)

    def forget(self) -> None:
        """Let go of what a fork has copied into a child; the parent's goes on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.abandon()

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """What stands at *path*."""
        if path == "/metrics":
            return self._page(headers)
        if path == "/healthz":
            silent = list(self._silent())
            return (
                _json(503, {"status": "hung", "silent": silent}) if silent else _json(200, {"status": "ok"})
            )
        if path == "/readyz":
            return self._readiness()
        return _json(404, {"error": "not found", "paths": ["/metrics", "/healthz", "/readyz"]})

    def _page(self, headers: Mapping[str, str]) -> Reply:
        scheme, _, brought = headers.get("Authorization", "").partition(" ")
        if self._token and not (
            scheme.lower() == "bearer" and compare_digest(brought.strip().encode(), self._token)
        ):
            return replace(_json(401, {"error": "token wanted"}), headers={"WWW-Authenticate": "Bearer"})
        content_type, text = self._metrics.page(headers.get("Accept", ""))
        return Reply(status=200, content_type=content_type, body=text)

    def _readiness(self) -> Reply:
        try:
            checks = list(self._ready())
        except Exception as why:  # noqa: BLE001 - a check that cannot run is one that fails
            logger.warning("readiness check failed", extra={"error_type": type(why).__name__})
            checks = [Check(name="checks", ok=False, detail=type(why).__name__)]
        ready = all(check.ok for check in checks)
        words = {"status": "ready" if ready else "not ready", "checks": [asdict(check) for check in checks]}
        return _json(200 if ready else 503, words)

    def _bound(self) -> Listener:
        try:
            return Listener((self._host, self._asked_port), self.answer, patience=self._patience)
        except OSError as why:
            if why.errno != errno.EADDRINUSE or not self._any_port:
                reason = why.strerror or type(why).__name__
                message = f"metrics: {self._host} port {self._asked_port}: {reason}; choose another address"
                raise ConfigurationError(message) from None
        listener = Listener((self._host, 0), self.answer, patience=self._patience)
        extra = {"asked": self._asked_port, "port": listener.server_address[1]}
        logger.warning("metrics port taken, a free one used instead", extra=extra)
        return listener


def token(settings: Settings) -> str:
    """What the settings ask of whoever wants ``/metrics``; nothing when it is for all."""
    return settings.metrics_token.get_secret_value() if settings.metrics_token else ""


def _json(status: int, words: Mapping[str, object]) -> Reply:
    return Reply(status=status, content_type="application/json", body=json.dumps(words).encode() + b"\n")


@cache
def _watch_forks() -> WeakSet[Exposition]:
    """What a child must let go of. The hook is set once, when something first serves."""
    serving: WeakSet[Exposition] = WeakSet()

    def forget_all() -> None:
        for each in list(serving):
            each.forget()

    os.register_at_fork(after_in_child=forget_all)
    return serving
