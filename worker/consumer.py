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

from config.signed import SERIALIZER
from worker.engine import engine
from worker.envelope import flaw_of
from worker.errors import StateUnavailable
from worker.formats import is_newer
from worker.handover import handed_over
from worker.letters.unroutable import CODE, keep, letter_of
from worker.signing.binding import CODE as UNSIGNED
from worker.signing.binding import unsigned
from worker.taken import RABBIT, taking

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.taken import Taking

__all__ = ["Consumer"]

logger = logging.getLogger("narrows")

PAUSE = 1.0
"""Seconds before a message goes back into its queue, so that it does not go round and round in an outage."""

HELD = 8
"""Messages of each queue that RabbitMQ hands over ahead. What runs is acknowledged, so these only wait for a
slot: enough to keep slots busy while an acknowledgement is on its way. What is not held others may have."""

MISSHAPEN = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What Celery raises, without catching it, over messages of another shape than it expects."""


class Consumer(CeleryConsumer):
    """Celery's consumer, which loses no message that it cannot take."""

    _taking: Taking

    class Blueprint(CeleryConsumer.Blueprint):
        """Celery's steps but the one that makes 28 queues for ETAs: direct exchanges take no part in them."""

        default_steps = tuple(
            step for step in CeleryConsumer.Blueprint.default_steps if "delayed_delivery" not in step
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.conninfo.transport.driver_type == RABBIT:  # a prefork pool cannot be asked for its size yet
            self.initial_prefetch_count = HELD

    @property
    def max_prefetch_count(self) -> int:
        """Messages that may be held unacknowledged; of RabbitMQ a few of each queue."""
        if self.conninfo.transport.driver_type == RABBIT:
            return HELD
        return int(super().max_prefetch_count)

    def create_task_handler(self, *args: Any, **kwargs: Any) -> Callable[[Any], None]:
        """What takes each message; made anew for each connection, before the first one comes."""
        self._taking = taking(self.task_consumer)
        signs = self.app.conf.task_serializer == SERIALIZER
        handle = super().create_task_handler(*args, **kwargs)

        def on_task_received(message: Any) -> None:
            try:
                if signs and (doubt := unsigned(message)):
                    self._set_aside(message, doubt, UNSIGNED)
                elif is_newer((message.headers or {}).get("narrows")):
                    self._leave_to_newer(message)
                elif flaw := flaw_of(message):
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
        """Its content type is not one that is taken, or its body is not what it says."""
        if self.task_consumer is None or message.channel is not self.task_consumer.channel:
            logger.error("control message refused", extra={"error_type": type(exc).__name__})
            return  # nobody acknowledges those, and each worker has its own copy
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
        if self._leave_to_newer(message, "no worker that got it knows its task"):
            self._tell_caller(message, exc)

    def _leave_to_newer(self, message: Any, why: str = "a newer version wrote it") -> bool:
        """Whether *message* is among the unroutable ones, for no record of its call could be left to wait."""
        try:
            if handed_over(engine(), self.app, message.headers):
                message.ack_log_error(logger, self.connection_errors)
                return False
        except (RedisError, StateUnavailable, OSError) as gone:
            self._put_back_later(message, gone)
            return False
        return self._set_aside(message, why)

    def _set_aside(self, message: Any, why: str, code: str = CODE) -> bool:
        """Whether *message* is among the unroutable ones, and acknowledged."""
        queue = self._taking.queue_of(message)
        try:
            keep(engine(), letter_of(message, queue, why, code))
        except RedisError as gone:
            self._put_back_later(message, gone)
            return False
        logger.error("message unroutable", extra={"queue": queue, "reason": why})
        message.ack_log_error(logger, self.connection_errors)
        return True

    def _put_back_later(self, message: Any, why: Exception) -> None:
        """Have *message* again after a pause; a worker that ends before that leaves it unacknowledged."""
        logger.warning("message put back", extra={"error_type": type(why).__name__})
        self.timer.call_after(PAUSE, self._put_back, (message, self._taking.queue_of(message)))

    def _put_back(self, message: Any, queue: str) -> None:
        try:
            if self._taking.put_back(message, queue):
                message.ack_log_error(logger, self.connection_errors)
        except self.connection_errors as gone:
            logger.warning("message not put back", extra={"error_type": type(gone).__name__})

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
