"""How much of a rate a fleet makes use of while calls wait, and whether any interval sees more than it.

Two providers at once, for the time of a window with one worker process, then with two, then with four; the
stub says when calls arrived. An interval over the rate is looked for in all that arrived, the first burst
and the starts of processes included. Celery's ``rate_limit`` has the same numbers beside it, once as Celery
prefetches by itself and once with our settings; it counts in each worker alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.arrivals import overrun, use
from bench.clock import Clock
from bench.process import WorkerProcess
from bench.report import Figure

if TYPE_CHECKING:
    from bench.ground import Ground

__all__ = ["NAME", "measure"]

NAME = "rate_use"
LIMITS: Mapping[str, tuple[float, int]] = {"50": (50.0, 5), "20": (20.0, 1)}
"""Calls a second and burst of each provider, by the end of its name; as in ``bench.lines``."""

WORKERS, QUICK_WORKERS = (1, 2, 4), (1, 2)
THREADS = 16
SETTLE = 1.0
"""Seconds after a worker says that it is ready, until the window opens."""

CLOCK = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Who is measured.

    Attributes:
        prefix: Of its providers' names, which are its queues.
        seconds: How long a window is.
        calls: How many are enqueued for each call a second that a provider allows.
        first: Whether a worker runs before calls are enqueued.
    """

    name: str
    module: str
    prefix: str
    env: Mapping[str, str]
    seconds: float
    calls: int
    first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the stub saw of one provider: the share of the rate used by worker count, and the worst interval."""

    uses: Mapping[int, float]
    over: float


def measure(ground: Ground) -> Figure:
    """The figure."""
    ours, *theirs = _sides(ground)
    with Clock(f"{ground.stub.url}/clock", CLOCK):
        seen = _measured(ground, ours)
        ticks = ground.stub.arrivals.at("/clock")
    beside = {
        f"{workers} workers, {rate}/s": each.uses[workers] for rate, each in seen.items() for workers in each.uses
    }
    for rate, each in seen.items():
        beside[f"{rate}/s: worst interval, calls over"] = each.over
    beside[f"a bare timer's, {CLOCK:g}/s: the machine's jitter"] = overrun(ticks, CLOCK, 1)
    for side in theirs:
        for rate, each in _measured(ground, side).items():
            beside |= {f"{side.name}, {workers}, {rate}/s": used for workers, used in each.uses.items()}
            beside[f"{side.name}, {rate}/s: calls over"] = each.over
    return Figure(name=NAME, rounds=[min(min(each.uses.values()) for each in seen.values())], beside=beside)


def _sides(ground: Ground) -> Sequence[Side]:
    from bench.lines import RATES
    from bench.unguarded import PREFETCHES

    quick = ground.quick
    plain, window = ground.env(), 2.0 if quick else 5.0
    return (
        Side(
            name="ours",
            module="bench.lines",
            prefix="line_",
            env=ground.env(providers=RATES),
            seconds=3.0 if quick else 10.0,
            calls=25 if quick else 75,
            first=True,
        ),
        *(
            Side(
                name=f"Celery's rate_limit, {name}",
                module="bench.unguarded",
                prefix="plain_",
                env=env,
                seconds=window,
                calls=20 if quick else 75,
            )
            for name, env in (("its prefetch", {**plain, PREFETCHES: "1"}), ("none", plain))
        ),
    )


def _measured(ground: Ground, side: Side) -> dict[str, Seen]:
    """What the stub saw of the providers of *side*, by the end of their names."""
    ground.clear()
    windows: dict[int, tuple[float, float]] = {}
    with ExitStack() as stack:
        workers: list[WorkerProcess] = []
        start = _starter(ground, side, stack, workers)
        if side.first:
            start(1)
        calls = _enqueued(side)
        for count in QUICK_WORKERS if ground.quick else WORKERS:
            start(count)
            time.sleep(SETTLE)
            opened = time.monotonic()
            time.sleep(side.seconds)
            windows[count] = opened, time.monotonic()
        for worker in workers:
            worker.kill()
    seen = {rate: ground.stub.arrivals.at(f"/{side.prefix}{rate}") for rate in LIMITS}
    ground.clear()
    for rate, arrivals in seen.items():
        if len(arrivals) >= calls[rate]:
            raise RuntimeError(f"{side.name}: nobody waited any more at {rate}/s; the figure would be wrong")
    return {rate: _seen(arrivals, windows, *LIMITS[rate]) for rate, arrivals in seen.items()}


def _starter(
    ground: Ground, side: Side, stack: ExitStack, workers: list[WorkerProcess]
) -> Callable[[int], None]:
    """What starts worker processes until there are as many as it is told."""

    def start(count: int) -> None:
        new = [
            WorkerProcess(
                f"{side.prefix}{number}",
                side.module,
                ground,
                queues=tuple(f"{side.prefix}{rate}" for rate in LIMITS),
                threads=THREADS,
                env=side.env,
            )
            for number in range(len(workers), count)
        ]
        for worker in new:
            workers.append(stack.enter_context(worker))
        for worker in new:
            worker.ready()

    return start


def _enqueued(side: Side) -> dict[str, int]:
    """How many calls wait at each provider of *side*; its rates' ends of names are their keys."""
    from importlib import import_module

    app, calls = import_module(side.module).app, {}
    for rate, (per_second, _) in LIMITS.items():
        task = app.tasks[f"{side.prefix}{rate}.fetch"]
        calls[rate] = round(side.calls * per_second)
        for number in range(calls[rate]):
            task.delay(number)
    return calls


def _seen(
    arrivals: Sequence[float], windows: Mapping[int, tuple[float, float]], rate: float, burst: int
) -> Seen:
    uses = {}
    for workers, (opened, closed) in windows.items():
        inside = [at for at in arrivals if opened <= at <= closed]
        uses[workers] = use(inside, rate) if len(inside) > 1 else 0.0
    return Seen(uses=uses, over=overrun(arrivals, rate, burst))
