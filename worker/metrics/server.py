"""An HTTP server for a handful of small pages, which no client can hold up."""

from __future__ import annotations

import logging
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, cast

__all__ = ["Listener", "Reply"]

logger = logging.getLogger("narrows")

MOST_CLIENTS = 64
"""At a time; a scraper uses one. Whoever comes when all are taken is hung up on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What goes back to a client."""

    status: int
    content_type: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


Answer = Callable[[str, Mapping[str, str]], Reply]
"""Makes the reply to a path and a request's headers, whose names may be in any case."""


class Listener(ThreadingHTTPServer):
    """Answers GET and HEAD with ``answer(path, headers)``, one request per connection.

    Args:
        address: Host and port.
        answer: Called in a thread per client.
        patience: Seconds a client has from its connection to the end of its answer.
    """

    allow_reuse_port = False
    request_queue_size = 2 * MOST_CLIENTS

    def __init__(self, address: tuple[str, int], answer: Answer, *, patience: float) -> None:
        self.answer, self.patience = answer, patience
        self._clients: dict[socket.socket, float] = {}
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    @property
    def clients(self) -> int:
        """How many are connected."""
        return len(self._clients)

    def server_bind(self) -> None:
        """Bind without http.server's look-up of our own name, which may wait for a name server."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's signature
        """Whether there is room for this client."""
        if self.clients >= MOST_CLIENTS:
            return False
        self._clients[request] = time.monotonic() + self.patience
        return True

    def shutdown_request(self, request: Any) -> None:
        """Hang up."""
        self._clients.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Cut off who is out of time; a socket's own timeout would start anew with every byte."""
        now = time.monotonic()
        for client, until in list(self._clients.items()):
            if until < now:
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Clients that go away are no news; anything else is logged."""
        error = sys.exception()
        if not isinstance(error, OSError):
            logger.error("metrics request failed", exc_info=error)

    def abandon(self) -> None:
        """Close a forked child's copies of the sockets; nothing is sent or shut down."""
        self.socket.close()
        for client in list(self._clients):
            client.close()


class _Handler(BaseHTTPRequestHandler):
    server_version = "narrows"
    sys_version = ""
    error_content_type = "text/plain; charset=utf-8"
    error_message_format = "%(code)d %(message)s\n"

    def setup(self) -> None:
        self.request.settimeout(self._listener.patience)
        super().setup()

    def do_GET(self) -> None:
        """The page."""
        reply = self._replied()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)

    do_HEAD = do_GET  # noqa: N815 - http.server's name

    def _refuse(self) -> None:
        self.send_response(405)
        self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _refuse  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's signature
        """Nothing: a line per scrape would bury the others."""

    def _replied(self) -> Reply:
        try:
            return self._listener.answer(self.path.partition("?")[0], cast("Mapping[str, str]", self.headers))
        except Exception:
            logger.exception("metrics request failed")
            return Reply(status=500, content_type="text/plain; charset=utf-8", body=b"failed; see the log\n")

    @property
    def _listener(self) -> Listener:
        return cast("Listener", self.server)
