"""Results in Redis: a success is written without a look before it, and who waits is told why.

Celery reads a task's result before each write, so that nothing overwrites a success. A success written over
a success overwrites nothing; all other states still look.

Of a call that lies in Redis until its turn comes, Celery knows at most why it was held back at some time. Who
reads its result hears where it is now and when it is expected to run.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from celery import states
from celery.backends.redis import RedisBackend, SentinelBackend
from redis.exceptions import RedisError

from worker import errors, registry
from worker.deferral import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.why import Whereabouts

__all__ = ["Results", "SentinelResults"]

Told = TypeVar("Told")

logger = logging.getLogger("narrows")

BLIND = 5.0
"""Seconds for which nobody looks again after the state Redis did not answer: readers have to go on."""

LOOK = 5.0
"""Seconds between two looks of who waits for a result. News of it may be lost with the server that was to
send them; of a hung one nobody hears anything, not even that."""

_OPEN = frozenset({states.PENDING, states.RETRY})


class Results(RedisBackend):
    """Celery's Redis backend, one round trip shorter for a task that succeeded."""

    _blind_until = 0.0

    def get_task_meta(self, task_id: str, cache: bool = True) -> dict[str, Any]:  # noqa: FBT001, FBT002 - Celery's
        """What Celery keeps of the task; while its call waits, RETRY, and why and until when.

        ``result`` is an exception with that as its text then, ``waiting`` a dictionary of the details; both
        have ``submission``, what callers are told of one. A task that is not ready costs a round trip
        more, one that waits or that nobody knows two. Not so in workers, which ask only whether a task has
        ended.
        """
        meta = self.stored(task_id, cache=cache)
        if meta["status"] not in _OPEN or self.app.use_fast_trace_task:
            return meta
        found = self._asked(_look, task_id)
        if found is not None and found.waits:
            return {**meta, **_waiting(found, meta)}
        if found is None and meta["status"] == states.PENDING:
            told = self._asked(_accepted, task_id)  # a result stays for a day, what is accepted for 30
            if told is not None:
                return {**meta, "task_id": task_id, "status": states.SUCCESS, "result": told}
        return meta

    def stored(self, task_id: str, *, cache: bool = True) -> dict[str, Any]:
        """What Celery keeps of the task, whatever its record says."""
        meta: dict[str, Any] = super().get_task_meta(task_id, cache=cache)
        return meta

    def _wait_for_pending(
        self, result: Any, on_interval: Callable[[], Any] | None = None, **kwargs: Any
    ) -> Any:
        looked = time.monotonic()

        def on_second() -> None:
            nonlocal looked
            if on_interval is not None:
                on_interval()
            if time.monotonic() - looked < LOOK:
                return
            looked = time.monotonic()
            with suppress(RedisError, OSError):  # a server that is away; what waits has a timeout of its own
                self.result_consumer.on_wait_for_pending(result)

        return super()._wait_for_pending(result, on_interval=on_second, **kwargs)

    def _asked(self, look: Callable[[Any, str], Told | None], task_id: str) -> Told | None:
        """What *look* finds; None when that is nothing, or cannot be read now."""
        if time.monotonic() < self._blind_until:
            return None
        try:
            return look(self.app, task_id)
        except Exception as why:  # noqa: BLE001 - whatever it is, the result itself was read
            self._blind_until = time.monotonic() + BLIND
            logger.warning("record not read", extra={"task_id": task_id, "error_type": type(why).__name__})
            return None

    def _store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: Any = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        if state != states.SUCCESS:
            return super()._store_result(
                task_id, result, state, traceback=traceback, request=request, **kwargs
            )
        meta = self._get_result_meta(result=result, state=state, traceback=traceback, request=request)
        self._set_with_state(
            self.get_key_for_task(task_id), self.encode({**meta, "task_id": str(task_id)}), state
        )
        return result

    def _set(self, key: str, value: str, expires: int | None = None) -> None:
        """Celery's own, without SETEX, of which redis-py warns each time."""
        lives = self.expires if expires is None else expires
        with self.client.pipeline() as pipe:
            pipe.set(key, value, ex=lives or None)
            pipe.publish(key, value)
            pipe.execute()


class SentinelResults(Results, SentinelBackend):
    """The same, on the primary that Sentinels name."""


def _accepted(app: Any, task_id: str) -> dict[str, Any] | None:  # noqa: ARG001 - as _look
    from worker.submissions.finding import find_submission

    told = find_submission(task_id)
    own = told and told["submission_id"] == task_id  # a call that repeats another may be refused yet
    return told if told and own and told["state"] == "accepted" else None


def _look(app: Any, task_id: str) -> Whereabouts | None:
    from worker.engine import engine
    from worker.why import waits_at, whereabouts

    if not registry.names():
        app.loader.import_default_modules()  # who only reads results has not imported the tasks
    provider = waits_at(engine(), task_id)
    return whereabouts(engine(), task_id, [provider]) if provider else None


def _waiting(found: Whereabouts, meta: dict[str, Any]) -> dict[str, Any]:
    """What a reader is told beside what is stored; of a call that failed also what it failed with."""
    stored = meta["result"]
    cause = f" · {stored}" if stored and found.state != "parked" else ""
    why = _kind(found, stored)(f"{found}{cause}")
    if isinstance(why, errors.CallDeferred):
        why.provider, why.wait = found.provider, max(0.0, (found.expected or found.at) - found.at)
    waiting = found.as_dict()
    vars(why)["submission"] = waiting["submission"]  # for who has only `info`
    return {"task_id": found.task_id, "status": states.RETRY, "result": why, "waiting": waiting}


def _kind(found: Whereabouts, stored: object) -> type[errors.NarrowsError]:
    """The error that holds the call back now; of one that failed, the error that it failed with."""
    if found.state != "parked" and isinstance(stored, errors.NarrowsError):
        return type(stored)
    return kind_of(found.reason)
