"""The lines at which a process can die while it submits, and what kills it there."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

__all__ = ["MODULES", "Line", "die_at", "watch"]

MODULES = (
    "worker.task",
    "worker.publishing",
    "worker.record",
    "worker.runner",
    "worker.submissions.submitting",
    "worker.pipeline",
    "worker.sending",
    "worker.gate",
    "worker.http.client",
    "worker.submissions.ledger",
    "worker.outbox",
    "worker.results",
    "worker.reconciler",
    "worker.releaser",
)
"""What runs between a caller's ``delay`` and the end of its submission."""

_ROOT = Path(__file__).resolve().parents[2]
_FILES = {str(_ROOT / f"{name.replace('.', '/')}.py"): name for name in MODULES}


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of one function."""

    module: str
    function: str
    number: int

    def __str__(self) -> str:
        """``worker.runner:Runner.run:93``."""
        return f"{self.module}:{self.function}:{self.number}"

    @classmethod
    def named(cls, text: str) -> Line:
        """The line that is written so."""
        module, function, number = text.split(":")
        return cls(module, function, int(number))


@cache
def _place(code: CodeType) -> tuple[str, str] | None:
    """Module and function of *code*, when it is on the way; bodies of modules and classes are not."""
    module = _FILES.get(code.co_filename)
    return (module, code.co_qualname) if module and code.co_flags & CO_OPTIMIZED else None


def watch(see: Callable[[Line], None]) -> None:
    """Hand *see* each line on the way before any thread of this process executes it."""

    def line(frame: FrameType, event: str, _arg: Any) -> Any:
        place = _place(frame.f_code)
        if event == "line" and place:
            see(Line(*place, frame.f_lineno))
        return line

    _trace(lambda code: line if _place(code) else None)


def die_at(wanted: Line) -> None:
    """Kill this process, as an out-of-memory killer would, before it executes *wanted*.

    Line 0 is the first that is executed of its function.
    """

    def line(frame: FrameType, event: str, _arg: Any) -> Any:
        if event == "line" and wanted.number in {0, frame.f_lineno}:
            os.kill(os.getpid(), signal.SIGKILL)
        return line

    _trace(lambda code: line if _place(code) == (wanted.module, wanted.function) else None)


def _trace(choose: Callable[[CodeType], Any]) -> None:
    def call(frame: FrameType, _event: str, _arg: Any) -> Any:
        return choose(frame.f_code)

    threading.settrace(call)
    sys.settrace(call)
