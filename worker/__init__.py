"""The engine: everything between a task and a provider. It knows no provider by name.

``enqueue_many`` and ``find_submission`` load when they are first asked for: who only imports the tasks does
not pay for them.
"""

from typing import TYPE_CHECKING

from worker.application import app

if TYPE_CHECKING:
    from worker.bulk import Batch, enqueue_many
    from worker.submissions import find_submission

__all__ = ["Batch", "app", "enqueue_many", "find_submission"]


def __getattr__(name: str) -> object:
    """What :mod:`worker.bulk` and :mod:`worker.submissions` offer."""
    if name == "find_submission":
        from worker.submissions import find_submission

        return find_submission
    if name in {"Batch", "enqueue_many"}:
        from worker import bulk

        return getattr(bulk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
