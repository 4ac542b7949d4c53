"""What was measured against what was aimed at: the table and the two files."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["TARGETS", "Figure", "Target", "details", "flat", "median", "ratios", "table"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a figure should come to.

    Attributes:
        bound: The worst value that will do.
        most: Whether *bound* is the most it may be, rather than the least.
        said: What is compared, in few words.
    """

    name: str
    bound: float
    most: bool = False
    said: str

    def met_by(self, value: float) -> bool:
        """Whether *value* will do."""
        return value <= self.bound if self.most else value >= self.bound

    def __str__(self) -> str:
        """``≥ 1.4``."""
        return f"{'≤' if self.most else '≥'} {self.bound:g}"


_ALL = (
    Target(name="guarded_vs_bare", bound=1.0, said="calls/s, guarded / bare requests.Session"),
    Target(name="guarded_vs_handrolled", bound=1.4, said="calls/s, guarded / hand-rolled, both cache misses"),
    Target(
        name="guarded_vs_shared_breaker_100ms",
        bound=30.0,
        said="calls/s, 100 ms: guarded / one breaker for all",
    ),
    Target(
        name="redis_round_trips_per_guarded_call", bound=1.4, most=True, said="over what Celery itself costs"
    ),
    Target(name="guard_cpu_us", bound=180.0, most=True, said="µs of CPU: begin + finish alone"),
    Target(name="guard_cpu_vs_handrolled", bound=0.4, most=True, said="the same / hand-rolled guard alone"),
    Target(name="cache_hit_vs_bare", bound=1.5, said="calls/s, cache hit / bare requests.Session"),
    Target(name="gate_vs_floor", bound=0.8, said="one begin / one script that decides nothing"),
    Target(name="import_vs_celery", bound=1.2, most=True, said="import tasks / Celery app + requests"),
    Target(name="bulk_enqueue_vs_delay", bound=15.0, said="calls/s, enqueue_many / .delay() behind others"),
    Target(name="dlq_replay_rate", bound=4.0, said="letters/s, replayed / LRANGE, delay, LPOP"),
    Target(
        name="backlog_rss_mb",
        bound=20.0,
        most=True,
        said="MB that a worker grows by while 100,000 calls wait",
    ),
    Target(
        name="backlog_neighbour_latency",
        bound=1.2,
        most=True,
        said="another provider's median latency, with them / without",
    ),
    Target(name="rate_use", bound=0.99, said="least share of the rate used, 1, 2 and 4 worker processes"),
    Target(name="waiting_drain", bound=1.05, most=True, said="2,000 calls at 50/s: seconds / the ideal 40"),
)

TARGETS: Mapping[str, Target] = {target.name: target for target in _ALL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured value.

    Attributes:
        rounds: What each round came to; the value is their median.
        beside: What else the same run says about it.
    """

    name: str
    rounds: Sequence[float]
    beside: Mapping[str, float] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The median."""
        return median(self.rounds)


def median(values: Iterable[float]) -> float:
    """The middle of *values*, rounded to four significant digits: more would only pretend."""
    return float(f"{statistics.median(values):.4g}")


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Each round's own ratio, so that what slows the machine for a while falls on both sides."""
    return [one / other for one, other in zip(above, below, strict=True)]


def flat(figures: Iterable[Figure]) -> dict[str, float]:
    """``bench/latest.json``: names and values, nothing else."""
    return {figure.name: figure.value for figure in figures}


def details(figures: Iterable[Figure], about: Mapping[str, Any]) -> dict[str, Any]:
    """``bench/details.json``: how each value came about, and on what."""
    return {
        "about": dict(about),
        "figures": {
            figure.name: {
                "value": figure.value,
                "target": str(TARGETS[figure.name]),
                "met": TARGETS[figure.name].met_by(figure.value),
                "rounds": [round(value, 4) for value in figure.rounds],
                "beside": {name: round(value, 4) for name, value in figure.beside.items()},
            }
            for figure in figures
        },
    }


def table(figures: Iterable[Figure]) -> str:
    """The figures for people, a missed target said to be missed, and beneath each what was beside it."""
    lines = [f"{'':36}{'median':>8}  {'low … high':<16}{'target':<9}"]
    for figure in figures:
        target = TARGETS[figure.name]
        verdict = "met" if target.met_by(figure.value) else "MISSED"
        spread = f"{min(figure.rounds):.3g} … {max(figure.rounds):.3g}"
        lines.append(f"{figure.name:<36}{figure.value:>8g}  {spread:<16}{target!s:<9}{verdict}")
        lines.append(f"    {target.said}")
        lines += [f"        {name:<50}{value:>9.4g}" for name, value in figure.beside.items()]
    return "\n".join(lines)


def as_json(value: Mapping[str, Any]) -> str:
    """The text of a file."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
