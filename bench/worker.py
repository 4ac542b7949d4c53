"""One contender's worker: filled while it stands still, then timed."""

from __future__ import annotations

import importlib
import itertools
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bench import meter
from bench.process import PATIENCE, WorkerProcess

if TYPE_CHECKING:
    from bench.contender import Contender
    from bench.ground import Ground

__all__ = ["SETTINGS", "Slice", "Worker"]

THREADS = 50
SETTINGS = (
    f"Equal for all: one worker process each, -P threads -c {THREADS}, no mingle, no gossip, WARNING logs;\n"
    "Celery's settings from config/celery.py (early acks, no prefetch, a result for each task, events on);\n"
    "events of the guarded workers are sent four times a second and a success is stored without a look\n"
    "before it, as Narrows does (bare_paced is the bare task with both);\n"
    "one Valkey with AOF everysec; the same stub over HTTP. Queues are filled before the clock starts.\n"
    "Where calls wait they are enqueued while the clock runs, and workers have 32 threads, 16 in a fleet."
)

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What one slice took: seconds by the clock, and of the worker's CPU."""

    calls: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Calls a second."""
        return self.calls / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of the worker's CPU for each call."""
        return self.cpu / self.calls * 1e6


class Worker:
    """A worker process that stands still (SIGSTOP) except in its own slices, so that it disturbs no other.

    Args:
        env: Of the process.
        calls: Of one slice, in place of the contender's own.
    """

    def __init__(
        self, contender: Contender, ground: Ground, env: Mapping[str, str], *, calls: int | None = None
    ) -> None:
        self._contender = contender
        self.calls = calls or (contender.quick_calls if ground.quick else contender.calls)
        self._cpu = 0.0
        name = contender.name
        self._process = WorkerProcess(
            name, contender.module, ground, queues=(name,), threads=THREADS, env=env, calls=self.calls
        )

    def __enter__(self) -> Self:
        """The worker as it starts; :meth:`wait` until it is ready."""
        self._process.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._process.__exit__(kind, error, trace)

    def wait(self) -> None:
        """Wait until it takes tasks; then let it run a slice that does not count, and stand still."""
        self._process.ready()
        self._process.signal(signal.SIGSTOP)
        self.slice()

    def slice(self) -> Slice:
        """Fill the queue, let the worker empty it, and tell what that took."""
        self._fill()
        start = time.perf_counter()
        self._process.signal(signal.SIGCONT)
        said = self._process.heard(meter.done_key(self._contender.name), PATIENCE)
        seconds = time.perf_counter() - start
        self._process.signal(signal.SIGSTOP)
        before, self._cpu = self._cpu, said["cpu"]
        return Slice(calls=self.calls, seconds=seconds, cpu=self._cpu - before)

    def _fill(self) -> None:
        """Enqueue as a service would: with its record, when it is guarded."""
        contender = self._contender
        app = importlib.import_module(contender.module).app
        task = app.tasks[contender.task]
        with app.producer_or_acquire() as producer:
            for _ in range(self.calls):
                number = 0 if contender.repeats else next(_numbers)
                task.apply_async((number, contender.latency_ms), producer=producer)
