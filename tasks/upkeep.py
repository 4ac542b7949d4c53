"""What beat has done: a look at the fleet once a minute, so that trouble stands in the log."""

from __future__ import annotations

import logging
from typing import Any

from worker.application import app

__all__ = ["check_health"]

logger = logging.getLogger("narrows")

EVENTS = {
    "breaker_open": "breaker not closed for long",
    "credentials_refused": "credentials set aside",
    "quota_low": "quota nearly spent",
    "dead_letters": "dead letters waiting",
    "in_doubt": "submissions in doubt for long",
    "poller_late": "open submissions not asked about",
}


@app.task(name="upkeep.check_health")
def check_health() -> dict[str, Any]:
    """``{"ready": bool, "failed": [check, ...], "concerns": {provider: {kind: amount}}}``, logged.

    Looks for a breaker that has not been closed for five minutes, credentials that were refused, a quota of
    which a tenth is left, dead letters, submissions in doubt for an hour, and open ones that nobody asked
    about for three. When the state Redis does not answer, the providers are left out.
    """
    from worker.doctor.readiness import ready
    from worker.engine import engine

    checks = ready(engine(), app)
    failed = [check.name for check in checks if not check.ok]
    for check in checks:
        if not check.ok:
            logger.warning("dependency failed", extra={"dependency": check.name, "detail": check.detail})
    reached = "state" not in failed
    if reached and "broker" not in failed:
        _resume()
    return {"ready": not failed, "failed": failed, "concerns": _concerns() if reached else {}}


def _resume() -> None:
    """Have polling go on where a run of it was killed."""
    from tasks.polling import resume_polling
    from worker.engine import engine

    for name in resume_polling(engine()):
        logger.info("polling resumed", extra={"integration.provider": name})


def _concerns() -> dict[str, dict[str, float]]:
    from worker.concerns import all_concerns
    from worker.engine import engine
    from worker.snapshot import look

    found: dict[str, dict[str, float]] = {}
    for concern in all_concerns(look(engine())):
        found.setdefault(concern.provider, {})[concern.kind] = concern.amount
        extra = {"integration.provider": concern.provider, "amount": concern.amount}
        logger.warning(EVENTS[concern.kind], extra=extra)
    return found
