"""Revoking a call: the record hears of it, not only the workers that are up just now.

Celery's revoke is a broadcast that workers keep in memory; a call that waits in Redis, or a worker that
starts tomorrow, would never know.
"""

from __future__ import annotations

from typing import Any

from celery.app.control import Control

from worker import registry
from worker.message import request_of

__all__ = ["RecordedControl", "forget_revoked"]


class RecordedControl(Control):
    """Celery's control with a revoke that lasts."""

    def revoke(self, task_id: Any, *args: Any, **kwargs: Any) -> Any:
        """Revoke one task or several: what waits ends now, what is queued is dropped when it comes."""
        ids = [task_id] if isinstance(task_id, str) else [str(one) for one in task_id]
        left = [one for one in ids if not self._cancel(one)]
        if not left:  # workers would drop each message of it, and store REVOKED
            return None
        return super().revoke(left[0] if isinstance(task_id, str) else left, *args, **kwargs)

    def _cancel(self, task_id: str) -> bool:
        """Whether it is a submission that may have arrived, and is seen through."""
        from worker.engine import engine

        self.app.loader.import_default_modules()  # who only revokes has not imported the tasks
        for name in registry.names():
            state, message = engine().records(name).cancel(task_id)
            if state not in {"", "running", "ended"} and message:
                self.app.backend.mark_as_revoked(task_id, "revoked", request=request_of(message))
            elif state and (known := engine().ledger(name).get(task_id)) and known.state != "queued":
                return True
        return False


def forget_revoked(sender: Any, request: Any, **_: Any) -> None:
    """Celery dropped a message, revoked or expired: its record ends too (``task_revoked`` signal)."""
    from worker.engine import engine

    if getattr(sender, "guarded", False):
        engine().records(sender.operation.provider.name).cancel(str(request.id))
