"""A message's body without sealed tasks' arguments in clear, in itself or in its next steps.

A chain's next steps, a chord's body and what is linked lie in a message as signatures: dictionaries with a
task's name and its arguments, one within another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from worker.errors import ArgumentsInvalid

if TYPE_CHECKING:
    from worker.sealing.sealer import Sealer

__all__ = ["sealed_body"]

_IN_CLEAR = frozenset({"celery.map", "celery.starmap", "celery.chunks"})
"""Celery's own tasks that carry the arguments of many calls and make them in their own slot."""


def sealed_body(sealer: Sealer, tasks: Mapping[str, Any], name: str, body: Any) -> tuple[Any, Any, Any]:
    """Arguments by place, by name, and next steps as they may lie in Redis; the caller's own do not change.

    Args:
        sealer: Seals.
        tasks: The application's tasks by name; only operations open what was sealed.
        name: The message's task.
        body: Those three as they are.

    Raises:
        ArgumentsInvalid: ``map``, ``starmap`` or ``chunks`` of a sealed task.
        SealBroken: A part that was sealed already cannot be opened.
    """
    args, kwargs, embedded = body
    walk = _Walk(sealer, tasks)
    args, kwargs = walk.arguments(name, args, kwargs)
    return args, kwargs, walk.within(embedded)


class _Walk:
    """Through a body and the signatures in it."""

    def __init__(self, sealer: Sealer, tasks: Mapping[str, Any]) -> None:
        self._sealer, self._tasks = sealer, tasks

    def arguments(self, name: str, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Those of a call or signature of *name*."""
        if name in _IN_CLEAR:
            self._refuse(kwargs)
        if not self._guarded(name):
            return self.within(args), self.within(kwargs)
        return self._sealer.seal(name, args, kwargs)

    def within(self, value: Any) -> Any:
        """*value* with the signatures in it sealed."""
        if isinstance(value, Mapping):
            return self._signature(value) if _is_signature(value) else self._each(value)
        if isinstance(value, list | tuple):
            return [self.within(one) for one in value]
        return value

    def _signature(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        args, kwargs = self.arguments(value["task"], value.get("args") or (), value.get("kwargs") or {})
        return {**value, "args": args, "kwargs": kwargs, "options": self.within(value.get("options") or {})}

    def _each(self, value: Mapping[str, Any]) -> Mapping[str, Any]:
        return {key: self.within(one) for key, one in value.items()}

    def _guarded(self, name: str) -> bool:
        return bool(getattr(self._tasks.get(name), "guarded", False))

    def _refuse(self, kwargs: Mapping[str, Any]) -> None:
        task = kwargs.get("task")
        name = task.get("task") if isinstance(task, Mapping) else task
        if isinstance(name, str) and self._guarded(name) and self._sealer.seals(name):
            raise ArgumentsInvalid(
                f"{name}: its arguments are sealed, and map, starmap and chunks would send them in clear; "
                "take enqueue_many, or a group"
            )


def _is_signature(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("task"), str) and "args" in value and "kwargs" in value
