"""A Celery worker process of the bench: started, heard of when it takes tasks, stopped."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bench import meter
from bench.stub import ROOT

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["PATIENCE", "WorkerProcess"]

PATIENCE = 60.0
"""Seconds that a worker may take to start, or for a slice."""


class WorkerProcess:
    """``with WorkerProcess(…) as worker:`` runs it; :meth:`ready` waits until it takes tasks.

    Args:
        name: By which its meter reports; its log's name too.
        module: Where ``celery -A`` finds its application.
        queues: What it takes tasks from.
        env: All of its settings; of this process's ``NARROWS_…`` it gets none.
        calls: How many of its tasks its meter counts before it says so; 0 for no count.
        waits: A task that ends with RETRY goes on later, and is no failure.
    """

    def __init__(
        self,
        name: str,
        module: str,
        ground: Ground,
        *,
        queues: tuple[str, ...],
        threads: int,
        env: Mapping[str, str],
        calls: int = 0,
        waits: bool = False,
    ) -> None:
        self.name, self._module, self._ground = name, module, ground
        self._queues, self._threads = queues, threads
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("NARROWS_")}
        own = {meter.URL: ground.url, meter.NAME: name, meter.CALLS: str(calls), meter.WAITS: "1" * waits}
        self._env = {**inherited, **env, **own}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """The process as it starts."""
        self._ground.redis.delete(meter.ready_key(self.name), meter.done_key(self.name))
        command = [sys.executable, "-m", "celery", "-A", self._module, "worker"]
        command += [f"--hostname={self.name}@bench", f"--queues={','.join(self._queues)}"]
        command += ["--include=bench.meter", "--pool=threads", f"--concurrency={self._threads}"]
        command += ["--loglevel=WARNING", "--without-mingle", "--without-gossip"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, env=self._env, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
        self._ground.lifeline.hold(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it; what it does is not waited for long."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._ground.lifeline.release(process.pid)

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None  # noqa: S101 - entered
        return self._process.pid

    def ready(self) -> None:
        """Wait until it takes tasks."""
        self.heard(meter.ready_key(self.name), PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once: nobody needs what it still holds."""
        with contextlib.suppress(ProcessLookupError):
            self.signal(signal.SIGKILL)

    def heard(self, key: str, patience: float) -> Any:
        """What its meter says next under *key*, within *patience* seconds.

        Raises:
            RuntimeError: A task failed, the process ended, or it took too long.
        """
        deadline = time.monotonic() + patience
        said: Any = {"failed": "no answer"}
        while time.monotonic() < deadline and self._process is not None and self._process.poll() is None:
            reply: Any = self._ground.redis.blpop([key], timeout=1)
            if reply:
                said = json.loads(reply[1])
                break
        if "failed" in said:
            log = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"the worker of {self.name}: {said['failed']}\n{log}")
        return said

    @property
    def _log(self) -> Path:
        return self._ground.logs / f"{self.name}.log"
