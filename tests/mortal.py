"""A process that is killed at a line of our code, as by an out-of-memory killer with good aim.

    python -m tests.mortal 3 worker/consumer.py:_set_aside celery --app worker worker …

runs Celery's command and ends it with SIGKILL before the third line that it executes in that function.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterable
from types import FrameType
from typing import Any

__all__ = ["die_at"]


def die_at(number: int, places: Iterable[str]) -> None:
    """Kill this process before the line of that *number*, from 1, that any of its threads runs in *places*.

    Args:
        number: Lines are counted as they are run, over all *places*.
        places: ``<end of the file's path>:<function>``.
    """
    wanted = [tuple(place.rsplit(":", 1)) for place in places]
    left = number

    def line(_frame: FrameType, event: str, _arg: Any) -> Any:
        nonlocal left
        if event == "line":
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, _event: str, _arg: Any) -> Any:
        code = frame.f_code
        return line if any(code.co_filename.endswith(f) and code.co_name == n for f, n in wanted) else None

    threading.settrace(call)
    sys.settrace(call)


if __name__ == "__main__":
    from celery.__main__ import main

    number, place, *sys.argv = sys.argv[1:]
    die_at(int(number), [place])
    main()
