"""The side of Celery alone: late acks, its defaults else, on the same Valkey in a database of its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from celery import Celery
from redis import Redis, RedisError

from tests.chaos import ledger, plain
from tests.chaos.load import Call
from tests.chaos.plan import Plan
from tests.chaos.sides import CONCURRENCY, PROVIDER, Side
from tests.fleet import Ground, until
from tests.sandbox import Sandbox
from worker.stack.child import Program
from worker.stack.stack import Stack

__all__ = ["PlainCelery", "PlainPrograms", "unacknowledged"]


class PlainCelery(Side):
    """Two workers as anybody starts them."""

    name = "celery alone"

    def __init__(self, folder: Path, ground: Ground, plan: Plan) -> None:
        self._within = ExitStack()
        super().__init__(folder, self._within.enter_context(Sandbox()), plan.latency)
        self._broker = ground.valkey.database(3)
        self._app = Celery("plain", broker=self._broker, backend=self._broker, set_as_current=False)
        self._app.conf.task_ignore_result = False
        env = {
            ledger.FILE: str(self.path),
            plain.BROKER: self._broker,
            plain.BASE: self._sandbox.base_url(PROVIDER),
        }
        self.stack = Stack(workers=plan.workers, beat=False, env=env, programs=PlainPrograms(plain.__name__))

    def __enter__(self) -> Self:
        """Ready."""
        self._within.enter_context(self.stack)
        until(lambda: len(self._app.control.ping(timeout=0.5)) == 2, 30.0)
        self.slow()
        return self

    def __exit__(self, *_: object) -> None:
        """Stopped."""
        self.stack.stop(grace=5.0)
        self._within.close()
        self._app.close()

    def enqueue(self, call: Call) -> object:
        return self._app.send_task("plain.fetch", (call.dataset, call.bbl), task_id=call.task_id)

    def results(self) -> Redis:
        return Redis.from_url(self._broker)

    def held(self) -> list[str]:
        return unacknowledged(self._broker)

    @property
    def queued(self) -> int:
        """Messages that wait."""
        with Redis.from_url(self._broker) as broker, suppress(RedisError):
            return int(broker.llen("celery"))
        return -1


def unacknowledged(broker: str) -> list[str]:
    """Task ids of the messages that lie there until the visibility timeout of an hour."""
    with Redis.from_url(broker) as client:
        unacked: Any = client.hvals("unacked")
    found = []
    for raw in unacked:
        with suppress(ValueError, KeyError, TypeError):
            found.append(str(json.loads(raw)[0]["headers"]["id"]))
    return found


class PlainPrograms:
    """Workers of the application in *module*, as anybody starts them."""

    def __init__(self, module: str) -> None:
        self._module = module

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        command = (
            sys.executable, "-m", "celery", f"--app={self._module}", "worker",
            f"--hostname=plain-{number}@%h", "--pool=threads", f"--concurrency={CONCURRENCY}",
            "--loglevel=WARNING",
        )  # fmt: skip
        return Program(name=f"worker-{number}", command=command, env=dict(env))

    def beat(self, env: Mapping[str, str]) -> Program:
        raise AssertionError(f"nothing here is periodic: {env.keys()}")

    def exporter(self, env: Mapping[str, str]) -> Program:
        raise AssertionError(f"nobody looks: {env.keys()}")

    def flower(self, env: Mapping[str, str]) -> Program:
        raise AssertionError(f"nobody looks: {env.keys()}")
