"""One process under supervision: started, restarted when it exits, ended with all that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from worker.stack.group import start_group
from worker.stack.lifeline import Lifeline

__all__ = ["Child", "Program"]

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
SETTLED_AFTER = 5.0
_LOG_TAIL = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run and how to know that it is ready.

    Attributes:
        env: Added to this process's environment; it may hold secrets, so it is not shown.
        ready: Asked until it is true; it must not raise.
        address: Where people find it, if anywhere.
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    ready: Callable[[], bool] = lambda: True
    address: str = ""


class Child:
    """A program that runs in a process group of its own, with its output in a file.

    Looking is for any thread; the rest is for one at a time, and the stack holds a lock around it.
    """

    def __init__(
        self, program: Program, *, log: Path, lifeline: Lifeline, cwd: Path, clock: Callable[[], float]
    ) -> None:
        self.program = program
        self.log = log
        self.restarts = 0
        self._lifeline = lifeline
        self._cwd = cwd
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._pause = FIRST_PAUSE
        self._due: float | None = None
        self._killed = False

    @property
    def pid(self) -> int:
        """The process; 0 when it does not run."""
        process = self._process
        return process.pid if process and process.poll() is None else 0

    @property
    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.pid != 0

    @property
    def is_ready(self) -> bool:
        """Whether it runs and says that it is ready."""
        return self.is_running and self.program.ready()

    def start(self) -> None:
        """Run it."""
        with self.log.open("ab") as log:
            env = {**os.environ, "PYTHONUNBUFFERED": "1", **self.program.env}
            self._process = start_group(self.program.command, cwd=self._cwd, env=env, output=log)
        self._started = self._clock()
        self._lifeline.hold(self._process.pid)

    def tend(self) -> int | None:
        """How it exited, when it was found so just now; it is started again after a growing pause."""
        if self.is_running:
            return None
        now = self._clock()
        if self._process is not None:
            code = self._process.returncode
            self._bury()
            self._due = now + self._pause
            settled = self._killed or now - self._started > SETTLED_AFTER
            self._pause = FIRST_PAUSE if settled else min(self._pause * 2, LONGEST_PAUSE)
            self._killed = False
            return code
        if self._due is not None and now >= self._due:
            self._due = None
            self.restarts += 1
            self.start()
        return None

    def terminate(self) -> None:
        """Ask it to finish what it does and to end: the process itself, which tells its own children."""
        self._due = None
        if self._process is not None and self.is_running:
            self._process.terminate()

    def kill(self) -> int:
        """End it and all that it started, as a crash would; the number of the process that was."""
        pid = self.pid
        self._killed = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        return pid

    def wait(self, deadline: float) -> bool:
        """Whether it ended before *deadline* of the clock; what it started is ended with it."""
        while self.is_running and self._clock() < deadline:
            time.sleep(0.02)
        ended = not self.is_running
        if self._process is not None:
            self.kill()
            self._process.wait()
            self._bury()
        return ended

    def last_words(self) -> str:
        """The end of its log."""
        try:
            with self.log.open("rb") as log:
                log.seek(max(0, self.log.stat().st_size - _LOG_TAIL))
                return log.read().decode(errors="replace").strip()
        except OSError:
            return ""

    def _bury(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(OSError):  # pool children outlive a main process that was killed
                os.killpg(process.pid, signal.SIGKILL)
            self._lifeline.release(process.pid)
