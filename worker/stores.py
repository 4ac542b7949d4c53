"""Redis clients: one pool for each role and process, and one plain connection for each thread that calls."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from config import urls

if TYPE_CHECKING:
    from collections.abc import Sequence

    from config.settings import Settings

__all__ = ["Commands", "Line", "Unreached", "connect"]

IDLE = 1.0
"""Seconds after which a held connection is looked at before it is used: its server may have gone."""


class Unreached(RedisConnectionError):
    """No connection could be made, so nothing was sent."""


class Commands(Protocol):
    """Whatever sends a command to Redis: a client, or a line."""

    def execute_command(self, *command: Any) -> Any:
        """The reply."""


class Line:
    """A connection of its own for each thread, held as long as the thread lives.

    The client's pool, retries and instrumentation cost more than half of a script's CPU time (37 against
    17 us, hiredis, measured side by side); a guarded call has no use for them.
    """

    def __init__(self, redis: Redis) -> None:
        self._pool = redis.connection_pool
        self._held = threading.local()

    def execute_command(self, *command: Any) -> Any:
        """The reply to *command*; a connection that failed is closed and opened anew next time.

        Raises:
            RedisError: as the client would.
        """
        connection = self._connection()
        try:
            connection.send_command(*command)
            return connection.read_response()
        except ResponseError:
            raise
        except BaseException:
            connection.disconnect()
            self._held.__dict__["used"] = 0.0
            raise

    def execute_commands(self, commands: Sequence[Sequence[Any]]) -> list[Any]:
        """The replies to *commands*, sent together, a refusal in its reply's place; one round trip.

        Raises:
            RedisError: The connection failed; any of them may have been done.
        """
        connection = self._connection()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            return [_reply(connection) for _ in commands]
        except BaseException:
            connection.disconnect()
            self._held.__dict__["used"] = 0.0
            raise

    def _connection(self) -> Any:
        """This thread's connection, open."""
        held, now = self._held.__dict__, time.monotonic()
        if held.get("process") != os.getpid():
            held["connection"] = self._pool.connection_class(**self._pool.connection_kwargs)
            held["process"], held["used"] = os.getpid(), 0.0
        connection = held["connection"]
        if now - held["used"] > IDLE:
            _opened(connection)
        held["used"] = now
        return connection


def _reply(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as refused:
        return refused


def _opened(connection: Any) -> None:
    """Connect, anew where the server has closed the connection meanwhile."""
    try:
        try:
            connection.connect()
            if connection.can_read(timeout=0):
                connection.disconnect()
        except RedisConnectionError:
            connection.disconnect()
        connection.connect()
    except RedisError as gone:
        connection.disconnect()
        raise Unreached(str(gone)) from None


def connect(
    url: str, settings: Settings | None = None, *, timeout: float = 3.0, connect_timeout: float = 2.0
) -> Redis:
    """A client for *url* that gives up fast and never repeats a command by itself.

    A command repeated after a lost reply may act twice; who may repeat one decides that where it is
    sent. A ``sentinel://`` address follows the primary that the settings name.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": connect_timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
    }
    if settings is not None and urls.is_tls(url):
        options |= _tls(settings)
    if settings is not None and urls.sentinels(url):
        return _primary(url, settings, options)
    return Redis.from_url(url, **options)


def _tls(settings: Settings) -> dict[str, Any]:
    tls = settings.tls
    files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file}
    chosen = {name: file for name, file in files.items() if file}
    return {**chosen, "ssl_cert_reqs": "required" if tls.verify else "none"}


def _primary(url: str, settings: Settings, options: dict[str, Any]) -> Redis:
    from redis.sentinel import Sentinel

    own = settings.sentinel
    account = {"username": own.username, "password": own.password and own.password.get_secret_value()}
    node = urls.nodes(url)[0]
    sentinel = Sentinel(
        urls.sentinels(url),
        sentinel_kwargs={**account, "socket_timeout": options["socket_timeout"]},
        username=node.username and unquote(node.username),
        password=node.password and unquote(node.password),
        db=int(node.path.strip("/") or 0),
        **options,
    )
    client: Redis = sentinel.master_for(own.primary)
    return client
