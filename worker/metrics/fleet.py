"""What the exporter shows: the state that the fleet shares, and whether its servers answer.

narrows_state_up   narrows_broker_up   narrows_cache_up          1 or 0, always there
narrows_beat_up                                                  absent while the state Redis is away
narrows_state_memory_bytes   narrows_state_memory_limit_bytes    the limit is absent where there is none
queue_depth{queue}                                               absent while the broker is away
narrows_snapshot_errors_total
and all of worker.metrics.gauges                                 absent while the state Redis is away
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.metrics.gauges import ProviderState, families

__all__ = ["FleetGauges", "Survey"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The fleet's state at one moment, as far as its servers told it in time.

    Attributes:
        providers: How each stands; None when the state Redis did not answer, as are the next three.
        beats: Somebody holds beat's lock.
        memory: Bytes that the state Redis uses; None also where it may not be asked.
        memory_limit: Bytes that it may use; None also where there is no limit.
        queues: Messages in each queue; None when the broker did not answer.
        cache: Whether the cache Redis answered.
        errors: Surveys so far in which the state Redis did not answer.
    """

    providers: tuple[ProviderState, ...] | None = None
    beats: bool | None = None
    memory: int | None = None
    memory_limit: int | None = None
    queues: Mapping[str, int] | None = None
    cache: bool = False
    errors: int = 0


class FleetGauges(Collector):
    """Asks for a survey at each scrape; *surveyed* never raises and returns in time."""

    def __init__(self, surveyed: Callable[[], Survey]) -> None:
        self._surveyed = surveyed

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering asks nobody."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The state as it is now."""
        found = self._surveyed()
        yield from families(found.providers or ())
        yield _depths(found.queues or {})
        for name, text, value in _ALONE:
            yield _alone(name, text, value(found))
        errors = CounterMetricFamily("narrows_snapshot_errors", "Readings of the state Redis that failed.")
        errors.add_metric([], found.errors)
        yield errors


_ALONE: tuple[tuple[str, str, Callable[[Survey], float | None]], ...] = (
    ("narrows_state_up", "Whether the state Redis answered.", lambda found: found.providers is not None),
    ("narrows_broker_up", "Whether the broker answered.", lambda found: found.queues is not None),
    ("narrows_cache_up", "Whether the cache Redis answered.", lambda found: found.cache),
    ("narrows_beat_up", "Whether some beat holds the lock.", lambda found: found.beats),
    ("narrows_state_memory_bytes", "Memory of the state Redis.", lambda found: found.memory),
    ("narrows_state_memory_limit_bytes", "Its limit.", lambda found: found.memory_limit),
)


def _alone(name: str, text: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(name, text)
    if value is not None:
        family.add_metric([], value)
    return family


def _depths(queues: Mapping[str, int]) -> Metric:
    family = GaugeMetricFamily("queue_depth", "Messages in the broker's queue.", labels=["queue"])
    for queue, depth in queues.items():
        family.add_metric([queue], depth)
    return family
