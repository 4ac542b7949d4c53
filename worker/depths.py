"""How many messages lie in each queue of the broker, whichever broker it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config import urls
from worker.fleet import depth, reached
from worker.stores import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from celery import Celery

    from config.settings import Settings

__all__ = ["counter"]


def counter(
    settings: Settings, app: Celery, *, within: float
) -> Callable[[Iterable[str]], Mapping[str, int]]:
    """What counts the messages in each of some queues; none lie in one that was never used.

    On Redis that is one round trip, for a queue is a list of its name. RabbitMQ is asked for each.
    """
    url = settings.broker_url.get_secret_value()
    if urls.is_rabbit(url):
        return lambda queues: _declared(app, queues, within)
    redis = connect(url, settings, timeout=within, connect_timeout=within)

    def lengths(queues: Iterable[str]) -> Mapping[str, int]:
        names = list(queues)
        with redis.pipeline(transaction=False) as ask:
            for name in names:
                ask.llen(name)
            return dict(zip(names, map(int, ask.execute()), strict=True))

    return lengths


def _declared(app: Celery, queues: Iterable[str], within: float) -> Mapping[str, int]:
    with reached(app, within=within) as connection:
        return {name: depth(connection, name) for name in queues}
