"""Begin and finish alone, in this process: no HTTP, no Celery, a real server."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid4

from bench.report import Figure, median, ratios

if TYPE_CHECKING:
    from bench.handrolled import Stack
    from worker.claim import Claim
    from worker.gate import Gate
    from worker.stores import Line

__all__ = ["CALLS", "CPU", "RATIO", "TURNS", "Guard", "block", "claims", "gate_and_line"]

CPU, RATIO = "guard_cpu_us", "guard_cpu_vs_handrolled"
CALLS, TURNS = 60, 4
"""Of one block; and blocks of each kind in a round: short, since what disturbs them lasts for seconds."""


class Guard:
    """Blocks of our guard and of the hand-rolled one, in turn."""

    def __init__(self) -> None:
        from bench.handrolled import stack

        self._hand = stack()
        self._gate, _ = gate_and_line()
        self._ours: list[float] = []
        self._theirs: list[float] = []
        self._with_cache: list[float] = []

    def round(self, number: int) -> None:  # noqa: ARG002 - every round is the same
        """Blocks of each, with nothing to guard."""
        for _ in range(TURNS):
            self._ours.append(block(time.process_time, partial(_guard, self._gate, claims())))
            self._theirs.append(block(time.process_time, partial(_handrolled, self._hand)))
            self._with_cache.append(block(time.process_time, partial(_handrolled_with_cache, self._hand)))

    def figures(self) -> list[Figure]:
        """Our CPU, and its share of the other's; the cache counts in neither."""
        beside = {
            "hand-rolled: limiter, breaker, tenacity, µs": median(self._theirs),
            "hand-rolled with its cache (a miss), µs": median(self._with_cache),
            "ratio, when its cache counts too": median(ratios(self._ours, self._with_cache)),
        }
        return [
            Figure(name=CPU, rounds=self._ours, beside={"least of all blocks, µs": min(self._ours)}),
            Figure(name=RATIO, rounds=ratios(self._ours, self._theirs), beside=beside),
        ]


def gate_and_line() -> tuple[Gate, Line]:
    """The gate of a guarded contender, and what it speaks through."""
    from bench.guarded import PLAIN
    from worker.engine import engine

    return engine().gateway(PLAIN.name).gate, engine().line


def claims() -> list[Claim]:
    """As many calls as a block has, each with its record, as a worker finds them."""
    from bench.guarded import PLAIN
    from worker.claim import Claim
    from worker.engine import engine

    found = [Claim(home=PLAIN.name, task_id=str(uuid4()), recorded=True) for _ in range(CALLS)]
    for claim in found:
        engine().records(PLAIN.name).write(claim.task_id, "{}")
    return found


def block(clock: Callable[[], float], work: Callable[[], None]) -> float:
    """Microseconds by *clock* that one call took of the block that *work* makes."""
    start = clock()
    work()
    return (clock() - start) / CALLS * 1e6


def _guard(gate: Gate, calls: Iterable[Claim]) -> None:
    for claim in calls:
        _, report = gate.begin(claim)
        report.outcome = "success"
        gate.finish(report, claim, "end")


def _handrolled(hand: Stack) -> None:
    for _ in range(CALLS):
        hand.guarded(hand.own, dict)


def _handrolled_with_cache(hand: Stack) -> None:
    for _ in range(CALLS):
        hand.fetch(f"stub:guard:{uuid4()}", hand.own, dict)
