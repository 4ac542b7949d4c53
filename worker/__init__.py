"""The engine: everything between a task and a provider. It knows no provider by name.

All but the application loads when it is first asked for: who only imports the tasks does not pay for it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from worker.application import app

if TYPE_CHECKING:
    from worker.bulk.enqueueing import Batch, enqueue_many
    from worker.logs import (
        clear_request_context,
        get_logger,
        log_exceptions,
        log_execution_time,
        set_request_context,
        setup_logging,
    )
    from worker.submissions.finding import find_submission

__all__ = [
    "Batch",
    "app",
    "clear_request_context",
    "enqueue_many",
    "find_submission",
    "get_logger",
    "log_exceptions",
    "log_execution_time",
    "set_request_context",
    "setup_logging",
]

_FOUND_IN = {
    "Batch": "worker.bulk.enqueueing",
    "clear_request_context": "worker.context",
    "enqueue_many": "worker.bulk.enqueueing",
    "find_submission": "worker.submissions.finding",
    "get_logger": "worker.logs",
    "log_exceptions": "worker.logs",
    "log_execution_time": "worker.logs",
    "set_request_context": "worker.context",
    "setup_logging": "worker.logs",
}


def __getattr__(name: str) -> object:
    """What the modules behind the application offer."""
    if name in _FOUND_IN:
        return getattr(import_module(_FOUND_IN[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
