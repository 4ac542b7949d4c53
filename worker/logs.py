"""How a process of ours logs, and how a service's own functions do that call it.

    from worker import get_logger, log_exceptions, log_execution_time, set_request_context, setup_logging

    setup_logging("INFO", "/var/log/orders", "production")
    logger = get_logger(__name__)

Every line carries what :func:`worker.context.set_request_context` set; within a task, what its caller had set
when it was enqueued, and the task's id. See ``docs/logging.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from config.loggers import get_logger
from worker import context
from worker.context import clear_request_context, set_request_context
from worker.logged import log_exceptions, log_execution_time

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = [
    "clear_request_context",
    "get_logger",
    "log_as_set",
    "log_exceptions",
    "log_execution_time",
    "log_keys",
    "set_request_context",
    "setup_logging",
]

_PRETTY = {"auto": None, "json": False, "pretty": True}


def setup_logging(
    log_level: str | int = "INFO",
    log_dir: str | Path | None = None,
    environment: str = "development",
    *,
    stream: TextIO | None = None,
    pretty: bool | None = None,
) -> None:
    """Send all that this process logs to standard error, and to files in *log_dir* (:mod:`config.logging`).

    Args:
        log_level: A level's name or number.
        log_dir: The folder for app.log, error.log, api.log and model.log; None is no files.
        environment: In ``development`` a terminal gets readable lines, everything else JSON.
        stream: Instead of standard error.
        pretty: Readable lines or not on the stream, whatever the environment.
    """
    from config import logging

    logging.setup_logging(log_level, log_dir, environment, stream=stream, pretty=pretty, context=log_keys)


def log_as_set(settings: Settings, *, log_level: str | None = None) -> None:
    """Log as the *settings* say; *log_level* instead of theirs, for a command whose output is its own."""
    setup_logging(
        log_level or settings.log_level,
        settings.log_dir,
        settings.environment,
        pretty=_PRETTY[settings.log_format],
    )


def log_keys() -> Mapping[str, object]:
    """What every line carries just now: the context, and the id of the task that runs."""
    from worker.application import app

    task = app.current_worker_task
    if task is None:
        return context.log_fields()
    return {"task_id": task.request.id, **(context.log_fields() or context.to_header(_caller(task.request)))}


def _caller(request: Any) -> context.Context:
    """The context in the message of a task, for Celery's lines before and after it is bound.

    It is kept with the request, so that a message without a trace id gets one and the same in all its lines.
    """
    if (claim := request.get("claim")) is not None:
        known: context.Context = claim.context
    elif (kept := request.get("narrows_context")) is not None:
        known = kept
    else:
        known = context.of_message(request)
        request.narrows_context = known
    return known
