"""A worker for two providers, a slow one and its neighbour, and how fast the neighbour's calls are."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.process import WorkerProcess

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["Pair", "pair"]

THREADS = 32
WARM = 400
ASKED, QUICK_ASKED = 100, 10
"""Calls of the neighbour to a median."""


class Pair:
    """Both tasks, and the process that runs them.

    Attributes:
        queue: The slow provider's.
    """

    def __init__(self, module: str, prefix: str, pid: int, *, asked: int) -> None:
        app: Any = import_module(module).app
        self.queue, self.pid, self._asked = f"{prefix}_slow", pid, asked
        self.slow, self._neighbour = app.tasks[f"{prefix}_slow.fetch"], app.tasks[f"{prefix}_neighbour.fetch"]

    def warm(self) -> None:
        """Have every thread make calls, and each provider asked."""
        results = [self.slow.delay(0), *(self._neighbour.delay(number) for number in range(WARM))]
        for result in results:
            result.get(timeout=60)

    def latency(self) -> float:
        """Median ms from enqueuing a call of the neighbour to its result, one call at a time."""
        took = []
        for number in range(self._asked):
            start = time.perf_counter()
            self._neighbour.delay(number).get(timeout=60)
            took.append(time.perf_counter() - start)
        return statistics.median(took) * 1000


@contextmanager
def pair(ground: Ground, module: str, prefix: str, env: Mapping[str, str]) -> Iterator[Pair]:
    """The pair on an empty ground, warm; afterwards the ground is empty again."""
    ground.clear()
    queues = (f"{prefix}_slow", f"{prefix}_neighbour")
    with WorkerProcess(
        f"{prefix}_backlog", module, ground, queues=queues, threads=THREADS, env=env
    ) as worker:
        worker.ready()
        both = Pair(module, prefix, worker.pid, asked=QUICK_ASKED if ground.quick else ASKED)
        both.warm()
        yield both
        worker.kill()
    ground.clear()
