"""What does to a worker's threads what bugs do: ends them, keeps its loop, and never comes back."""

from __future__ import annotations

import ctypes
import threading
import time
from pathlib import Path
from typing import Any

from celery.worker.control import control_command

from tests.acceptance.providers import SLUGGISH, STEADY
from worker.operation import Steps, operation
from worker.request import Request

__all__ = ["hang", "hang_there", "keep_loop", "lose_thread"]


@operation(STEADY)
def hang(released: str) -> Steps[None]:
    """Nothing, once there is a file of that name: until then it holds its slot, past every time-out."""
    yield Request(path="/hang")
    _wait(released)


@operation(SLUGGISH)
def hang_there(released: str) -> Steps[None]:
    """The same at another provider, for one alone may not have all slots."""
    yield Request(path="/hang")
    _wait(released)


def _wait(released: str) -> None:
    while not Path(released).exists():
        time.sleep(0.05)


@control_command(args=[("name", str)], visible=False)
def lose_thread(state: Any, name: str) -> dict[str, int]:  # noqa: ARG001 - Celery's signature
    """How many threads of that name end now, wherever they are, past every ``except Exception``."""
    idents = [thread.ident for thread in threading.enumerate() if thread.name == name and thread.ident]
    for ident in idents:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(SystemExit))
    return {"lost": len(idents)}


@control_command(args=[("seconds", float)], visible=False)
def keep_loop(state: Any, seconds: float) -> None:  # noqa: ARG001
    """The consumer's loop hangs in here for so long."""
    time.sleep(seconds)
