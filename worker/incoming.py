"""A message that a worker has just got, with its arguments masked for whoever looks."""

from __future__ import annotations

import logging
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError
from celery.worker import state
from celery.worker.request import Request, task_ready

from worker.redaction import masked

__all__ = ["Incoming"]

logger = logging.getLogger("narrows")


class Incoming(Request):
    """Celery's request; events, logs and ``inspect`` show what the operation lets be seen.

    A message from a service that does not run our code carries its own unmasked summary.
    """

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        self._argsrepr, self._kwargsrepr = masked(self.task.operation, self._args, self._kwargs)
        self._request_dict["argsrepr"], self._request_dict["kwargsrepr"] = self._argsrepr, self._kwargsrepr

    def revoked(self) -> bool:
        """What Celery says, but for a submission that may have arrived: it is seen through."""
        if (self.expires or self.id in state.revoked) and self._may_have_arrived():
            return False
        return bool(super().revoked())

    def _may_have_arrived(self) -> bool:
        operation = self.task.operation
        if operation.submission is None:
            return False
        from worker.engine import engine

        known = engine().ledger(operation.provider.name).get(self.id)
        return known is not None and known.id == self.id and known.state != "queued"

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """What Celery does, unless a prefork child died: the call is not over, its lease brings it back."""
        why = exc_info.exception
        if isinstance(why, ExceptionWithTraceback):
            why = why.exc
        if not isinstance(why, WorkerLostError | SystemExit | KeyboardInterrupt):
            return super().on_failure(exc_info, *args, **kwargs)
        return self._lost("pool process lost")

    def on_retry(self, exc_info: Any) -> None:
        """What Celery does; Flower reads why the call waits and about until when, and no traceback."""
        why = exc_info.exception
        if isinstance(why, ExceptionWithTraceback):
            why = why.exc
        if self.task.acks_late:
            self.acknowledge()
        self.send_event("task-retried", exception=_until(why), traceback=None)

    def on_timeout(self, soft: bool, timeout: float) -> Any:  # noqa: FBT001 - Celery's signature
        """What Celery does, unless the child is killed for it: see :meth:`on_failure`."""
        return super().on_timeout(soft, timeout) if soft else self._lost("task killed at its time limit")

    def _lost(self, event: str) -> None:
        task_ready(self)
        logger.warning(event, extra={"task": self.name, "task_id": self.id})
        self.send_event("task-retried", exception=event, traceback="")

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """What ``celery inspect`` and Flower's worker page show."""
        shown: dict[str, Any] = super().info(safe=True)
        return shown


def _until(retry: Any) -> str:
    """``spotify answered 429, again in 600.0 s · about 14:47 UTC``."""
    import time

    from worker.whereabouts import clock

    now = time.time()
    wait = retry.when if isinstance(retry.when, int | float) else 0.0
    return f"{retry.message or type(retry.exc).__name__} · about {clock(now + wait, now)}"
