"""Lets Celery's consumer loop say that it turns, for ``/healthz``."""

from __future__ import annotations

from typing import Any

from celery import bootsteps

from worker.doctor.pulse import CONSUMER
from worker.engine import engine

__all__ = ["EVERY", "Liveness"]

EVERY = 5.0
"""Seconds between two words of the loop."""


class Liveness(bootsteps.StartStopStep):
    """A timer in the loop itself, from each connection to the broker until it is lost.

    While there is no broker the loop does not turn, and no restart would bring one: nothing is expected then.
    """

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._timer: Any = None

    def start(self, parent: Any) -> None:
        """The loop is about to begin."""
        if parent.hub is not None:
            engine().pulse.hear(CONSUMER, EVERY)
            self._timer = parent.hub.call_repeatedly(EVERY, engine().pulse.hear, CONSUMER, EVERY)

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """It connects anew, or the worker ends."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        engine().pulse.forget(CONSUMER)

    shutdown = terminate = stop
