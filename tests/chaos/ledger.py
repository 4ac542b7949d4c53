"""What happened to each call, written down outside of Redis: one line for each start and end of a task.

Workers load this module; its lines are appended with one ``write`` each, so a worker that is killed leaves
whole lines, and several workers share a file.

    <event> <task id> <seconds since the epoch>        event: start | ran | ended
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from celery import signals

__all__ = ["FILE", "Line", "connect", "read"]

FILE = "CHAOS_LEDGER"
"""Names the variable that names the file."""

OVER = frozenset({"SUCCESS", "FAILURE"})


class Line(NamedTuple):
    """One line."""

    event: str
    task_id: str
    at: float


def connect() -> None:
    """Write down what this process's tasks do: when they start, have run, and have stored how they ended."""
    out = os.open(os.environ[FILE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(event: str, task_id: str) -> None:
        os.write(out, f"{event} {task_id} {time.time():.3f}\n".encode())

    def started(task_id: str, **_: Any) -> None:
        note("start", task_id)

    def ran(task_id: str, state: str | None = None, **_: Any) -> None:
        if state in OVER:
            note("ran", task_id)

    def succeeded(sender: Any, **_: Any) -> None:
        note("ended", sender.request.id)

    def failed(task_id: str, **_: Any) -> None:
        note("ended", task_id)

    signals.task_prerun.connect(started, weak=False)
    signals.task_postrun.connect(ran, weak=False)
    signals.task_success.connect(succeeded, weak=False)
    signals.task_failure.connect(failed, weak=False)


def read(path: Path) -> Iterator[Line]:
    """The lines in *path*, in the order in which they were written."""
    for line in path.read_text(encoding="ascii").splitlines():
        event, task_id, at = line.split()
        yield Line(event, task_id, float(at))


def counted(lines: list[Line], event: str) -> Counter[str]:
    """How often *event* happened to each task."""
    return Counter(line.task_id for line in lines if line.event == event)
