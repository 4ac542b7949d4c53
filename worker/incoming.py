"""A message that a worker has just got, with its arguments masked for whoever looks."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request

from worker.redaction import masked

__all__ = ["Incoming"]


class Incoming(Request):
    """Celery's request; events, logs and ``inspect`` show what the operation lets be seen.

    A message from a service that does not run our code carries its own unmasked summary.
    """

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args, **kwargs)
        self._argsrepr, self._kwargsrepr = masked(self.task.operation, self._args, self._kwargs)
        self._request_dict["argsrepr"], self._request_dict["kwargsrepr"] = self._argsrepr, self._kwargsrepr

    def info(self, safe: bool = False) -> dict[str, Any]:  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        """What ``celery inspect`` and Flower's worker page show."""
        shown: dict[str, Any] = super().info(safe=True)
        return shown
