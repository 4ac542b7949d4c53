"""``python -m tests.integration.dying REDIS FOLDER``: an export killed at each of its lines in turn.

Each line of JSON says what one kill left: ids in the list, and ids in whole objects. The last export is not
killed. A fork for each, because imports take longer than exports.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from redis import Redis

import worker.letters.exporting
import worker.storage
from worker.keys import keys
from worker.letters.exporting import Exporter
from worker.storage import Storage

NAME = "nyc_open_data"
WATCHED = (worker.letters.exporting.__file__, worker.storage.__file__)


def main(url: str, folder: str) -> None:
    """Kill at the first line, the second, and so on."""
    with Redis.from_url(url) as redis:
        letters: Any = redis.lrange(keys(NAME).dlq, 0, -1)
        for line in range(1, 10_000):
            redis.flushdb()
            redis.rpush(keys(NAME).dlq, *letters)
            for path in Path(folder).rglob("*.gz*"):
                path.unlink()
            killed = _dies(url, folder, line)
            print(json.dumps({"killed": killed, **_left(redis, folder)}), flush=True)  # noqa: T201 - the answer
            if not killed:
                return


def _dies(url: str, folder: str, line: int) -> bool:
    """Whether an export came to so many lines, and was killed there."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            _die_at(line)
            with Redis.from_url(url) as redis:
                Exporter(redis, NAME, storage=Storage(f"file://{folder}"), by="test").run(lambda _: True)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def _die_at(line: int) -> None:
    left = [line]

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line":
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    threading.settrace(trace)
    sys.settrace(trace)


def _left(redis: Redis, folder: str) -> dict[str, Any]:
    listed: Any = redis.lrange(keys(NAME).dlq, 0, -1)
    objects = sorted(Path(folder).rglob("*.jsonl.gz"))
    written = [
        json.loads(line)["id"] for path in objects for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    return {
        "listed": [json.loads(raw)["id"] for raw in listed],
        "written": written,
        "objects": [path.name for path in objects],
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
