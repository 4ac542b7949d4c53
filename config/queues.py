"""Queues and routes: one queue for each provider, so that a slow one never stands before the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kombu.entity import Queue

__all__ = ["UPKEEP", "queues", "route"]

UPKEEP = "upkeep"
_CELERYS_OWN = "celery"


def queues(names: Iterable[str], *, arguments: Mapping[str, Any] | None = None) -> tuple[Queue, ...]:
    """A queue of its own for each provider of *names*, and ``upkeep`` for everything else.

    *arguments* are what the broker is told of each, such as ``x-queue-type`` for RabbitMQ.
    """
    from kombu.entity import Exchange, Queue

    every = [UPKEEP, *(name for name in names if name != UPKEEP)]
    return tuple(
        Queue(name, Exchange(name, type="direct"), routing_key=name, queue_arguments=dict(arguments or {}))
        for name in every
    )


def route(
    name: str,
    args: Any = None,  # noqa: ARG001 - Celery's signature
    kwargs: Any = None,  # noqa: ARG001
    options: Mapping[str, Any] | None = None,  # noqa: ARG001
    task: Any = None,
    **_: Any,
) -> dict[str, str] | None:
    """The queue of a task: what stands before the dot when that is a provider, else the default queue.

    A task of ours says itself whether it calls a provider (``guarded``); one that is known by name
    only is taken at its name.
    """
    provider, dot, _operation = name.partition(".")
    if not dot or provider in {UPKEEP, _CELERYS_OWN} or not getattr(task, "guarded", True):
        return None
    return {"queue": provider, "routing_key": provider}
