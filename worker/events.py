"""Task events, sent four times a second instead of after each turn of the worker's loop.

Flower lives on events, and they cost a worker up to a third of its rate: each turn publishes what was
buffered, most of the time one event. Nobody looks at Flower more often than this.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import Any

from celery.app.events import Events
from celery.events.dispatcher import EventDispatcher

__all__ = ["PacedDispatcher", "PacedEvents"]

PACE = 0.25
"""Seconds between two sendings of buffered events. Sent from a timer when nothing else happens."""


class PacedDispatcher(EventDispatcher):
    """Celery's dispatcher, keeping its buffer for a moment."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._pace = threading.Lock()
        self._sent_at = 0.0
        self._timer: threading.Timer | None = None
        super().__init__(*args, **kwargs)

    def enable(self) -> None:
        """Begin to send. RabbitMQ confirms no events: they are news, and nobody could wait for its word.

        The worker's loop reads this connection, too, and takes a confirmation from whoever waits for one.
        """
        super().enable()
        channel = self.producer.channel
        if hasattr(channel, "basic_publish_confirm"):
            channel.basic_publish = channel._basic_publish  # noqa: SLF001 - as py-amqp has it without confirming

    def flush(self, errors: bool = True, groups: bool = True) -> None:  # noqa: FBT001, FBT002 - Celery's signature
        """Send what is buffered, now or when the pace allows."""
        with self._pace:
            wait = self._sent_at + PACE - time.monotonic()
            if wait > 0:
                self._send_in(wait)
                return
            self._sent_at = time.monotonic()
        super().flush(errors=errors, groups=groups)

    def close(self) -> None:
        """Close; what is still buffered waits for the next connection, as Celery has it."""
        with self._pace:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        super().close()

    def _send_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = threading.Timer(seconds, self._send_late)
            self._timer.daemon = True
            self._timer.start()

    def _send_late(self) -> None:
        with self._pace:
            self._timer = None
            self._sent_at = time.monotonic()
        with contextlib.suppress(Exception):  # events are news; the loop's next sending says what is wrong
            super().flush()


class PacedEvents(Events):
    """Celery's events with that dispatcher."""

    dispatcher_cls = "worker.events:PacedDispatcher"
