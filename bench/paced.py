"""The bare task on our own Celery parts: paced events and a result store that does not look first.

What they save is Celery's, not the guard's; this contender shows how much of a ratio it is.
"""

from __future__ import annotations

from typing import Any

from celery import Celery

from bench.address import TIMEOUTS, parameters, thing
from bench.bare import configuration, pooled

__all__ = ["app"]


def _ours() -> dict[str, Any]:
    given = configuration()
    return {**given, "result_backend": f"worker.results:Results+{given['result_backend']}"}


app = Celery("paced", events="worker.events:PacedEvents")
app.add_defaults(_ours)

_session = pooled()


@app.task(name="bare_paced.fetch")
def fetch(number: int, latency_ms: int = 0) -> Any:
    """The answer, through a pooled session."""
    reply = _session.get(thing(), params=parameters(number, latency_ms), timeout=TIMEOUTS)
    reply.raise_for_status()
    return reply.json()
