"""The most that was seen of a worker and its broker while something went on."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from redis import Redis

from bench.rss import megabytes

__all__ = ["Peaks"]

LOOK = 0.05


class Peaks:
    """``with Peaks(broker, pid, queue) as peaks:`` looks twenty times a second.

    Attributes:
        megabytes: RSS of process *pid*.
    """

    def __init__(self, broker: Redis, pid: int, queue: str) -> None:
        self._broker, self._pid, self._queue = broker, pid, queue
        self.megabytes, self._unacked, self._length = 0.0, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-peaks", daemon=True)

    def __enter__(self) -> Self:
        """The peaks as they are looked for."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more."""
        self._stop.set()
        self._thread.join()

    def shown(self) -> dict[str, float]:
        """What the broker held at most."""
        return {
            "unacknowledged messages at most (20 looks/s)": self._unacked,
            "queue length at most": self._length,
        }

    def _run(self) -> None:
        while not self._stop.wait(LOOK):
            self.megabytes = max(self.megabytes, megabytes(self._pid))
            unacked, length = self._broker.hlen("unacked"), self._broker.llen(self._queue)
            self._unacked = max(self._unacked, int(unacked))
            self._length = max(self._length, int(length))
