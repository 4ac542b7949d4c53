"""Calls on record whose task this worker does not know: it waits in Redis for a worker that does.

While a deploy goes round, old workers take messages of tasks that only the new ones have. Such a message did
not vanish: were it dropped, the reconciler would count it so, and bury the call after eight. Nor is it put
back: an old worker would take it again at once. So its call is claimed, and waits.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from celery import states

from worker import registry
from worker.claim import Claim
from worker.lane import lane_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from celery import Celery

    from worker.engine import Engine

__all__ = ["LEAST", "MOST", "handed_over"]

logger = logging.getLogger("narrows")

LEAST, MOST = 5.0, 300.0
"""Seconds that such a call waits: a quarter of its age, within these. A task that no worker will ever know
costs little, and stays in sight; a deploy that lasts is not waited for much longer than it takes."""

REASON = "unknown_task"


def handed_over(engine: Engine, app: Celery, headers: Mapping[str, Any]) -> bool:
    """Whether the message may go, because its call is on record or has ended. Two round trips.

    Raises:
        StateUnavailable, RedisError: Redis does not answer; nothing was changed, or the call waits.
    """
    mark, task = headers.get("narrows"), headers.get("task")
    home = task.partition(".")[0] if isinstance(task, str) else ""
    if not isinstance(mark, dict) or not mark.get("recorded") or home not in registry.names():
        return False
    gate = engine.gateway(home).gate
    task_id = str(headers["id"])
    claim = Claim(
        home=home,
        task_id=task_id,
        recorded=True,
        lane=lane_of(mark),
        lease=engine.settings.claim_lease,
    )
    word = gate.claim(claim)
    if word == "gone":  # ended, or lost by Redis
        return bool(app.backend.get_task_meta(task_id)["status"] in states.READY_STATES)
    if word == "ok":
        wait = min(MOST, max(LEAST, (claim.clock - claim.created_at) / 4))
        failed, backoff = claim.attempt, claim.backoff  # stay as they are
        gate.finish(None, claim, "wait", wait=wait, attempt=failed, backoff=backoff, reason=REASON)
        logger.warning(
            "call left to a newer worker", extra={"integration.provider": home, "task_id": task_id}
        )
    return True
