"""urllib3 connections that obey the deadline of the call that uses them.

A pool hands connections out inside ``urlopen``, on the caller's thread, so the call
stands in a thread-local ``CURRENT.exchange`` meanwhile. Its deadline covers name resolution, the
TCP and TLS handshakes, headers and body.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from worker.http.deadline import Deadline

__all__ = ["CURRENT", "Exchange", "GuardedHTTPConnection", "GuardedHTTPSConnection"]

_Address = tuple[Any, ...]  # as getaddrinfo returns them: family, kind, protocol, name, address


class Exchange:
    """What one call has done so far on the wire.

    Attributes:
        fresh: Take no pooled connection.
        connected: A connection was made for this call, so it cannot be a stale one.
        sent: Bytes of the request may have left.
        peer: The address that its socket is connected to; "" before.
    """

    __slots__ = ("connected", "deadline", "fresh", "peer", "sent")

    def __init__(self, deadline: Deadline, *, fresh: bool) -> None:
        self.deadline = deadline
        self.fresh = fresh
        self.connected = False
        self.sent = False
        self.peer = ""


class _Current(threading.local):
    exchange: Exchange


CURRENT = _Current()


class GuardedHTTPConnection(HTTPConnection):
    """A plain connection, shut down when its call's time is up."""

    deadline: Deadline | None = None
    _peer = ""
    _lifeline: socket.socket | None = None

    @property
    def is_connected(self) -> bool:
        """False makes the pool connect anew: the peer closed, or the call wants a fresh connection."""
        return not CURRENT.exchange.fresh and super().is_connected

    def connect(self) -> None:
        """Connect within the deadline."""
        exchange = CURRENT.exchange
        try:
            super().connect()
            exchange.connected = True
        finally:
            exchange.deadline.guard(self, self.sock)
            if self._lifeline is not None:
                self._lifeline.close()
                self._lifeline = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        """Send a request within the deadline of the call that took this connection from its pool."""
        if self.sock is not None and not CURRENT.exchange.connected:
            CURRENT.exchange.deadline.guard(self, self.sock)
            CURRENT.exchange.peer = self._peer
        super().request(*args, **kwargs)

    def send(self, data: Any) -> None:
        """Send bytes; those of the request may be acted on from here."""
        if self.sock is None:
            self.connect()
        if self._lifeline is None:  # while it connects, a proxy is spoken to
            if not CURRENT.exchange.sent and not CURRENT.exchange.deadline.remaining:
                raise TimeoutError  # the process stood still: others may have taken over
            CURRENT.exchange.sent = True
        super().send(data)

    def _new_conn(self) -> socket.socket:
        # urllib3's own place for other ways to open a socket (its SOCKS support stands here too).
        deadline = CURRENT.exchange.deadline
        limit = min(float(self.timeout or deadline.remaining), deadline.remaining)
        try:
            sock = _opened(_resolved(self._dns_host, self.port, limit), limit, self.socket_options or ())
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from None
        except TimeoutError:
            raise ConnectTimeoutError(self, "timed out") from None
        except OSError as error:
            raise NewConnectionError(self, type(error).__name__) from None
        # TLS takes the descriptor away from this object before it shakes hands; a copy reaches the
        # same connection until that is done.
        self._lifeline = sock.dup()
        with suppress(OSError):  # it may have hung up already
            self._peer = CURRENT.exchange.peer = str(sock.getpeername()[0])
        deadline.guard(self, self._lifeline)
        return sock


class GuardedHTTPSConnection(GuardedHTTPConnection, HTTPSConnection):
    """A TLS connection, shut down when its call's time is up, in mid-handshake too."""


def _resolved(host: str, port: int, seconds: float) -> list[_Address]:
    """The addresses of *host*; a resolver that hangs is left behind after *seconds*."""
    try:
        return [*socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)]
    except (socket.gaierror, UnicodeError):
        pass  # not a number; nothing can interrupt the resolver, so it works in a thread of its own
    found: list[_Address | socket.gaierror] = []

    def resolve() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.append(socket.gaierror(type(error).__name__))

    thread = threading.Thread(target=resolve, name="narrows-resolver", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise TimeoutError
    if isinstance(found[0], socket.gaierror):
        raise found[0]
    return [address for address in found if isinstance(address, tuple)]


def _opened(
    addresses: Iterable[_Address], seconds: float, options: Iterable[tuple[int, int, int | bytes]]
) -> socket.socket:
    """A socket connected to the first address that takes it."""
    failure = OSError("no address")
    for family, kind, protocol, _, address in addresses:
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options:
                sock.setsockopt(*option)
            sock.settimeout(seconds)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure
