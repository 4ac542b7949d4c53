"""Many calls at once: each checked as ``delay`` does, then written straight into its provider's line.

Nothing is published: the releaser publishes a call when its turn has come. So a million calls cost the
broker nothing, and Redis one script for each few hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from worker.bulk.batch import Batch
from worker.bulk.batch_writer import BatchWriter
from worker.errors import ArgumentsInvalid
from worker.lane import lane_named
from worker.task import GuardedTask

__all__ = ["Batch", "enqueue_many"]

MOST = 2000
"""Calls that one script may write: it holds Redis for some 20 us each (measured)."""

LONGEST = 200
"""Characters of a batch's name."""

_SHAPES = "tuples of arguments, dicts of named ones, or the only argument of each call"


def enqueue_many(
    task: GuardedTask,
    calls: Iterable[Any],
    *,
    lane: str = "batch",
    batch_id: str | None = None,
    size: int = 500,
    expires: float | datetime | None = None,
    progress: Callable[[int], None] | None = None,
    ignore_result: bool | None = None,
) -> Batch:
    """The batch of *calls*, all of them in line. ``app.AsyncResult(batch.task_id(3))`` is the fourth one's.

    ::

        enqueue_many(fetch_permits, bbls)                                   # the one argument of each
        enqueue_many(fetch_permits, [("1012650001", 50), ...])              # by place
        enqueue_many(fetch_permits, [{"bbl": "1012650001", "limit": 50}])   # by name

    *calls* may be a generator, of any length: memory stays as it is. The ids are made from *batch_id*
    and each call's number. So after a crash, or whatever was raised, the same calls in the same order
    under the same *batch_id* are enqueued once each, also those that have ended meanwhile. A *batch_id* is
    remembered for 30 days; choose another one for other calls.

    Args:
        task: One of ``tasks``.
        calls: A tuple of arguments, a dict of named ones, or the only argument itself, for each call. A
            list could be either and is refused.
        lane: ``interactive``, ``batch`` or ``replay``.
        batch_id: The batch's name, up to 200 characters; None makes a new one.
        size: Calls to a round trip.
        expires: Seconds from now, or a moment, after which none of them is begun any more.
        progress: Hears, after each round trip, how many calls are in.
        ignore_result: Store no results; None is the task's own choice.

    Raises:
        ArgumentsInvalid: At the first call that ``delay`` would refuse; names its number, its argument, and
            how many calls before it were enqueued.
        EnqueueFailed: Redis does not answer; says how many calls are in for certain.
    """
    from worker.engine import engine

    _check(task, calls, lane=lane, batch_id=batch_id, size=size, expires=expires)
    batch_id = batch_id or uuid4().hex
    with engine().tracer.sending_many(task.name):
        template = task.app.amqp.template(task, lane=lane, expires=expires, ignore_result=ignore_result)
        with BatchWriter(engine(), task, batch_id, template, lane=lane, progress=progress) as writer:
            count = _write(writer, calls, size)
    return Batch(task=task.name, batch_id=batch_id, count=count, new=writer.new)


def _write(writer: BatchWriter, calls: Iterable[Any], size: int) -> int:
    """How many *calls* there were; all of them are in."""
    count, built = 0, []
    for count, call in enumerate(calls, 1):
        if count <= writer.before:
            continue
        try:
            built.append(writer.message(count - 1, *_arguments(call)))
        except ArgumentsInvalid as wrong:
            raise writer.refused(count - 1, wrong) from None
        if len(built) == size:
            writer.send(built, count)
            built = []
    writer.send(built, count)
    writer.settle()
    return count


def _check(task: Any, calls: Any, *, lane: Any, batch_id: Any, size: Any, expires: Any) -> None:
    """Refuse what no call could be made with, before anything is done."""
    if not isinstance(task, GuardedTask):
        raise ArgumentsInvalid("enqueue_many: task: takes a provider's task itself, such as tasks.fetch_bbl")
    name = task.name
    lane_named(lane, name)
    if isinstance(calls, (str, bytes, Mapping)) or not isinstance(calls, Iterable):
        raise ArgumentsInvalid(f"{name}: calls: takes an iterable of {_SHAPES}")
    if batch_id is not None and not (isinstance(batch_id, str) and 0 < len(batch_id) <= LONGEST):
        raise ArgumentsInvalid(f"{name}: batch_id: takes a name of 1 to {LONGEST} characters")
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= MOST:
        raise ArgumentsInvalid(f"{name}: size: takes a whole number from 1 to {MOST}")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, (int, float, datetime))):
        raise ArgumentsInvalid(f"{name}: expires: takes seconds from now, or a datetime")


def _arguments(call: Any) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
    """Arguments by place and by name."""
    if isinstance(call, tuple):
        return call, {}
    if isinstance(call, Mapping):
        return (), call
    if isinstance(call, (list, set, frozenset)):
        raise ArgumentsInvalid(f"takes {_SHAPES}; a {type(call).__name__} as the only argument is (value,)")
    return (call,), {}
