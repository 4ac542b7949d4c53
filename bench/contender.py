"""Who is measured: a Celery task in a worker of its own, on a queue of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["CONTENDERS", "Contender"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One side of a comparison.

    Attributes:
        name: Of its queue, and of its provider when it is guarded; its task is ``<name>.fetch``.
        module: Where ``celery -A`` finds its application.
        calls: Of one slice.
        quick_calls: The same for a run that only shows that everything works.
        latency_ms: How long the provider takes to answer.
        repeats: Every call asks the same, so that all but the first come from the cache.
    """

    name: str
    module: str
    calls: int = 200
    quick_calls: int = 100
    latency_ms: int = 0
    repeats: bool = False

    @property
    def task(self) -> str:
        """The task's name."""
        return f"{self.name}.fetch"


_ALL = (
    Contender(name="bare", module="bench.bare"),
    Contender(name="bare_tuned", module="bench.bare"),
    Contender(name="bare_paced", module="bench.paced"),
    Contender(name="bare_urllib3", module="bench.bare"),
    Contender(name="guarded", module="bench.guarded"),
    Contender(name="guarded_cached", module="bench.guarded"),
    Contender(name="guarded_hit", module="bench.guarded", repeats=True),
    Contender(name="handrolled", module="bench.handrolled"),
    # Longer, so that the last answers, for which nobody else works any more, weigh less.
    Contender(name="bare_100ms", module="bench.bare", calls=300, latency_ms=100),
    Contender(name="guarded_100ms", module="bench.guarded", calls=300, latency_ms=100),
    # One call at a time, ten in a second: more of them would only take longer.
    Contender(name="handrolled_shared", module="bench.handrolled", calls=20, quick_calls=10, latency_ms=100),
)

CONTENDERS: Mapping[str, Contender] = {contender.name: contender for contender in _ALL}
