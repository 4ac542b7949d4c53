"""What a soak looks at: one worker that is never killed, both servers, and all that is held or waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from redis import Redis

from bench.rss import megabytes
from tests.fleet import Ground
from worker.engine import engine
from worker.snapshot import standings

__all__ = ["Sample", "drift", "least", "sample"]

MB = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look.

    Attributes:
        at: Seconds since the load began.
        rss: Of the worker, MB; ``files`` and ``threads`` are its own, too.
        state: Memory of the state Redis without its dead letters, which are kept on purpose, MB.
        held: Leases of calls and probes; ``waits`` counts calls that stand in line, wait or are queued.
    """

    at: float
    rss: float
    files: int
    threads: int
    state: float
    cache: float
    held: int
    waits: int
    letters: int

    def as_json(self) -> dict[str, Any]:
        """It as an object."""
        return asdict(self)


def sample(at: float, ground: Ground, pid: int) -> Sample:
    """How it stands now."""
    here = standings(engine())
    with ground.client() as state, ground.cache.client() as cache:
        kept = sum(int(state.memory_usage(f"dlq:{each.provider}", samples=0) or 0) for each in here)
        return Sample(
            at=at,
            rss=megabytes(pid),
            files=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
            state=(_used(state) - kept) / MB,
            cache=_used(cache) / MB,
            held=sum(each.running + each.in_flight + each.probes for each in here),
            waits=sum(each.parked + each.waiting + each.queued + each.under_way for each in here),
            letters=sum(each.dead_letters for each in here),
        )


def drift(samples: Sequence[Sample], what: str, *, begins: float, ends: float, window: float) -> float:
    """By how much the median of *what* grew, from the window at *begins* to the one before *ends*."""
    return _of(samples, what, ends - window, ends, median) - _of(
        samples, what, begins, begins + window, median
    )


def least(samples: Sequence[Sample], what: str, *, begins: float, ends: float, window: float) -> float:
    """The same of its least value: what waits for an outage to end comes and goes, and takes memory."""
    return _of(samples, what, ends - window, ends, min) - _of(samples, what, begins, begins + window, min)


def _of(samples: Sequence[Sample], what: str, since: float, until: float, reduce: Any) -> float:
    return float(reduce([getattr(each, what) for each in samples if since <= each.at <= until]))


def _used(redis: Redis) -> int:
    said: Any = redis.info("memory")
    return int(said["used_memory"])
