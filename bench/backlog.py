"""What a worker and its other provider feel of 100,000 calls that wait for a provider of one call a second.

One worker serves both. The calls are enqueued twice over, with ``enqueue_many`` and then as many again one by
one with ``.delay()``, so the second time 200,000 wait; the figure is the worker's RSS at its most, whenever
that was. The other provider is asked one call at a time, from enqueuing to having the result. After each
enqueuing the median of such calls with the line is measured in turn with one without it, for which the
line's index is set aside under another name for a moment: the calls stay in Redis, but nobody stands in
line. What it was before anything had been enqueued stands beside it, and so do Celery's countdowns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.countdowns import countdowns
from bench.neighbour import Pair, pair
from bench.peaks import Peaks
from bench.rates import RATES
from bench.redis_work import RedisWork
from bench.report import Figure, median, ratios
from bench.rss import megabytes

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["LATENCY", "RSS", "measure"]

RSS, LATENCY = "backlog_rss_mb", "backlog_neighbour_latency"
CALLS, QUICK_CALLS = 100_000, 2_000
TURNS, QUICK_TURNS = 5, 2
SETTLE = 1.0
NOTICED = 0.7
"""Seconds after which a worker has noticed whether there is a line: it looks twice a second."""


@dataclass(slots=True)
class Felt:
    """What was measured of ours: MB grown at most after each enqueuing, and medians in turn, in ms."""

    beside: dict[str, float] = field(default_factory=dict)
    grown: list[float] = field(default_factory=list)
    before: float = 0.0
    with_line: list[float] = field(default_factory=list)
    without: list[float] = field(default_factory=list)

    def latencies(self) -> dict[str, float]:
        """What the ratios are made of."""
        return {
            "with the line, ms": median(self.with_line),
            "with the line set aside, ms": median(self.without),
            "before anything was enqueued, ms": self.before,
            "with the line / before": median(self.with_line) / self.before,
        }


def measure(ground: Ground) -> list[Figure]:
    """The two figures."""
    calls = QUICK_CALLS if ground.quick else CALLS
    felt = _felt(ground, calls)
    memory, latency = countdowns(ground, calls)
    return [
        Figure(name=RSS, rounds=[max(felt.grown)], beside={**felt.beside, **memory}),
        Figure(
            name=LATENCY,
            rounds=ratios(felt.with_line, felt.without),
            beside={**felt.latencies(), **latency},
        ),
    ]


def _felt(ground: Ground, calls: int) -> Felt:
    felt = Felt()
    with pair(ground, "bench.lines", "line", ground.env(providers=RATES)) as both:
        before, felt.before = megabytes(both.pid), both.latency()
        with Peaks(ground.broker, both.pid, both.queue) as peaks:
            for name, enqueue in {"enqueue_many": _at_once, "delay": _one_by_one}.items():
                felt.beside |= _enqueued(ground, name, enqueue, both.slow, calls)
                _in_turn(ground, felt, both)
                felt.grown.append(peaks.megabytes - before)
                felt.beside[f"{name}: MB grown at most"] = felt.grown[-1]
        felt.beside |= {"RSS before, MB": before, "calls in line at the end": _in_line(both.queue)}
        felt.beside |= peaks.shown()
    return felt


def _enqueued(
    ground: Ground, name: str, enqueue: Callable[[Any, int], None], task: Any, calls: int
) -> dict[str, float]:
    """What enqueuing *calls* took, of Redis too."""
    work, start = RedisWork(ground.redis), time.monotonic()
    enqueue(task, calls)
    rate = calls / (time.monotonic() - start)
    time.sleep(SETTLE)
    each = {f"{name}, each call: {what}": value for what, value in work.per_call(calls).items()}
    return {f"{name}: calls/s": rate, **each}


def _at_once(task: Any, calls: int) -> None:
    from worker import enqueue_many

    enqueue_many(task, ((number,) for number in range(calls)))


def _one_by_one(task: Any, calls: int) -> None:
    for number in range(calls):
        task.delay(number)


def _in_turn(ground: Ground, felt: Felt, both: Pair) -> None:
    """Medians with the line and without it."""
    for _ in range(QUICK_TURNS if ground.quick else TURNS):
        time.sleep(NOTICED)
        felt.with_line.append(both.latency())
        with _set_aside(both.queue):
            time.sleep(NOTICED)
            felt.without.append(both.latency())


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


def _in_line(provider: str) -> float:
    from worker.engine import engine
    from worker.keys import keys

    count: Any = engine().state.zcard(keys(provider).parked)
    return float(count)
