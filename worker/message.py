"""A task message as data: all that is needed to publish a call again, broker or no broker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from celery.app.amqp import task_message
from kombu.utils.json import dumps, loads

from worker.context import to_header
from worker.formats import FORMAT
from worker.lane import LANES, lane_of

if TYPE_CHECKING:
    from celery.app.task import Context

__all__ = ["LANES", "frozen", "lane_of", "new_mark", "of_request", "request_of", "thawed"]

_HEADERS = (
    "lang", "task", "id", "shadow", "eta", "expires", "group", "group_index", "retries", "timelimit",
    "root_id", "parent_id", "argsrepr", "kwargsrepr", "origin", "ignore_result",
    "replaced_task_nesting", "stamped_headers", "stamps",
)  # fmt: skip
"""Celery's message protocol 2: https://docs.celeryq.dev/en/stable/internals/protocol.html, 2026-11-21."""

_NOT_OPTIONS = {"producer", "headers", "exchange", "event_dispatcher", "declare", "connection"}


def new_mark() -> dict[str, Any]:
    """Our own header, ``narrows``: when the call was enqueued, and on whose behalf."""
    return {"v": FORMAT, "at": time.time(), **to_header()}


def frozen(message: Any, options: dict[str, Any]) -> str:
    """*message* and how it is to be published, as JSON."""
    queue = options.get("queue")
    plain = {key: value for key, value in options.items() if key not in _NOT_OPTIONS and value is not None}
    if queue is not None and not isinstance(queue, str):
        plain["queue"] = queue.name
    headers = {**message.headers, **(options.get("headers") or {})}
    return str(dumps([headers, message.properties, message.body, plain]))


def thawed(text: str | bytes) -> tuple[Any, dict[str, Any]]:
    """The message and options that :func:`frozen` wrote."""
    headers, properties, body, options = loads(text)
    return task_message(headers=headers, properties=properties, body=tuple(body), sent_event=None), options


def of_request(request: Context, name: str, provider: str) -> str:
    """The message behind a running task, for a call that its producer did not record."""
    headers = {key: request.get(key) for key in _HEADERS}
    headers.update(request.headers or {})
    headers.update(lang="py", task=name, id=request.id, eta=None)
    parts = {
        "callbacks": request.callbacks,
        "errbacks": request.errbacks,
        "chain": request.chain,
        "chord": request.chord,
    }
    properties = {
        "correlation_id": request.correlation_id or request.id,
        "reply_to": request.reply_to or "",
    }
    body = _sealed(name, [list(request.args or ()), dict(request.kwargs or {}), parts])
    return str(dumps([headers, properties, body, {"queue": provider}]))


def _sealed(name: str, body: Any) -> Any:
    """*body* as it may lie in a record."""
    from worker.engine import engine

    sealer = engine().sealer
    if not sealer.patterns:
        return body
    from worker.application import app
    from worker.sealing.body import sealed_body

    return sealed_body(sealer, app.tasks, name, body)


def request_of(text: str | bytes) -> Context:
    """The request that a worker would have had: Celery tells chords, chains and errbacks by it."""
    from celery.app.task import Context

    message, _ = thawed(text)
    args, kwargs, embedded = message.body
    return Context({**message.headers, **embedded, **message.properties, "args": args, "kwargs": kwargs})
