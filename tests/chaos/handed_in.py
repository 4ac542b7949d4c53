"""Our side of the storm over submissions: several producers, some of them without our code, and workers."""

from __future__ import annotations

import random
import time
from contextlib import ExitStack, suppress
from typing import Any, Self

from celery import Celery
from redis import Redis, RedisError

from tests.chaos import submits
from tests.chaos.copies import Copies
from tests.chaos.ledger import OVER
from tests.chaos.plan import Submitting
from tests.chaos.slips import Send
from tests.fleet import Fleet, Ground
from worker.application import app
from worker.engine import engine
from worker.keys import keys

__all__ = ["HandedIn"]

AGAIN_AFTER = 4.0
"""Seconds after which a service without our code, that hears nothing and finds no record, sends again: its
message may be lost, with a worker that had taken it and had not yet written the record."""


class HandedIn:
    """Ours.

    Attributes:
        ids: The task id of each wish that was taken, by the wish's own.
        again: How often a service without our code heard nothing of what it sent, and sent it again.
    """

    def __init__(self, ground: Ground, plan: Submitting, chance: random.Random) -> None:
        self._ground = ground
        self._within = ExitStack()
        env = {"NARROWS_SWEEP_INTERVAL": "0.5"} | (
            {"NARROWS_CLAIM_LEASE": f"{plan.lease:g}"} if plan.lease else {}
        )
        self._fleet = Fleet(
            ground, workers=plan.workers, concurrency=plan.concurrency, env=env, include=submits.__name__
        )
        self.stack = self._fleet.stack
        self.copies = Copies(chance)
        self.ids: dict[str, str] = {}
        self.again = 0
        self._bare: dict[str, tuple[Send, float]] = {}

    def __enter__(self) -> Self:
        """Ready."""
        url = self._ground.valkey.url
        self._stranger = self._within.enter_context(
            Celery("stranger", broker=url, backend=url, set_as_current=False)
        )
        self._within.enter_context(self._fleet)
        self._within.enter_context(self.copies)
        return self

    def __exit__(self, *_: object) -> None:
        """Stopped."""
        self._within.close()

    def enqueue(self, send: Send) -> object:
        """Submit it by the way that it names; may be said again until it is taken."""
        if send.way == "bare":
            self._sent_bare(send)
            self._bare[send.task_id] = (send, time.monotonic())
            return self.ids.setdefault(send.task_id, send.task_id)
        options = {} if send.slip.key and send.way == "ours" else {"task_id": send.task_id}
        result = submits.TASKS[send.slip.desk].apply_async((send.slip.note,), _named(send), **options)
        self.ids[send.task_id] = str(result.id)
        message = engine().records(send.slip.desk).get(result.id).get("message")
        if message:
            self.copies.take(lambda: app.amqp.republish(message))
        return result

    def send_again(self) -> None:
        """Do what a service does that sends by bare name and is told nothing."""
        for send, at in list(self._bare.values()):
            if time.monotonic() < at + AGAIN_AFTER:
                continue
            with suppress(Exception):
                if not self._known(send):
                    self._sent_bare(send)
                    self.again += 1
                    self._bare[send.task_id] = (send, time.monotonic())

    @property
    def left(self) -> dict[str, int]:
        """What is not over, or stands where nothing should stand any more; -1 while nobody can say."""
        found: dict[str, int] = {}
        with self._ground.client() as state:
            try:
                for desk in submits.TASKS:
                    found |= _left(state, desk)
            except RedisError:
                return {"unknown": -1}
        open_ = {place: count for place, count in found.items() if count}
        return open_ or self._unheard

    @property
    def _unheard(self) -> dict[str, int]:
        ids = set(self.ids.values())
        waiting = sum(app.backend.stored(each, cache=False)["status"] not in OVER for each in ids)
        return {"callers that heard nothing": waiting} if waiting else {}

    def _sent_bare(self, send: Send) -> None:
        name, slip = submits.TASKS[send.slip.desk].name, send.slip

        def publish() -> object:
            return self._stranger.send_task(
                name, (slip.note,), _named(send), queue=slip.desk, task_id=send.task_id
            )

        publish()
        self.copies.take(publish)

    def _known(self, send: Send) -> bool:
        record = engine().records(send.slip.desk).get(send.task_id)
        return bool(record) or app.backend.stored(send.task_id, cache=False)["status"] != "PENDING"


def _named(send: Send) -> dict[str, str]:
    return {"idempotency_key": send.slip.key} if send.slip.key else {}


def _left(state: Redis, desk: str) -> dict[str, int]:
    at = keys(desk)
    clock: Any = state.time()
    now = clock[0] * 1000 + clock[1] // 1000
    found: dict[str, Any] = {
        **{index.rpartition(":")[2]: state.zcard(index) for index in at.indexes},
        **{f"undecided, {name}": state.zcard(f"{at.submissions}:{name}") for name in ("queued", "sending")},
        "leases": state.zcount(at.leases, now, "+inf"),
        "messages": state.llen(desk),
    }
    return {f"{desk} {place}": count for place, count in found.items()}
