"""Asks the cities how the submissions stand that they have taken, and tells who wants to know.

1. Beat starts a *round* each hour: every open submission that was not asked about since is due.
2. One run at a time works on a provider's round (``tasks/city311/poller.py``). It ends itself after a while,
   and goes on in a new message.
3. A run that was killed, or that could not ask just then, leaves its round unfinished: the look at the fleet
   each minute (``upkeep.check_health``) has it taken up again.
4. A change is announced before it is remembered: who listens hears of each at least once, and after a kill
   perhaps twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from config.queues import UPKEEP
from worker.application import app
from worker.keys import keys

if TYPE_CHECKING:
    from tasks.city311.poller import Poller
    from worker.engine import Engine

__all__ = ["poll_service_requests", "resume_polling"]

CHECK = "check_service_request"


@app.task(name="nyc311.poll_service_requests")
def poll_service_requests(provider: str | None = None, *, resume: bool = False) -> dict[str, Any]:
    """Ask about the open submissions of one provider, or start that for each.

    ``{"started": [provider, ...]}``, or ``{"asked": n, "changed": n, "failed": n, "ended": word}`` with
    one of the words of :class:`tasks.city311.poller.Poller`.

    Args:
        provider: One; None is all that have ``check_service_request``.
        resume: Go on with the unfinished round, if there is one, and begin none.
    """
    from worker.engine import engine

    if provider is None:
        started = pollable()
        for name in started:
            poll_service_requests.apply_async((name,), queue=UPKEEP, expires=_soon(engine()))
        return {"started": list(started)}
    run = _poller(engine(), provider).run(resume=resume)
    if run.ended == "later":
        poll_service_requests.apply_async((provider,), {"resume": True}, queue=UPKEEP)
    return {"asked": run.asked, "changed": run.changed, "failed": run.failed, "ended": run.ended}


def resume_polling(engine: Engine) -> list[str]:
    """The providers whose round nobody works on, which this takes up again; two round trips each."""
    left = [
        name
        for name in pollable()
        if engine.state.exists(keys(name).round) and not engine.state.exists(keys(name).polling)
    ]
    for name in left:
        poll_service_requests.apply_async((name,), {"resume": True}, queue=UPKEEP, expires=_soon(engine))
    return left


def pollable() -> tuple[str, ...]:
    """Every provider whose submissions can be asked about."""
    from worker import registry

    return tuple(name for name in registry.names() if f"{name}.{CHECK}" in app.tasks)


def _poller(engine: Engine, provider: str) -> Poller:
    from tasks.city311.announcer import Announcer
    from tasks.city311.poller import LONGEST_RUN, Poller
    from worker.lease import Lease

    exchange = engine.gateway(provider).provider.timeouts.total
    return Poller(
        state=engine.state,
        ledger=engine.ledger(provider),
        # It outlives the longest call, and what Redis may take before and after it.
        lease=Lease(engine.line, keys(provider).polling, seconds=exchange + 30.0),
        check=app.tasks[f"{provider}.{CHECK}"],
        announce=Announcer(
            state=engine.state, provider=provider, send=app.send_task, task=engine.settings.status_task
        ),
        longest=min(LONGEST_RUN, engine.settings.task_time_limit * 0.4),
    )


def _soon(engine: Engine) -> float:
    """Seconds within which a run starts, or the next one does instead."""
    return engine.settings.task_time_limit
