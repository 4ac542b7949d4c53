"""Gauges of what the whole fleet shares, read from Redis when Prometheus asks.

    quota_remaining{provider}              circuit_breaker_state{provider}   0 closed, 1 open, 2 half-open
    rate_limit_tokens_available{provider}  parked_calls{provider}
    dlq_depth{provider}                    submissions{provider,state}
    poller_lag_seconds{provider}

Every worker shows the same numbers: take ``max by (provider)``. A number nobody knows is absent, not zero:
zero tokens or an empty dead-letter list would be a statement.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["Gauges", "ProviderState", "Snapshot"]

logger = logging.getLogger("narrows")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """What Redis says about one provider at one moment.

    Attributes:
        breaker_state: 0 closed, 1 open, 2 half-open.
        tokens: In the bucket; None without a rate.
        quota_remaining: Calls left today; None without a quota.
        parked: Calls that wait outside of the queue.
        dlq_depth: Dead letters.
        submissions: Their number by state.
        poller_lag: Seconds since the poller should have run; None without one.
    """

    provider: str
    breaker_state: int
    tokens: float | None = None
    quota_remaining: int | None = None
    parked: int = 0
    dlq_depth: int = 0
    submissions: Mapping[str, int] = field(default_factory=dict)
    poller_lag: float | None = None


Snapshot = Callable[[], Iterable[ProviderState]]


class Gauges(Collector):
    """Asks *snapshot* at each scrape; one that fails leaves the gauges out and counts an error."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        # Not a Counter: its lock would be in a child's memory for ever if the fork fell into a scrape.
        self._errors = 0

    def describe(self) -> Iterable[Metric]:
        """Nothing, so that registering asks Redis nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """The gauges as they are now."""
        try:
            yield from _families(list(self._snapshot()))
        except Exception as why:  # noqa: BLE001 - a scrape must show the counters whatever Redis does
            self._errors += 1
            logger.warning("snapshot failed", extra={"error_type": type(why).__name__})
        errors = CounterMetricFamily(
            "narrows_snapshot_errors", "Scrapes that could not read the fleet's state."
        )
        errors.add_metric([], self._errors)
        yield errors


def _families(states: list[ProviderState]) -> Iterator[Metric]:
    """All gauges, made before the first is handed out."""
    yield from [
        _gauge("quota_remaining", "Calls left today.", states, lambda state: state.quota_remaining),
        _gauge(
            "circuit_breaker_state",
            "0 closed, 1 open, 2 half-open.",
            states,
            lambda state: state.breaker_state,
        ),
        _gauge("rate_limit_tokens_available", "Tokens in the bucket.", states, lambda state: state.tokens),
        _gauge("parked_calls", "Calls that wait outside of the queue.", states, lambda state: state.parked),
        _gauge("dlq_depth", "Dead letters.", states, lambda state: state.dlq_depth),
        _gauge("poller_lag_seconds", "How late the poller is.", states, lambda state: state.poller_lag),
        _submissions(states),
    ]


def _gauge(
    name: str, text: str, states: list[ProviderState], value: Callable[[ProviderState], float | None]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["provider"])
    for state in states:
        if (known := value(state)) is not None:
            family.add_metric([state.provider], known)
    return family


def _submissions(states: list[ProviderState]) -> Metric:
    family = GaugeMetricFamily("submissions", "Submissions by state.", labels=["provider", "state"])
    for state in states:
        for name, count in state.submissions.items():
            family.add_metric([state.provider, name], count)
    return family
