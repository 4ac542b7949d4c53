"""Celery's side of the storm over submissions: the same slips, with late acks and with early ones."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Self

from celery import Celery
from redis import Redis, RedisError

from tests.chaos import plain_submits
from tests.chaos.alone import PlainPrograms, unacknowledged
from tests.chaos.ledger import OVER
from tests.chaos.plan import Submitting
from tests.chaos.slips import Slip
from tests.fleet import Ground, until
from worker.stack.stack import Stack

__all__ = ["KINDS", "Alone"]

KINDS = ("late", "early")
"""By when they are acknowledged; also the names of their desks."""


class Alone:
    """Workers as anybody starts them, for both kinds. Each slip is sent once, by one producer."""

    def __init__(self, ground: Ground, plan: Submitting) -> None:
        self._workers = plan.workers
        self._broker = ground.valkey.database(3)
        self._app = Celery("plain", broker=self._broker, backend=self._broker, set_as_current=False)
        env = {plain_submits.BROKER: self._broker, plain_submits.BASE: ground.sandbox.url}
        self.stack = Stack(
            workers=plan.workers, beat=False, env=env, programs=PlainPrograms(plain_submits.__name__)
        )

    def __enter__(self) -> Self:
        """Ready."""
        self.stack.start()
        until(lambda: len(self._app.control.ping(timeout=0.5)) == self._workers, 30.0)
        return self

    def __exit__(self, *_: object) -> None:
        """Stopped."""
        self.stack.stop(grace=2.0)
        self._app.close()

    def enqueue(self, slip: Slip) -> object:
        """Have it submitted by both; may be said again."""
        return [
            self._app.send_task(f"plain.{kind}", (slip.note,), task_id=f"{kind}-{slip.task_id}")
            for kind in KINDS
        ]

    def told(self, kind: str, slips: Iterable[Slip]) -> dict[str, str | None]:
        """``SUCCESS`` or ``FAILURE`` by note; None of those whose caller was never told."""
        made = list(slips)
        with Redis.from_url(self._broker) as redis:
            found: Any = redis.mget([f"celery-task-meta-{kind}-{slip.task_id}" for slip in made])
        states = [json.loads(raw)["status"] if raw else None for raw in found]
        return {slip.note: state if state in OVER else None for slip, state in zip(made, states, strict=True)}

    def held(self, kind: str) -> int:
        """How many of that kind lie unacknowledged in the broker."""
        return sum(each.startswith(f"{kind}-") for each in set(unacknowledged(self._broker)))

    @property
    def ended(self) -> int:
        """How many callers were told anything."""
        with Redis.from_url(self._broker) as redis, suppress(RedisError):
            return sum(1 for _ in redis.scan_iter("celery-task-meta-*", count=1000))
        return -1
