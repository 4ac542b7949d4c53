"""What beat has done with dead letters: replayed each hour, exported each day."""

from __future__ import annotations

import logging
import time
from typing import Any

from worker.application import app

__all__ = ["export_dead_letters", "replay_dead_letters"]

logger = logging.getLogger("narrows")

BY = "beat"
SHARE = 0.6
"""Of the task time limit, for a run; what is left over goes on in another message."""

GOES_ON_WITHIN = 600.0
"""Seconds after which a message that goes on is of no use: the next of beat's will do."""


@app.task(name="upkeep.replay_dead_letters")
def replay_dead_letters() -> dict[str, dict[str, Any]]:
    """``{provider: {"end": why it ended, "outcomes": {what became of letters: how many}}}``.

    Only retryable letters, while breaker and quota allow it, one canary first; see
    :mod:`worker.letters.replay`. A provider with nothing to replay is left out.
    """
    from worker.engine import engine
    from worker.letters.replaying import Replayer

    lasts = engine().settings.task_time_limit * SHARE
    done = Replayer(engine(), lasts=lasts, patience=min(30.0, lasts / 3)).run()
    if any(each.goes_on for each in done):
        replay_dead_letters.apply_async(expires=GOES_ON_WITHIN)
    return {
        each.provider: {"end": each.end, "outcomes": dict(each.outcomes)}
        for each in done
        if each.outcomes or each.end != "done"
    }


@app.task(name="upkeep.export_dead_letters")
def export_dead_letters() -> dict[str, int]:
    """``{provider: letters exported}``; empty without ``NARROWS_EXPORT_TO``.

    Letters older than ``NARROWS_EXPORT_AFTER``, and exhausted ones after a day, in which a person may look.

    Raises:
        StorageFailed: The storage did not take them; they are all still there.
        RedisError: It is away; what had not been confirmed is still there.
    """
    from redis.exceptions import ConnectionError, TimeoutError  # noqa: A004 - Redis's own

    from worker import registry
    from worker.engine import engine
    from worker.letters.exporting import Exporter, overdue
    from worker.letters.unroutable import UNROUTABLE
    from worker.storage import StorageFailed, chosen

    settings = engine().settings
    storage = chosen(settings)
    if storage is None:
        return {}
    until = time.monotonic() + settings.task_time_limit * SHARE
    wanted = overdue(now=time.time(), after=settings.export_after, submits=_submits)
    exported, ends = {}, set()
    for name in sorted({*registry.names(), UNROUTABLE}):
        left = until - time.monotonic()
        try:
            done = Exporter(engine().state, name, storage=storage, by=BY, lasts=left).run(wanted)
        except (StorageFailed, ConnectionError, TimeoutError):
            raise
        except Exception as why:  # noqa: BLE001 - one provider's letters hold up no other's
            broken = {"integration.provider": name, "error": type(why).__name__}
            logger.warning("export interrupted", extra=broken)
            continue
        ends.add(done.end)
        if done.removed:
            exported[name] = done.removed
            extra = {"integration.provider": name, "letters": done.removed, "objects": done.objects}
            logger.info("dead letters exported", extra=extra)
    if "time" in ends:
        export_dead_letters.apply_async(expires=GOES_ON_WITHIN)
    return exported


def _submits(task: Any) -> bool:
    operation = getattr(app.tasks.get(task), "operation", None) if isinstance(task, str) else None
    return operation is not None and operation.submission is not None
