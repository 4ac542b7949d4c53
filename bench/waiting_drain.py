"""How long 2,000 calls take at 50 a second, from the first enqueued to the last answer.

Enqueued one by one for a worker that runs. Beside it the loop that people write: ask the limiter, and when it
says no, retry in 1, 2, 4, ... seconds. That one is given up after a while, and its done calls are told. Its
limiter counts in fixed windows, the cheapest and most generous that there is.
"""

from __future__ import annotations

import time
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench import meter
from bench.process import WorkerProcess
from bench.rates import RATES
from bench.redis_work import RedisWork
from bench.report import Figure

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["NAME", "measure"]

NAME = "waiting_drain"
CALLS, QUICK_CALLS = 2000, 150
RATE = 50.0
THREADS = 32
BOUND, QUICK_BOUND = 120.0, 10.0
"""Seconds after which the loop is given up."""

LATE = 4.0
"""Times the ideal that ours may take before the bench gives up."""


def measure(ground: Ground) -> Figure:
    """The figure."""
    calls = QUICK_CALLS if ground.quick else CALLS
    ideal = calls / RATE
    took, beside = _ours(ground, calls, ideal)
    beside |= _loop(ground, calls, ideal, QUICK_BOUND if ground.quick else BOUND)
    return Figure(name=NAME, rounds=[took / ideal], beside={"ideal, s": ideal, "seconds": took, **beside})


def _ours(ground: Ground, calls: int, ideal: float) -> tuple[float, dict[str, float]]:
    """Seconds that ours took, and what Redis had to do."""
    ground.clear()
    env = ground.env(providers=RATES)
    with WorkerProcess(
        "line_drain", "bench.lines", ground,
        queues=("line_drain",), threads=THREADS, env=env, calls=calls, waits=True,
    ) as worker:  # fmt: skip
        worker.ready()
        work, start = RedisWork(ground.redis), time.monotonic()
        _enqueue("bench.lines", "line_drain.fetch", calls)
        enqueued = time.monotonic() - start
        worker.heard(meter.done_key(worker.name), LATE * ideal + 10)
        took, made = time.monotonic() - start, work.commands()
    last = ground.stub.arrivals.at({"last": "/line_drain"})["last"][-1]
    ground.clear()
    return took, {
        "enqueueing them, s": enqueued,
        "last arrival at the provider, s": last - start,
        "messages published for each call": made["lpush"] / calls,
        "scripts run for each call, idle looks too": made["evalsha"] / calls,
        "Redis commands for each call, Celery's too": made.total() / calls,
    }


def _loop(ground: Ground, calls: int, ideal: float, bound: float) -> dict[str, float]:
    """What became of the loop within *bound* seconds."""
    ground.clear()
    with WorkerProcess(
        "plain_drain", "bench.unguarded", ground, queues=("plain_drain",), threads=THREADS, env=ground.env()
    ) as worker:  # fmt: skip
        worker.ready()
        work, start = RedisWork(ground.redis), time.monotonic()
        _enqueue("bench.unguarded", "plain_drain.fetch", calls)
        while (done := ground.stub.arrivals.count()) < calls and time.monotonic() < start + bound:
            time.sleep(0.25)
        made = work.commands()
        worker.kill()
    last = ground.stub.arrivals.at({"last": "/plain_drain"})["last"][-1]
    ground.clear()
    took = last - start if done >= calls else bound
    return {
        f"retry loop, done after {bound:g} s at most": done,
        "retry loop, s": took,
        "retry loop, s / ideal, done or not": took / ideal,
        "retry loop, messages published for each call": made["lpush"] / calls,
        "retry loop, Redis commands for each call": made.total() / calls,
    }


def _enqueue(module: str, name: str, calls: int) -> None:
    task: Any = import_module(module).app.tasks[name]
    for number in range(calls):
        task.delay(number)
