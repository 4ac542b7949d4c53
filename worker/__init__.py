"""The engine: everything between a task and a provider. It knows no provider by name.

``enqueue_many`` loads when it is first asked for: who only imports the tasks does not pay for it.
"""

from typing import TYPE_CHECKING

from worker.application import app

if TYPE_CHECKING:
    from worker.bulk import Batch, enqueue_many

__all__ = ["Batch", "app", "enqueue_many"]


def __getattr__(name: str) -> object:
    """What :mod:`worker.bulk` offers."""
    if name in {"Batch", "enqueue_many"}:
        from worker import bulk

        return getattr(bulk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
