"""A running call's arguments in clear: its message's or, where that is older than its keys, its record's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.errors import SealBroken
from worker.sealing.sealer import is_sealed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from worker.engine import Engine
    from worker.task import GuardedTask

__all__ = ["opened"]


def opened(
    task: GuardedTask, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of *task*, as they are when they are not sealed.

    Raises:
        SealBroken: They cannot be opened. A call from the queue has a claim then, by which it is buried.
    """
    if not is_sealed(args):
        return tuple(args), dict(kwargs)
    from worker.engine import engine

    here = engine()
    try:
        return _clear(here, task.name, args, kwargs)
    except SealBroken:
        if task.request.called_directly or task.request.is_eager:
            raise
        found = _recorded(here, task)
        if found is not None:
            return found
        # Nothing of it has run, so nobody has claimed it; a call without a claim would come again and again.
        task.request.claim = here.runner.claim(task, task.request)  # as run() does
        raise


def _clear(
    here: Engine, task: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    inside, named = here.sealer.open(task, args, kwargs)
    return tuple(inside), dict(named)


def _recorded(here: Engine, task: GuardedTask) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """What the call's record holds, which ``narrows seal rotate`` seals anew; None when that is no better."""
    from redis.exceptions import RedisError

    from worker.message import thawed

    at = here.records(task.operation.provider.name).keys
    try:
        text: Any = here.state.hget(at.call(str(task.request.id)), "message")
    except RedisError:
        return None
    if not text:
        return None
    args, kwargs, _ = thawed(text)[0].body
    try:
        return _clear(here, task.name, args, kwargs)
    except SealBroken:
        return None
