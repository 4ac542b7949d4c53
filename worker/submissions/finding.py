"""Submissions of all providers: who has them, and which one is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker import registry
from worker.keys import keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.engine import Engine
    from worker.submissions.submission import Submission

__all__ = ["find", "find_named", "find_submission", "submitters"]


def find_submission(submission_id: str, provider: str | None = None) -> dict[str, Any] | None:
    """What callers may know of a submission; None when nobody remembers one of that id.

    ``{"submission_id", "external_id", "external_status", "state", …}``, as its task returns it; ``state`` is
    one of ``pending_external``, ``accepted``, ``rejected`` and ``in_doubt``. The id of a call that repeats a
    submission leads to that one. Decided ones are remembered for 30 days.

    Args:
        submission_id: The id that ``delay`` returned.
        provider: Whose it is. Without it all are asked, which loads their tasks.

    Raises:
        StateUnavailable: Redis does not answer.
    """
    from redis.exceptions import RedisError

    from worker.application import app
    from worker.engine import engine
    from worker.errors import StateUnavailable

    if provider is None and not registry.names():
        app.loader.import_default_modules()
    try:
        found = find(engine(), submission_id, None if provider is None else [provider])
    except RedisError:
        raise StateUnavailable from None
    return found.told if found else None


def find(engine: Engine, submission_id: str, names: Iterable[str] | None = None) -> Submission | None:
    """The submission of that id, at the providers of *names*, all when None; two round trips.

    Raises:
        RedisError: The state Redis does not answer.
    """
    asked = list(registry.names() if names is None else names)
    with engine.state.pipeline(transaction=False) as ask:
        for name in asked:
            ask.hmget(keys(name).call(submission_id), "submission", "twin")
        having = [name for name, said in zip(asked, ask.execute(), strict=True) if any(said)]
    return next((found for name in having if (found := engine.ledger(name).get(submission_id))), None)


def find_named(
    engine: Engine, operation: str, key: str, names: Iterable[str] | None = None
) -> Submission | None:
    """The submission of that idempotency key, by an *operation* without its provider's name.

    Raises:
        RedisError: The state Redis does not answer.
    """
    asked = registry.names() if names is None else names
    return next((found for name in asked if (found := engine.ledger(name).named(operation, key))), None)


def submitters() -> frozenset[str]:
    """The providers to which something can be submitted, as far as their tasks are loaded here."""
    from worker.application import app

    operations = (getattr(task, "operation", None) for task in list(app.tasks.values()))
    return frozenset(each.provider.name for each in operations if each is not None and each.submission)
