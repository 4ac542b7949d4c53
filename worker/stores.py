"""Redis clients, one pool a role and process."""

from __future__ import annotations

from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

__all__ = ["connect"]


def connect(url: str, *, timeout: float = 3.0, connect_timeout: float = 2.0, **options: Any) -> Redis:
    """A client for *url* that gives up fast and never repeats a command by itself.

    A command repeated after a lost reply may act twice; who may repeat one decides that where it is
    sent.
    """
    return Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=connect_timeout,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 0),
        **options,
    )
