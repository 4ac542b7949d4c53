"""What a measured worker tells the bench: that it is ready, and that a slice is done.

``celery worker --include bench.meter`` imports it, and it counts from then on. Celery announces the end of a
task after the last of the task's own hooks: a guarded call counts when its result is stored and the end of
its record is on its way, at most a few milliseconds before it is told.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from typing import Any

from celery import signals, states
from redis import Redis

__all__ = ["CALLS", "NAME", "URL", "WAITS", "done_key", "ready_key"]

URL, NAME, CALLS, WAITS = "BENCH_URL", "BENCH_NAME", "BENCH_CALLS", "BENCH_WAITS"


def ready_key(name: str) -> str:
    """A list: an empty object once the worker takes tasks."""
    return f"bench:ready:{name}"


def done_key(name: str) -> str:
    """A list: for each slice the CPU seconds that the worker has used so far, or how a task failed."""
    return f"bench:done:{name}"


class Meter:
    """Counts a worker's successes, and speaks up at the end of each slice.

    Args:
        calls: Of a slice; with 0 it only says that the worker is ready.
        waits: A task that ends with RETRY is no failure.
    """

    def __init__(self, redis: Redis, name: str, *, calls: int, waits: bool) -> None:
        self._redis, self._name, self._calls, self._waits = redis, name, calls, waits
        self._count = itertools.count(1)  # one bytecode, so threads need no lock

    def ready(self, **_: Any) -> None:
        """The worker takes tasks."""
        self._redis.rpush(ready_key(self._name), "{}")

    def ended(self, state: str = "", retval: Any = None, **_: Any) -> None:
        """A task has ended, hooks and all."""
        if state == states.RETRY and self._waits:
            return
        if state != states.SUCCESS:
            self._say(failed=f"{state} {type(retval).__name__}")
        elif next(self._count) % self._calls == 0:
            self._say(cpu=time.process_time())

    def _say(self, **what: Any) -> None:
        self._redis.rpush(done_key(self._name), json.dumps(what))


if NAME in os.environ:
    calls = int(os.environ[CALLS])
    meter = Meter(
        Redis.from_url(os.environ[URL]), os.environ[NAME], calls=calls, waits=bool(os.environ[WAITS])
    )
    signals.worker_ready.connect(meter.ready, weak=False)
    if calls:
        signals.task_postrun.connect(meter.ended, weak=False)
