"""Takes messages from the broker; what no worker can take is kept, not thrown away.

1. Bytes that are no message get an envelope (:mod:`worker.envelope`).
2. What Celery refuses, or would end on, becomes a letter in ``dlq:unroutable``; then it is acknowledged.
3. A call on record whose task is not known here is left to a newer worker: in a rolling deploy there is one.
4. While the state Redis does not answer, such messages go back into their queue after a pause.

Celery logs a refused body and its headers; here the reason is logged and nothing of the message.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import signals
from celery.exceptions import NotRegistered
from celery.utils.objects import Bunch
from celery.worker.consumer import Consumer as CeleryConsumer
from redis.exceptions import RedisError

from worker.engine import engine
from worker.envelope import Intake, flaw_of, text_of
from worker.errors import StateUnavailable
from worker.handover import handed_over
from worker.unroutable import keep, letter_of

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Consumer"]

logger = logging.getLogger("narrows")

PAUSE = 1.0
"""Seconds before a message goes back into its queue, so that it does not go round and round in an outage."""

MISSHAPEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Celery raises, without catching it, over messages of another shape than it expects."""


class Consumer(CeleryConsumer):
    """Celery's consumer, which loses no message that it cannot take."""

    _intake: Intake

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What takes each message; made anew for each connection, before the first one comes."""
        self._intake = Intake(self.task_consumer.channel)
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                if flaw := flaw_of(message):
                    self._set_aside(message, flaw)
                else:
                    handle(message)
            except self.connection_errors:
                raise
            except MISSHAPEN as why:
                if message.acknowledged:
                    raise
                self._set_aside(message, f"it is not made as task messages are ({type(why).__name__})")

        return on_task_received

    def on_decode_error(self, message: Any, exc: Exception) -> None:
        """Its content type is not JSON, or its body is not what it says."""
        self._set_aside(message, f"it cannot be decoded ({type(exc).__name__})")

    def on_unknown_message(self, body: Any, message: Any) -> None:  # noqa: ARG002 - Celery's signature
        """It names no task, in either of Celery's protocols."""
        if self._set_aside(message, "it names no task"):
            signals.task_rejected.send(sender=self, message=message, exc=None)

    def on_invalid_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's
        """It names a task that is known here, and lacks something else."""
        if self._set_aside(message, f"it is not made as task messages are ({type(exc).__name__})"):
            signals.task_rejected.send(sender=self, message=message, exc=exc)

    def on_unknown_task(self, body: Any, message: Any, exc: Exception) -> None:  # noqa: ARG002 - Celery's
        """Its task is not known here; a call on record waits for a worker that knows it."""
        try:
            if handed_over(engine(), self.app, message.headers):
                message.ack_log_error(logger, self.connection_errors)
                return
        except (RedisError, StateUnavailable, OSError) as gone:
            self._put_back_later(message, gone)
            return
        if self._set_aside(message, "no worker that got it knows its task"):
            self._tell_caller(message, exc)

    def _set_aside(self, message: Any, why: str) -> bool:
        """Whether *message* is among the unroutable ones, and acknowledged."""
        try:
            keep(engine(), letter_of(message, self._intake.queue, why))
        except RedisError as gone:
            self._put_back_later(message, gone)
            return False
        logger.error("message unroutable", extra={"queue": self._intake.queue, "reason": why})
        message.ack_log_error(logger, self.connection_errors)
        return True

    def _put_back_later(self, message: Any, why: Exception) -> None:
        """Have *message* again after a pause; a worker that ends before that leaves it unacknowledged."""
        logger.warning("message put back", extra={"error_type": type(why).__name__})
        self.timer.call_after(PAUSE, self._put_back, (message, self._intake.queue))

    def _put_back(self, message: Any, queue: str) -> None:
        """Lay *message* into the very queue that it came from: kombu goes by what it says of itself."""
        try:
            with message.channel.conn_or_acquire() as client:
                client.lpush(queue, text_of(message))
        except self.connection_errors as gone:
            logger.warning("message not put back", extra={"error_type": type(gone).__name__})
        else:
            message.ack_log_error(logger, self.connection_errors)

    def _tell_caller(self, message: Any, exc: Exception) -> None:
        """Who waits for the result hears what Celery says of a task that nobody knows."""
        known = message.headers if "task" in message.headers else message.payload
        task_id, name = str(known["id"]), str(known["task"])
        request = Bunch(
            name=name,
            chord=None,
            root_id=known.get("root_id"),
            correlation_id=message.properties.get("correlation_id"),
            reply_to=message.properties.get("reply_to"),
            errbacks=None,
        )
        try:
            self.app.backend.mark_as_failure(task_id, NotRegistered(name), request=request)
        except Exception as gone:  # noqa: BLE001 - every result store has its own; the message is kept
            logger.warning("failure not stored", extra={"error_type": type(gone).__name__})
        if self.event_dispatcher:
            said = f"NotRegistered({name!r})"
            self.event_dispatcher.send("task-failed", uuid=task_id, exception=said)
        signals.task_unknown.send(sender=self, message=message, exc=exc, name=name, id=task_id)
