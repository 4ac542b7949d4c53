"""A guard that ends our child processes when we are killed without a chance to end them.

A process that is killed with -9 cannot clean up, and its children live on. The guard is a small process
of its own that holds the other end of a pipe; the pipe closes with us, whatever ended us, and then the
guard ends the process groups and removes the directories it was told of. It works where Linux's
``PR_SET_PDEATHSIG`` does not: on macOS, and when the thread that started a child has ended before it.

This file is also the guard's program; it runs without our packages.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

__all__ = ["Lifeline"]

GRACE = 5.0


class Lifeline:
    """The guard, as the process sees it that it guards. Started by the first thing told to it."""

    def __init__(self, *, grace: float = GRACE) -> None:
        self._grace = grace
        self._guard: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def hold(self, group: int) -> None:
        """End the process group *group* when we are gone."""
        self._tell(f"+{group}")

    def release(self, group: int) -> None:
        """Forget *group*: it has ended, and its number may be another's soon."""
        self._tell(f"-{group}")

    def remove(self, directory: Path) -> None:
        """Remove *directory* when we are gone and the groups have ended."""
        self._tell(f"d{directory}")

    def close(self) -> None:
        """Let the guard go; what it still holds is ended."""
        guard, self._guard = self._guard, None
        if guard is not None:
            with contextlib.suppress(OSError):
                guard.communicate(timeout=self._grace + 5.0)

    def _tell(self, line: str) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            pipe = (self._guard or self._start()).stdin
            if pipe is not None:
                pipe.write(line + "\n")
                pipe.flush()

    def _start(self) -> subprocess.Popen[str]:
        # A session of its own: Ctrl-C at the terminal is for the process it guards.
        command = [sys.executable, "-I", "-S", __file__, str(os.getpid()), str(self._grace)]
        self._guard = subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)  # noqa: S603 - this file
        return self._guard


def guard(parent: int, grace: float) -> None:
    """Listen until the pipe closes or the parent is gone; then end and remove what was left."""
    groups: set[int] = set()
    directories: list[str] = []
    rest = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], 1.0)[0]:
            continue
        chunk = os.read(0, 65536)
        if not chunk:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        for line in map(os.fsdecode, lines):
            _heed(line, groups, directories)
    _end(groups, grace)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _heed(line: str, groups: set[int], directories: list[str]) -> None:
    what, value = line[:1], line[1:]
    if what == "d":
        directories.append(value)
    elif what == "+":
        groups.add(int(value))
    else:
        groups.discard(int(value))


def _end(groups: set[int], grace: float) -> None:
    _signal(groups, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while any(map(_lives, groups)) and time.monotonic() < deadline:
        time.sleep(0.05)
    _signal(groups, signal.SIGKILL)


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, number)


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    guard(int(sys.argv[1]), float(sys.argv[2]))
