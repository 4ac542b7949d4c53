"""Celery's own way to let calls wait, a countdown: what a worker and its other provider feel of it.

It gets fewer calls than our line, and the worker's growth is told once more as if there were as many.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench.neighbour import pair
from bench.peaks import Peaks
from bench.redis_work import RedisWork
from bench.rss import megabytes

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["countdowns"]

CALLS, QUICK_CALLS = 20_000, 1_000
FIRST = 600.0
"""Seconds: none of them is over while the bench looks."""

SETTLE = 1.0


def countdowns(ground: Ground, as_many: int) -> tuple[dict[str, float], dict[str, float]]:
    """What stands beside the memory of a worker with *as_many* calls in line, and beside the latency."""
    calls = QUICK_CALLS if ground.quick else CALLS
    name = f"{calls:,} countdowns"
    with pair(ground, "bench.unguarded", "plain", ground.env()) as both:
        rss, before = megabytes(both.pid), both.latency()
        with Peaks(ground.broker, both.pid, both.queue) as peaks:
            work = RedisWork(ground.redis)
            for number in range(calls):
                both.slow.apply_async((number,), countdown=FIRST + number)
            _until_taken(ground, both.queue)
            each, after = work.per_call(calls), both.latency()
    grown = peaks.megabytes - rss
    memory = {
        f"{name}: MB grown at most": grown,
        f"{name}: MB, as if {as_many:,}": grown * as_many / calls,
        **{f"{name}: {what}": value for what, value in peaks.shown().items()},
        **{f"{name}, each: {what}": value for what, value in each.items()},
    }
    latency = {
        f"{name}: after, ms": after,
        f"{name}: before, ms": before,
        f"{name}: after / before": after / before,
    }
    return memory, latency


def _until_taken(ground: Ground, queue: str) -> None:
    """Wait until the worker has taken from *queue* what it will take."""
    before = -1
    while (left := ground.broker.llen(queue)) != before and left:
        before = left
        time.sleep(SETTLE)
    time.sleep(SETTLE)
