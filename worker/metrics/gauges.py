"""Gauges of what the whole fleet shares, read from Redis when Prometheus asks.

    quota_remaining{provider}              circuit_breaker_state{provider}   0 closed, 1 open, 2 half-open
    quota_limit{provider}                  rate_limit_tokens_available{provider}
    quota_exhaustion_seconds{provider}     worker_slots{provider}
    queued_calls{provider}                 oldest_queued_seconds{provider}
    running_calls{provider}
    rate_limit_factor{provider}            credentials_set_aside{provider}
    retry_budget_left{provider}            parked_calls{provider}
    waiting_calls{provider}                oldest_parked_seconds{provider}
    dlq_depth{provider}                    submissions{provider,state}
    oldest_in_doubt_seconds{provider}      poller_lag_seconds{provider}
    suppressed_recipients{provider}

The exporter shows them (:mod:`worker.metrics.fleet`); of several, each the same numbers: take
``max by (provider)``. A number nobody knows is absent, not zero:
zero tokens or an empty dead-letter list would be a statement. Messages that no worker could take are the dead
letters of a provider ``unroutable``, of which nothing else is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric

__all__ = ["ProviderState", "families"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """What Redis says about one provider at one moment.

    Attributes:
        breaker_state: 0 closed, 1 open, 2 half-open.
        tokens: In the bucket; None without a rate.
        rate_factor: The share of the declared rate at which it is asked; None without a rate.
        credentials_set_aside: Refused by the provider, and not used for a while.
        retry_budget_left: Retries that there is room for; None when they are not bounded.
        quota_remaining: Calls left today; None without a quota.
        quota_limit: Calls of a whole day; None without a quota.
        quota_exhaustion: Seconds until they are spent; None without a quota, or when it lasts for today.
        parked: Calls in line for the provider or for the retry budget.
        waiting: Calls that back off, or are not to run yet.
        queued: Calls whose message waits for a worker.
        running: Calls that a worker holds.
        oldest_queued: Seconds for which the message that waits longest has done so.
        slots: Calls that the workers of its line run at once; None while nobody waits: then nobody counts.
        oldest_parked: Seconds for which the one that waits longest has stood in line.
        dlq_depth: Dead letters.
        submissions: Their number by state; none where nothing is submitted.
        in_doubt: Seconds for which the first of those in doubt is; None where nothing is submitted.
        poller_lag: Seconds for which nobody asked about some open submission; None as above.
        suppressed: Recipients that are not written to any more; None as above.
    """

    provider: str
    breaker_state: int | None
    tokens: float | None = None
    rate_factor: float | None = None
    credentials_set_aside: int | None = 0
    retry_budget_left: int | None = None
    quota_remaining: int | None = None
    quota_limit: int | None = None
    quota_exhaustion: float | None = None
    parked: int | None = 0
    waiting: int | None = 0
    queued: int | None = 0
    running: int | None = 0
    oldest_queued: float | None = 0.0
    slots: int | None = None
    oldest_parked: float | None = 0.0
    dlq_depth: int = 0
    submissions: Mapping[str, int] = field(default_factory=dict)
    in_doubt: float | None = None
    poller_lag: float | None = None
    suppressed: int | None = None

    @classmethod
    def of_letters(cls, name: str, depth: int) -> ProviderState:
        """What has dead letters and is no provider: nothing else is known of it."""
        return cls(
            provider=name,
            breaker_state=None,
            credentials_set_aside=None,
            parked=None,
            waiting=None,
            queued=None,
            running=None,
            oldest_queued=None,
            oldest_parked=None,
            dlq_depth=depth,
        )


_GAUGES: tuple[tuple[str, str, Callable[[ProviderState], float | None]], ...] = (
    ("quota_remaining", "Calls left today.", lambda state: state.quota_remaining),
    ("quota_limit", "Calls of a whole day.", lambda state: state.quota_limit),
    ("quota_exhaustion_seconds", "Until today's quota is spent.", lambda state: state.quota_exhaustion),
    ("circuit_breaker_state", "0 closed, 1 open, 2 half-open.", lambda state: state.breaker_state),
    ("rate_limit_tokens_available", "Tokens in the bucket.", lambda state: state.tokens),
    ("rate_limit_factor", "Share of the declared rate that is used.", lambda state: state.rate_factor),
    ("credentials_set_aside", "Credentials that were refused.", lambda state: state.credentials_set_aside),
    ("retry_budget_left", "Retries that there is room for.", lambda state: state.retry_budget_left),
    ("parked_calls", "Calls in line for provider or retry budget.", lambda state: state.parked),
    ("waiting_calls", "Calls that back off, or are not to run yet.", lambda state: state.waiting),
    ("queued_calls", "Calls whose message waits for a worker.", lambda state: state.queued),
    ("running_calls", "Calls that a worker holds.", lambda state: state.running),
    ("oldest_queued_seconds", "How long the first queued one waits.", lambda state: state.oldest_queued),
    ("worker_slots", "Slots of the workers that serve the line.", lambda state: state.slots),
    ("oldest_parked_seconds", "How long the oldest stands in line.", lambda state: state.oldest_parked),
    ("dlq_depth", "Dead letters.", lambda state: state.dlq_depth),
    ("oldest_in_doubt_seconds", "How long the oldest is in doubt.", lambda state: state.in_doubt),
    ("poller_lag_seconds", "How long some open one was not asked about.", lambda state: state.poller_lag),
    ("suppressed_recipients", "Recipients that are written to no more.", lambda state: state.suppressed),
)


def families(states: Sequence[ProviderState]) -> list[Metric]:
    """All gauges of *states*."""
    return [*(_gauge(name, text, states, value) for name, text, value in _GAUGES), _submissions(states)]


def _gauge(
    name: str, text: str, states: Sequence[ProviderState], value: Callable[[ProviderState], float | None]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=["provider"])
    for state in states:
        if (known := value(state)) is not None:
            family.add_metric([state.provider], known)
    return family


def _submissions(states: Sequence[ProviderState]) -> Metric:
    family = GaugeMetricFamily("submissions", "Submissions by state.", labels=["provider", "state"])
    for state in states:
        for name, count in state.submissions.items():
            family.add_metric([state.provider, name], count)
    return family
