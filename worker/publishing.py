"""Publishing with the record first: what Celery sends for a provider's task, Redis knows before.

Every way to publish ends in ``send_task_message``, be it ``delay``, a chain's next step or a
chord's header, so this is the one place that writes records.
"""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from celery.app.amqp import AMQP

from worker import registry
from worker.bulk.template import Template, slot
from worker.errors import ArgumentsInvalid, EnqueueFailed
from worker.message import frozen, lane_of, new_mark, thawed
from worker.submissions.ledger import noted_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from worker.task import GuardedTask

__all__ = ["RecordedAMQP"]

logger = logging.getLogger("narrows")

_HEADER_OPTIONS = ("expires", "ignore_result", "soft_time_limit", "time_limit")
"""What Celery writes into the headers and nowhere else."""


class RecordedAMQP(AMQP):
    """Celery's message builder, with a record before each message of a guarded task."""

    def Queues(self, queues: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N802 - Celery's name
        """The queues that workers consume: one for each provider, and ``upkeep``."""
        from config import rabbit, urls
        from config.queues import queues as declared

        arguments = rabbit.QUEUE if urls.is_rabbit(str(self.app.conf.broker_url)) else None
        return super().Queues(queues or declared(registry.names(), arguments=arguments), *args, **kwargs)

    def _create_task_sender(self) -> Callable[..., Any]:
        """Celery's sender, and what every message of ours has beside."""
        from worker.outgoing import outgoing

        return outgoing(self.app, super()._create_task_sender())

    @cached_property
    def send_task_message(self) -> Callable[..., Any]:
        """Celery's sender, writing the record first where there is one to write."""
        publish = self._create_task_sender()

        def send(producer: Any, name: str, message: Any, **options: Any) -> Any:
            if not getattr(self.app.tasks.get(name), "guarded", False):
                return publish(producer, name, message, **options)
            from worker.engine import engine

            mark = _mark_of(message, options)
            with engine().tracer.sending(name, message.headers, mark):
                return self._send_recorded(publish, producer, name, message, options, mark)

        return send

    def republish(self, text: str | bytes, *, copy: bool = False) -> None:
        """Publish a recorded message again, as it was; a *copy*, which may not be the only one, says so."""
        message, options = thawed(text)
        if message.headers.get("expires") and self._may_have_arrived(message.headers):
            message.headers["expires"] = None
        if copy:
            message.headers["narrows"] = {**(message.headers.get("narrows") or {}), "copy": True}
        from worker.engine import engine

        if engine().tracer.on:  # or the wait in line would count as one for a worker
            message.headers["narrows"] = {**(message.headers.get("narrows") or {}), "sent_at": time.time()}
        with self.app.producer_pool.acquire(block=True) as producer:
            self._create_task_sender()(producer, message.headers["task"], message, **options)

    def _may_have_arrived(self, headers: Mapping[str, Any]) -> bool:
        """Whether it is a submission that was sent: it is seen through, however late it is."""
        from worker.engine import engine

        operation = getattr(self.app.tasks.get(headers["task"]), "operation", None)
        if operation is None or operation.submission is None:
            return False
        known = engine().ledger(operation.provider.name).get(headers["id"])
        return known is not None and known.state != "queued"

    def template(
        self, task: GuardedTask, *, lane: str, expires: Any = None, ignore_result: bool | None = None
    ) -> Template:
        """What ``apply_async`` writes for a call of *task*, with slots for what differs from call to call.

        The steps are those of ``Task.apply_async`` and ``Celery.send_task``; nothing is sent.
        """
        from worker.engine import engine

        said = {"expires": expires, "ignore_result": ignore_result}
        options = {**task._get_exec_options(), "ignore_result": task.ignore_result}  # noqa: SLF001 - as it does
        options |= {name: value for name, value in said.items() if value is not None}
        header = {name: options.pop(name, None) for name in _HEADER_OPTIONS}
        options |= {name: slot(name) for name in ("argsrepr", "kwargsrepr")}
        options = self.router.route(options, task.name, (), {}, task)
        _own_queue(task.name, task.operation.provider.name, options.get("queue"))
        parent = self.app.current_worker_task
        message = self.create_task_message(
            slot("task_id"),
            task.name,
            reply_to=self.app.thread_oid,
            root_id=parent and (parent.request.root_id or parent.request.id),
            parent_id=parent and parent.request.id,
            shadow=task.shadow_name((), {}, options),
            **header,
            **options,
        )
        message.headers["narrows"] = {
            **new_mark(),
            **engine().tracer.carried(),
            "at": slot("at"),
            "lane": lane,
            "recorded": True,
        }
        message = message._replace(body=(slot("args"), slot("kwargs"), message.body[2]))
        ends, given = _milliseconds(message.headers["expires"]), header["expires"]
        if ends is not None:
            left = given if isinstance(given, int | float) else ends / 1000 - time.time()
            options["expiration"] = max(0, left)
        return Template(frozen(message, options), expires=ends)

    def _send_recorded(
        self,
        publish: Any,
        producer: Any,
        name: str,
        message: Any,
        options: dict[str, Any],
        mark: Mapping[str, Any],
    ) -> Any:
        from worker.engine import engine

        lane = lane_of(mark, default=self.app.tasks[name].operation.lane)
        message.headers["narrows"] = {**mark, "lane": lane, "recorded": True}
        task_id, provider = message.headers["id"], name.partition(".")[0]
        _own_queue(name, provider, options.get("queue"))
        due = _milliseconds(message.headers.pop("eta", None))
        message.headers["eta"] = None
        records = engine().records(provider)
        expires = _milliseconds(message.headers.get("expires"))
        behind = registry.provider(provider).caching is None  # otherwise a worker may have the answer
        noted = message.headers["narrows"].pop("noted", None)
        operation = self.app.tasks[name].operation
        if noted is None and operation.submission is not None:  # sent by name, past the task's own checks
            noted = noted_of(operation, *engine().sealer.open(name, *message.body[:2]))
        text = frozen(message, options)
        if not records.write(
            task_id, text, due, lane=lane, expires=expires, behind=behind, noted=noted or ""
        ):
            return None
        try:
            return publish(producer, name, message, **options)
        except Exception as why:  # noqa: BLE001 - whatever stopped it, nothing stays half done
            text = f"{name}: the broker does not take messages ({type(why).__name__})"
            raise EnqueueFailed(f"{text}; {records.undone(task_id, keyed=_keyed(noted))}") from None


def _mark_of(message: Any, options: Mapping[str, Any]) -> dict[str, Any]:
    """Our own header of *message*, out of both places where Celery may have put it."""
    return {**(message.headers.get("narrows") or {}), **(options.get("headers") or {}).pop("narrows", {})}


def _keyed(noted: str | None) -> bool:
    """Whether it is a submission with an idempotency key."""
    return bool(noted and json.loads(noted)["print"])


def _own_queue(name: str, provider: str, queue: Any) -> None:
    """A call outside of its provider's queue would be taken for lost, and published again."""
    chosen = getattr(queue, "name", queue)
    if chosen not in {None, provider}:
        raise ArgumentsInvalid(f"{name}: queue: takes {provider!r}, its provider's, which is the default")


def _milliseconds(moment: str | None) -> int | None:
    """*moment* (ISO 8601) in ms since the epoch; Celery's workers, too, take one without a zone for UTC."""
    if not moment:
        return None
    when = datetime.fromisoformat(moment)
    return round((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() * 1000)
