"""A message that a worker has just got, with its arguments masked for whoever looks."""

from __future__ import annotations

import logging
from typing import Any

from billiard.einfo import ExceptionWithTraceback
from billiard.exceptions import WorkerLostError
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

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """What Celery does, unless a prefork child died: the call is not over, its lease brings it back."""
        why = exc_info.exception
        if isinstance(why, ExceptionWithTraceback):
            why = why.exc
        if not isinstance(why, WorkerLostError | SystemExit | KeyboardInterrupt):
            return super().on_failure(exc_info, *args, **kwargs)
        return self._lost("pool process lost")

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
