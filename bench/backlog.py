"""What a worker and its other provider feel of 100,000 calls that wait for a provider of one call a second.

One worker serves both. The calls are enqueued twice over, with ``enqueue_many`` and then as many again one by
one with ``.delay()``, so the second time 200,000 wait. The other provider is asked one call at a time, from
enqueuing to having the result. After each enqueuing the median of such calls with the line is measured in
turn with one without it, for which the line's index is set aside under another name for a moment: the calls
stay in Redis, but nobody stands in line. What it was before anything had been enqueued stands beside it.

Celery's own way to let calls wait is a countdown. It gets fewer of them, and its growth is also told as if
there were as many.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bench.process import WorkerProcess
from bench.rates import RATES
from bench.redis_work import RedisWork
from bench.report import Figure, median, ratios
from bench.rss import megabytes

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["LATENCY", "RSS", "measure"]

RSS, LATENCY = "backlog_rss_mb", "backlog_neighbour_latency"
CALLS, QUICK_CALLS = 100_000, 2_000
COUNTDOWNS, QUICK_COUNTDOWNS = 20_000, 1_000
FIRST_COUNTDOWN = 600.0
"""Seconds: none of them is over while the bench looks."""

THREADS = 32
WARM = 400
ASKED, QUICK_ASKED = 60, 10
"""Calls of the neighbour to a median."""

TURNS, QUICK_TURNS = 6, 2
SETTLE = 1.0


def measure(ground: Ground) -> list[Figure]:
    """The two figures."""
    ours, theirs = _ours(ground), _countdowns(ground)
    return [
        Figure(name=RSS, rounds=[max(ours["grown"])], beside={**ours["beside"], **theirs["beside"]}),
        Figure(name=LATENCY, rounds=ours["ratios"], beside={**ours["latencies"], **theirs["latencies"]}),
    ]


def _ours(ground: Ground) -> dict[str, Any]:
    from bench.lines import task
    from worker import enqueue_many

    calls = QUICK_CALLS if ground.quick else CALLS
    slow, neighbour = task("line_slow"), task("line_neighbour")
    grown: list[float] = []
    with_line: list[float] = []
    without: list[float] = []
    beside: dict[str, float] = {}
    ground.clear()
    with _worker(ground, "line", "bench.lines", ground.env(providers=RATES)) as worker:
        _warm(slow, neighbour)
        before, latency = megabytes(worker.pid), _latency(ground, neighbour)
        enqueuers: dict[str, Callable[[], object]] = {
            "enqueue_many": lambda: enqueue_many(slow, ((number,) for number in range(calls))),
            "delay": lambda: [slow.delay(number) and None for number in range(calls)],
        }
        with Peaks(ground, worker.pid, "line_slow") as peaks:
            for name, enqueue in enqueuers.items():
                work, start = RedisWork(ground.redis), time.monotonic()
                enqueue()
                beside[f"{name}: calls/s"] = calls / (time.monotonic() - start)
                time.sleep(SETTLE)
                beside |= {
                    f"{name}, each call: {what}": value for what, value in work.per_call(calls).items()
                }
                for _ in range(QUICK_TURNS if ground.quick else TURNS):
                    with_line.append(_latency(ground, neighbour))
                    with _set_aside("line_slow"):
                        without.append(_latency(ground, neighbour))
                grown.append(peaks.megabytes - before)
                beside[f"{name}: MB grown at most"] = grown[-1]
        beside |= {
            "RSS before, MB": before,
            "calls in line at the end": _in_line("line_slow"),
            **peaks.shown(),
        }
    ground.clear()
    return {
        "grown": grown,
        "beside": beside,
        "ratios": ratios(with_line, without),
        "latencies": {
            "with the line, ms": median(with_line),
            "with the line set aside, ms": median(without),
            "before anything was enqueued, ms": latency,
            "with the line / before": median(with_line) / latency,
        },
    }


def _countdowns(ground: Ground) -> dict[str, Any]:
    calls = QUICK_COUNTDOWNS if ground.quick else COUNTDOWNS
    scale = (QUICK_CALLS if ground.quick else CALLS) / calls
    app: Any = import_module("bench.unguarded").app
    slow, neighbour = app.tasks["plain_slow.fetch"], app.tasks["plain_neighbour.fetch"]
    ground.clear()
    with _worker(ground, "plain", "bench.unguarded", ground.env()) as worker:
        _warm(slow, neighbour)
        before, latency = megabytes(worker.pid), _latency(ground, neighbour)
        with Peaks(ground, worker.pid, "plain_slow") as peaks:
            work = RedisWork(ground.redis)
            for number in range(calls):
                slow.apply_async((number,), countdown=FIRST_COUNTDOWN + number)
            _until_taken(ground, "plain_slow")
            each, after = work.per_call(calls), _latency(ground, neighbour)
        worker.kill()
    ground.clear()
    grown, name = peaks.megabytes - before, f"{calls:,} countdowns"
    return {
        "beside": {
            f"{name}: MB grown at most": grown,
            f"{name}: MB, as if {calls * scale:,.0f}": grown * scale,
            **{f"{name}, {what}": value for what, value in peaks.shown().items()},
            **{f"{name}, each: {what}": value for what, value in each.items()},
        },
        "latencies": {
            f"{name}: after, ms": after,
            f"{name}: before, ms": latency,
            f"{name}: after / before": after / latency,
        },
    }


@contextmanager
def _worker(ground: Ground, prefix: str, module: str, env: dict[str, str]) -> Iterator[WorkerProcess]:
    """A worker for the slow provider and its neighbour, ready."""
    queues = (f"{prefix}_slow", f"{prefix}_neighbour")
    with WorkerProcess(
        f"{prefix}_backlog", module, ground, queues=queues, threads=THREADS, env=env
    ) as worker:
        worker.ready()
        yield worker


def _warm(slow: Any, neighbour: Any) -> None:
    """Have every thread of the worker make calls, and each provider asked once."""
    for result in [slow.delay(0), *(neighbour.delay(number) for number in range(WARM))]:
        result.get(timeout=60)


def _latency(ground: Ground, neighbour: Any) -> float:
    """The median of some calls one after the other, in ms."""
    took = []
    for number in range(QUICK_ASKED if ground.quick else ASKED):
        start = time.perf_counter()
        neighbour.delay(number).get(timeout=60)
        took.append(time.perf_counter() - start)
    return statistics.median(took) * 1000


@contextmanager
def _set_aside(provider: str) -> Iterator[None]:
    """Inside, nobody stands in the line of *provider*."""
    from worker.engine import engine
    from worker.keys import keys

    state, parked = engine().state, keys(provider).parked
    state.rename(parked, f"{parked}:aside")
    try:
        yield
    finally:
        state.rename(f"{parked}:aside", parked)


def _in_line(provider: str) -> int:
    from worker.engine import engine
    from worker.keys import keys

    count: Any = engine().state.zcard(keys(provider).parked)
    return int(count)


def _until_taken(ground: Ground, queue: str) -> None:
    """Wait until the worker has taken from *queue* what it will take."""
    broker, before = ground.broker, -1
    while (left := int(broker.llen(queue))) != before and left:
        before = left
        time.sleep(SETTLE)
    time.sleep(SETTLE)


class Peaks:
    """``with Peaks(…) as peaks:`` keeps the most that was seen of a worker and its queue.

    Attributes:
        megabytes: Its RSS.
    """

    def __init__(self, ground: Ground, pid: int, queue: str) -> None:
        self._broker, self._pid, self._queue = ground.broker, pid, queue
        self.megabytes, self._unacked, self._length = 0.0, 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bench-peaks", daemon=True)

    def __enter__(self) -> Self:
        """Looking, twenty times a second."""
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
        return {"unacknowledged messages at most": self._unacked, "queue length at most": self._length}

    def _run(self) -> None:
        while not self._stop.wait(0.05):
            self.megabytes = max(self.megabytes, megabytes(self._pid))
            self._unacked = max(self._unacked, int(self._broker.hlen("unacked")))
            self._length = max(self._length, int(self._broker.llen(self._queue)))
