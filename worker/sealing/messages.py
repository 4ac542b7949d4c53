"""Messages that leave nothing of a sealed task's arguments in clear.

Whoever publishes, be it ``delay``, ``send_task``, or a plain task that begins a chain: Celery makes the
message in ``as_task_v2``.
"""

from __future__ import annotations

from typing import Any

from worker.publishing import RecordedAMQP
from worker.redaction import masked
from worker.sealing.body import sealed_body

__all__ = ["SealedAMQP"]


class SealedAMQP(RecordedAMQP):
    """Celery's message builder, with records before messages, and seals."""

    def as_task_v2(
        self, task_id: str, name: str, args: Any = None, kwargs: Any = None, *more: Any, **options: Any
    ) -> Any:
        """Celery's message, sealed where its task or a next step's is.

        Raises:
            ArgumentsInvalid: ``map``, ``starmap`` or ``chunks`` of a sealed task.
            SealBroken: A part that was sealed already cannot be opened.
        """
        from worker.engine import engine

        sealer = engine().sealer
        if not sealer.patterns:
            return super().as_task_v2(task_id, name, args, kwargs, *more, **options)
        operation = getattr(self.app.tasks.get(name), "operation", None)
        if operation is not None and options.get("argsrepr") is None:
            options["argsrepr"], options["kwargsrepr"] = masked(operation, args, kwargs)
        message = super().as_task_v2(task_id, name, args, kwargs, *more, **options)
        return message._replace(body=sealed_body(sealer, self.app.tasks, name, message.body))
