"""How much of a rate a fleet makes use of while calls wait, and whether any interval sees more than it.

Two providers at once, for the time of a window with one worker process, then with two, then with four; the
stub says when calls arrived, and the figure is the least that any window made use of. An interval that saw
more than burst + rate x length is looked for among all windows, and among all that arrived, the first burst
and the starts of processes included. A call that the machine delays may come close to the one after it, so
the same is told of a bare timer that ran meanwhile: that is the machine's jitter and not a limiter's.

Celery's ``rate_limit`` has the same numbers beside it, once as Celery prefetches by itself and once with our
settings; it counts in each worker alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.arrivals import lateness, overrun, use
from bench.clock import Clock
from bench.process import WorkerProcess
from bench.rates import RATES
from bench.report import Figure

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["NAME", "PACES", "measure"]

NAME = "rate_use"
PACES = ("50", "20")
"""Calls a second, the ends of the providers' names."""

WORKERS, QUICK_WORKERS = (1, 2, 4), (1, 2)
THREADS = 16
SETTLE = 2.0
"""Seconds from when a worker is ready, and all is enqueued, until a window opens. So a window is of a line
that stands; what is lost while one forms behind a burst of newcomers is in waiting_drain and not here."""

TICKS, TICK = "/clock", 20.0
"""Path and rate of the bare timer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Who is measured.

    Attributes:
        prefix: Of its providers' names, which are its queues.
        window: Seconds for each number of workers.
        backlog: Seconds for which what is enqueued lasts at the provider's rate.
    """

    name: str
    module: str
    prefix: str
    env: Mapping[str, str]
    window: float
    backlog: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the stub saw: arrivals by pace, and ``TICKS``; and when each number of workers had its window."""

    arrivals: Mapping[str, Sequence[float]]
    windows: Mapping[int, tuple[float, float]]

    def inside(self, what: str, workers: int) -> Sequence[float]:
        """Arrivals in that window."""
        opened, closed = self.windows[workers]
        return [at for at in self.arrivals[what] if opened <= at <= closed]

    def steadily_over(self, what: str, rate: float, burst: int) -> float:
        """The worst interval of all windows."""
        return max(overrun(self.inside(what, workers), rate, burst) for workers in self.windows)

    def late(self, what: str, rate: float) -> float:
        """Milliseconds by which 99 of 100 calls in the windows were late at most."""
        each = sorted(late for workers in self.windows for late in lateness(self.inside(what, workers), rate))
        return each[int(0.99 * (len(each) - 1))] * 1000


def measure(ground: Ground) -> Figure:
    """The figure."""
    ours, *theirs = _sides(ground)
    seen = _seen(ground, ours)
    uses, beside = _uses(seen, "ours"), _over(seen)
    for side in theirs:
        its = _seen(ground, side)
        beside |= _uses(its, side.name)
        beside |= {
            f"{side.name}, {pace}/s: calls over": overrun(its.arrivals[pace], *_limits(pace))
            for pace in PACES
        }
    return Figure(name=NAME, rounds=[min(uses.values())], beside={**uses, **beside})


def _limits(pace: str) -> tuple[float, int]:
    """Rate and burst."""
    rate = RATES[f"line_{pace}"]
    return rate.per_second, rate.burst


def _uses(seen: Seen, name: str) -> dict[str, float]:
    return {
        f"{name}, {pace}/s, {workers} worker{'s' * (workers > 1)}": use(
            seen.inside(pace, workers), _limits(pace)[0]
        )
        for pace in PACES
        for workers in seen.windows
    }


def _over(seen: Seen) -> dict[str, float]:
    """The worst intervals, in calls, beside the machine's own jitter."""
    limits = {**{f"{pace}/s": (pace, *_limits(pace)) for pace in PACES}, "a bare timer": (TICKS, TICK, 1)}
    steadily = {
        f"{name}: worst interval in a window, calls over": seen.steadily_over(what, rate, burst)
        for name, (what, rate, burst) in limits.items()
    }
    of_all = {
        f"{name}: worst interval of all, calls over": overrun(seen.arrivals[what], rate, burst)
        for name, (what, rate, burst) in limits.items()
    }
    late = {
        f"{name}: 99 of 100 in the windows late by, ms": seen.late(what, rate)
        for name, (what, rate, _) in limits.items()
    }
    return steadily | of_all | late


def _sides(ground: Ground) -> Sequence[Side]:
    """Ours, and Celery's twice."""
    from bench.unguarded import PREFETCHES

    quick, plain = ground.quick, ground.env()
    theirs = {"as it prefetches": {**plain, PREFETCHES: "1"}, "no prefetch": plain}
    return (
        Side(
            name="ours",
            module="bench.lines",
            prefix="line_",
            env=ground.env(providers=RATES),
            window=3.0 if quick else 10.0,
            backlog=25.0 if quick else 75.0,
        ),
        *(
            Side(
                name=f"rate_limit, {name}",
                module="bench.unguarded",
                prefix="plain_",
                env=env,
                window=2.0 if quick else 3.0,
                backlog=20.0 if quick else 60.0,
            )
            for name, env in theirs.items()
        ),
    )


def _seen(ground: Ground, side: Side) -> Seen:
    """What the stub saw of *side*."""
    ground.clear()
    windows = {}
    with ExitStack() as stack:
        stack.enter_context(Clock(ground.stub.url + TICKS, TICK))
        workers = _grown(ground, side, stack, [], 1)
        calls = _enqueued(side)
        for count in QUICK_WORKERS if ground.quick else WORKERS:
            workers = _grown(ground, side, stack, workers, count)
            time.sleep(SETTLE)
            opened = time.monotonic()
            time.sleep(side.window)
            windows[count] = opened, time.monotonic()
        for worker in workers:
            worker.kill()
    paths = {pace: f"/{side.prefix}{pace}" for pace in PACES} | {TICKS: TICKS}
    arrivals = ground.stub.arrivals.at(paths)
    ground.clear()
    for pace in PACES:
        if len(arrivals[pace]) >= calls[pace]:
            raise RuntimeError(f"{side.name}: at {pace}/s nobody waited any more, so its use says nothing")
    return Seen(arrivals=arrivals, windows=windows)


def _grown(
    ground: Ground, side: Side, stack: ExitStack, workers: Iterable[WorkerProcess], count: int
) -> list[WorkerProcess]:
    """*workers* and as many new ones as make *count*; all are ready."""
    grown = list(workers)
    queues = tuple(f"{side.prefix}{pace}" for pace in PACES)
    new = [
        WorkerProcess(
            f"{side.prefix}{number}", side.module, ground, queues=queues, threads=THREADS, env=side.env
        )
        for number in range(len(grown), count)
    ]
    for worker in new:
        stack.enter_context(worker)
    for worker in new:
        worker.ready()
    return grown + new


def _enqueued(side: Side) -> dict[str, int]:
    """How many calls were enqueued at each pace, one by one."""
    app: Any = import_module(side.module).app
    calls = {pace: round(side.backlog * _limits(pace)[0]) for pace in PACES}
    for pace, count in calls.items():
        for number in range(count):
            app.tasks[f"{side.prefix}{pace}.fetch"].delay(number)
    return calls
