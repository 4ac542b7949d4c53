"""What a measured worker tells the bench: that it is ready, and that a slice is done.

``celery worker --include bench.meter`` imports it, and it counts from then on. Celery announces the end of a
task after the last of the task's own hooks, so a guarded call counts when its record has ended.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any

from celery import signals, states
from redis import Redis

__all__ = ["CALLS", "NAME", "URL", "done_key", "ready_key"]

URL, NAME, CALLS = "BENCH_URL", "BENCH_NAME", "BENCH_CALLS"


def ready_key(name: str) -> str:
    """A list: an empty object once the worker takes tasks."""
    return f"bench:ready:{name}"


def done_key(name: str) -> str:
    """A list: for each slice the CPU seconds that the worker has used so far, or how a task failed."""
    return f"bench:done:{name}"


class Meter:
    """Counts a worker's successes, and speaks up at the end of each slice."""

    def __init__(self, redis: Redis, name: str, calls: int) -> None:
        self._redis, self._name, self._calls = redis, name, calls
        self._count = itertools.count(1)  # one bytecode, so threads need no lock

    def ready(self, **_: Any) -> None:
        """The worker takes tasks."""
        self._redis.rpush(ready_key(self._name), "{}")

    def ended(self, state: str = "", retval: Any = None, **_: Any) -> None:
        """A task has ended, hooks and all."""
        if state != states.SUCCESS:
            self._say(failed=f"{state} {type(retval).__name__}")
        elif next(self._count) % self._calls == 0:
            self._say(cpu=time.process_time())

    def _say(self, **what: Any) -> None:
        self._redis.rpush(done_key(self._name), json.dumps(what))


if NAME in os.environ:
    meter = Meter(Redis.from_url(os.environ[URL]), os.environ[NAME], int(os.environ[CALLS]))
    signals.worker_ready.connect(meter.ready, weak=False)
    signals.task_postrun.connect(meter.ended, weak=False)
