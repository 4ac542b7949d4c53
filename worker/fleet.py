"""What the broker knows of the fleet: which workers answer, and how many messages lie in each queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

__all__ = ["Fleet", "depth", "fleet", "reached", "serving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The workers that answered, by name, and the messages in each queue that was asked for."""

    workers: tuple[str, ...]
    messages: dict[str, int]


def fleet(app: Celery, queues: Iterable[str] = (), *, patience: float = 1.0) -> Fleet:
    """The fleet as *app*'s broker shows it; takes *patience* seconds, for nobody knows how many will answer.

    Less than a second takes a second all the same: Celery's Redis transport polls for as long.

    Raises:
        OperationalError: The broker does not answer.
    """
    with reached(app) as connection:
        messages = {name: depth(connection, name) for name in queues}
        replies = app.control.ping(timeout=patience, connection=connection) or []
    return Fleet(workers=tuple(sorted(name for reply in replies for name in reply)), messages=messages)


def serving(app: Celery, *, patience: float = 1.0) -> dict[str, frozenset[str]]:
    """The workers that answer within *patience* seconds, with the queues from which each takes just now.

    Raises:
        OperationalError: The broker does not answer.
    """
    with reached(app) as connection:
        replies = app.control.inspect(timeout=patience, connection=connection).active_queues() or {}
    return {name: frozenset(queue["name"] for queue in queues) for name, queues in sorted(replies.items())}


def reached(app: Celery, *, within: float = 2.0) -> Any:
    """A connection to the broker that is up, to be closed by a ``with``.

    Celery's own pool tries again for ever, which is right for a worker and wrong for whoever wants to know.

    Raises:
        OperationalError: The broker does not answer within *within* seconds.
    """
    connection = app.connection_for_write()
    try:
        return connection.ensure_connection(max_retries=1, interval_start=0, interval_step=0, timeout=within)
    except BaseException:
        connection.release()
        raise


def depth(connection: Any, queue: str) -> int:
    """Messages in *queue*; none when it was never used."""
    with connection.channel() as channel:
        try:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
        except connection.channel_errors:
            return 0
