"""Publishing with the record first: what Celery sends for a provider's task, Redis knows before.

Every way to publish ends in ``send_task_message``, be it ``delay``, a chain's next step or a
chord's header, so this is the one place that writes records.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celery.app.amqp import AMQP

from worker import registry
from worker.errors import ArgumentsInvalid, EnqueueFailed
from worker.message import frozen, lane_of, thawed

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["RecordedAMQP"]

logger = logging.getLogger("narrows")


class RecordedAMQP(AMQP):
    """Celery's message builder, with a record before each message of a guarded task."""

    def Queues(self, queues: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - Celery's name
        """The queues that workers consume: one for each provider, and ``upkeep``."""
        from config.queues import queues as declared

        return super().Queues(queues or declared(registry.names()), *args, **kwargs)

    @cached_property
    def send_task_message(self) -> Callable[..., Any]:
        """Celery's sender, writing the record first where there is one to write."""
        publish = self._create_task_sender()

        def send(producer: Any, name: str, message: Any, **options: Any) -> Any:
            if not getattr(self.app.tasks.get(name), "guarded", False):
                return publish(producer, name, message, **options)
            return self._send_recorded(publish, producer, name, message, options)

        return send

    def republish(self, text: str | bytes) -> None:
        """Publish a recorded message again, as it was."""
        message, options = thawed(text)
        with self.app.producer_pool.acquire(block=True) as producer:
            self._create_task_sender()(producer, message.headers["task"], message, **options)

    def _send_recorded(
        self, publish: Any, producer: Any, name: str, message: Any, options: dict[str, Any]
    ) -> Any:
        from worker.engine import engine

        mark = {**(message.headers.get("narrows") or {}), **(options.get("headers") or {}).pop("narrows", {})}
        message.headers["narrows"] = {**mark, "recorded": True}
        task_id, provider = message.headers["id"], name.partition(".")[0]
        _own_queue(name, provider, options.get("queue"))
        due = _milliseconds(message.headers.pop("eta", None))
        message.headers["eta"] = None
        records = engine().records(provider)
        expires = _milliseconds(message.headers.get("expires"))
        lane = lane_of(message.headers["narrows"])
        if not records.write(task_id, frozen(message, options), due, lane=lane, expires=expires):
            return None
        try:
            return publish(producer, name, message, **options)
        except Exception as why:  # noqa: BLE001 - whatever stopped it, nothing stays half done
            text = f"{name}: the broker does not take messages ({type(why).__name__})"
            raise EnqueueFailed(f"{text}; {records.undone(task_id)}") from None


def _own_queue(name: str, provider: str, queue: Any) -> None:
    """A call outside of its provider's queue would be taken for lost, and published again."""
    chosen = getattr(queue, "name", queue)
    if chosen not in {None, provider}:
        raise ArgumentsInvalid(f"{name}: queue: takes {provider!r}, its provider's, which is the default")


def _milliseconds(eta: str | None) -> int | None:
    """*eta* (ISO 8601) in ms since the epoch."""
    return round(datetime.fromisoformat(eta).timestamp() * 1000) if eta else None
