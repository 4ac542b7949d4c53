"""Remote control commands that do to a worker's own threads what bugs do: end them, and keep its loop."""

from __future__ import annotations

import ctypes
import threading
import time
from typing import Any

from celery.worker.control import control_command

__all__ = ["keep_loop", "lose_thread"]


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
