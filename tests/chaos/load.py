"""A steady load: so many calls in each second, each tried again under its own id until it is taken."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from uuid import uuid4

__all__ = ["Call", "Load", "calls"]


class Named(Protocol):
    """Whatever is enqueued under a task id of its own."""

    @property
    def task_id(self) -> str:
        """Known before it is enqueued."""


Wish = TypeVar("Wish", bound=Named)

DATASETS = ("dob_violations", "hpd_violations", "complaints_311", "permits")
AGAIN_AFTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call: a data set of a lot that nobody else asks for."""

    dataset: str
    bbl: str
    task_id: str = field(default_factory=lambda: uuid4().hex)


def calls(count: int) -> list[Call]:
    """*count* calls, no two alike, so that no answer is kept for another."""
    lots = (f"{1 + number % 5}{1 + number // 5:05d}0001" for number in itertools.count())
    return [Call(dataset=DATASETS[n % 4], bbl=bbl) for n, bbl in zip(range(count), lots, strict=False)]


class Load(Generic[Wish]):
    """Enqueues *what* with *enqueue*, *rate* a second, in a thread of its own.

    Attributes:
        taken: When each call was taken, by task id.
        refused: Times that one was not.
    """

    def __init__(self, what: list[Wish], enqueue: Callable[[Wish], object], *, rate: float) -> None:
        self._what, self._enqueue, self._rate = what, enqueue, rate
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.taken: dict[str, float] = {}
        self.refused = 0

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def join(self, within: float = 60.0) -> None:
        """Wait until every call was taken, *within* seconds at most."""
        self._thread.join(within)

    def stop(self) -> None:
        """Enqueue no more."""
        self._stop.set()
        self._thread.join(30.0)

    @property
    def done(self) -> bool:
        """Whether every call was taken."""
        return len(self.taken) == len(self._what)

    def _run(self) -> None:
        started = time.monotonic()
        for number, call in enumerate(self._what):
            if self._stop.wait(max(0.0, started + number / self._rate - time.monotonic())):
                return
            while not self._taken(call):
                if self._stop.wait(AGAIN_AFTER):
                    return

    def _taken(self, call: Wish) -> bool:
        try:
            self._enqueue(call)
        except Exception:  # noqa: BLE001 - both sides raise their own; what counts is that it was not taken
            self.refused += 1
            return False
        self.taken[call.task_id] = time.time()
        return True
