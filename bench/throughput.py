"""Calls a second of whole workers, one after the other, slice by slice."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from bench.contender import CONTENDERS
from bench.ground import Ground
from bench.report import Figure, median, ratios
from bench.worker import Slice, Worker

__all__ = ["COMPARISONS", "Throughput"]

SELDOM = 3
"""Slices that wait for the provider are long and differ little; they have their turn in every third round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Whose rate over whose, and who is measured with them."""

    name: str
    above: str
    below: str
    beside: tuple[str, ...] = ()


COMPARISONS = (
    Comparison(
        name="guarded_vs_bare",
        above="guarded",
        below="bare",
        beside=("bare_tuned", "bare_urllib3", "bare_paced"),
    ),
    Comparison(name="guarded_vs_handrolled", above="guarded_cached", below="handrolled"),
    Comparison(
        name="guarded_vs_shared_breaker_100ms",
        above="guarded_100ms",
        below="handrolled_shared",
        beside=("bare_100ms",),
    ),
    Comparison(name="cache_hit_vs_bare", above="guarded_hit", below="bare"),
)


class Throughput:
    """The workers of some comparisons; ``with`` it they start, and stand still until their turn comes."""

    def __init__(self, ground: Ground, names: Collection[str]) -> None:
        self._ground = ground
        self._wanted = [comparison for comparison in COMPARISONS if comparison.name in names]
        self._workers: dict[str, Worker] = {}
        self._slices: dict[str, list[Slice]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """The workers, each warm."""
        # A contender that several comparisons need is measured once.
        names = dict.fromkeys(
            name for each in self._wanted for name in (each.below, each.above, *each.beside)
        )
        with ExitStack() as stack:
            env = self._ground.env()
            for name in names:
                self._workers[name] = stack.enter_context(Worker(CONTENDERS[name], self._ground, env))
            for worker in self._workers.values():
                worker.wait()
            self._stack = stack.pop_all()
        self._slices = {name: [] for name in names}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End them."""
        self._stack.close()

    def round(self, number: int) -> None:
        """A slice of each whose turn it is; nobody always follows the same neighbour."""
        names = [name for name in self._workers if number % SELDOM == 0 or not CONTENDERS[name].latency_ms]
        turn = number % max(1, len(names))
        for name in [*names[turn:], *names[:turn]]:
            self._slices[name].append(self._workers[name].slice())

    def figures(self) -> list[Figure]:
        """The figures of the comparisons."""
        return [_figure(comparison, self._slices) for comparison in self._wanted]


def _figure(comparison: Comparison, rounds: Mapping[str, Sequence[Slice]]) -> Figure:
    """The figure, and beside it rates, the CPU of the workers, and the other clients' ratios."""
    above, below = rounds[comparison.above], rounds[comparison.below]
    everyone = (comparison.above, comparison.below, *comparison.beside)
    beside = {f"{name}, calls/s": median(s.rate for s in rounds[name]) for name in everyone}
    beside |= {f"{name}, µs of CPU": median(s.cpu_us for s in rounds[name]) for name in everyone}
    beside |= {
        f"{comparison.above} / {name}": median(ratios(_rates(above), _rates(rounds[name])))
        for name in comparison.beside
    }
    cpu = ratios([s.cpu_us for s in below], [s.cpu_us for s in above])
    beside[f"by CPU instead: {comparison.below} / {comparison.above}"] = median(cpu)
    return Figure(name=comparison.name, rounds=ratios(_rates(above), _rates(below)), beside=beside)


def _rates(slices: Sequence[Slice]) -> list[float]:
    return [measured.rate for measured in slices]
