"""One contender's worker: filled while it stands still, then timed."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bench import meter
from bench.stub import ROOT

if TYPE_CHECKING:
    from bench.contender import Contender
    from bench.ground import Ground

__all__ = ["SETTINGS", "Slice", "Worker"]

THREADS = 50
PATIENCE = 60
"""Seconds that a worker may take to start, or for a slice."""

SETTINGS = (
    f"Equal for all: one worker process each, -P threads -c {THREADS}, no mingle, no gossip, WARNING logs;\n"
    "Celery's settings from config/celery.py (early acks, no prefetch, a result for each task, events on);\n"
    "events of the guarded workers are sent four times a second and a success is stored without a look\n"
    "before it, as Narrows does (bare_paced is the bare task with both);\n"
    "one Valkey with AOF everysec; the same stub over HTTP. Queues are filled before the clock starts."
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
        env: Of the process, over this one's.
        calls: Of one slice, in place of the contender's own.
    """

    def __init__(
        self, contender: Contender, ground: Ground, env: Mapping[str, str], *, calls: int | None = None
    ) -> None:
        self._contender, self._ground = contender, ground
        self.calls = calls or (contender.quick_calls if ground.quick else contender.calls)
        own = {meter.URL: ground.url, meter.NAME: contender.name, meter.CALLS: str(self.calls)}
        self._env = {**os.environ, **env, **own}
        self._cpu = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the process printed."""
        return (self._ground.logs / f"{self._contender.name}.log").read_text(errors="replace")

    def __enter__(self) -> Self:
        """The worker as it starts; :meth:`wait` until it is ready."""
        name = self._contender.name
        command = [sys.executable, "-m", "celery", "-A", self._contender.module, "worker"]
        command += [f"--hostname={name}@bench", f"--queues={name}", "--include=bench.meter"]
        command += ["--pool=threads", f"--concurrency={THREADS}", "--loglevel=WARNING"]
        command += ["--without-mingle", "--without-gossip"]
        self._ground.redis.delete(meter.ready_key(name), meter.done_key(name))
        with (self._ground.logs / f"{name}.log").open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._ground.lifeline.hold(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._ground.lifeline.release(process.pid)

    def wait(self) -> None:
        """Wait until it takes tasks; then let it run a slice that does not count, and stand still."""
        self._heard(meter.ready_key(self._contender.name))
        self._signal(signal.SIGSTOP)
        self.slice()

    def slice(self) -> Slice:
        """Fill the queue, let the worker empty it, and tell what that took."""
        self._fill()
        start = time.perf_counter()
        self._signal(signal.SIGCONT)
        said = self._heard(meter.done_key(self._contender.name))
        seconds = time.perf_counter() - start
        self._signal(signal.SIGSTOP)
        before, self._cpu = self._cpu, said["cpu"]
        return Slice(calls=self.calls, seconds=seconds, cpu=self._cpu - before)

    def _heard(self, key: str) -> Any:
        """What the worker's meter says next under *key*."""
        deadline = time.monotonic() + PATIENCE
        said: Any = {"failed": "no answer"}
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            reply: Any = self._ground.redis.blpop([key], timeout=1)
            if reply:
                said = json.loads(reply[1])
                break
        if "failed" in said:
            raise RuntimeError(f"the worker of {self._contender.name}: {said['failed']}\n{self.log[-2000:]}")
        return said

    def _fill(self) -> None:
        """Enqueue as a service would: with its record, when it is guarded."""
        contender = self._contender
        app = importlib.import_module(contender.module).app
        task = app.tasks[contender.task]
        with app.producer_or_acquire() as producer:
            for _ in range(self.calls):
                number = 0 if contender.repeats else next(_numbers)
                task.apply_async((number, contender.latency_ms), producer=producer)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None  # noqa: S101 - entered
        os.kill(self._process.pid, number)
