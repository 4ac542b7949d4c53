"""What Prometheus is told by a worker: counters of what this process did.

    adapter_calls_total{provider,operation,status}     adapter_latency_seconds{provider,operation}
    deferrals_total{provider,reason}                   retries_total{provider}
    cache_hits_total{provider,tier}                    cache_misses_total{provider}
    dead_letters_total{provider,code}                  dlq_replays_total{provider,outcome}
    circuit_breaker_transitions_total{provider,to}     credentials_refused_total{provider}
    calls_republished_total{provider,reason}           token_requests_total{provider,status}

What the fleet shares is shown once, by the exporter (:mod:`worker.metrics.fleet`).

Importing this module imports prometheus_client, which takes a tenth of a second, so only workers and commands
do. With threads all is in memory. In a prefork worker each child counts into a file of its own and the parent
adds the files up when it is scraped (:mod:`worker.metrics.files`, which must be asked before this module is
imported).
"""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import choose_encoder
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from worker.metrics import files

__all__ = ["Metrics", "rendered"]

LATENCY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
"""Seconds: from a near host's answer to the longest deadline; 20 and 30 are the read and total time-outs."""


class Metrics:
    """Counts what happens in this process. Any thread may call any method; each costs 1 or 2 µs.

    Args:
        registry: Where the counters are kept; a new one when None.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        directory = files.directory()
        own = registry if registry is not None else CollectorRegistry()
        # In prefork the parent's own counts are a file among those added up: not to be shown twice.
        self._page = CollectorRegistry() if directory else own
        if directory:
            MultiProcessCollector(self._page, path=str(directory))  # type: ignore[no-untyped-call]
        self._count(own)

    def _count(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, ("provider", *labels), registry=registry)

        calls = counter("adapter_calls_total", "Exchanges with a provider that ended.", "operation", "status")
        latency = Histogram(
            "adapter_latency_seconds",
            "How long exchanges with a provider took.",
            ("provider", "operation"),
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        deferrals = counter("deferrals_total", "Calls held back before they were made.", "reason")
        retries = counter("retries_total", "Failed calls that are tried again.")
        letters = counter("dead_letters_total", "Calls that were given up.", "code")
        replays = counter("dlq_replays_total", "Dead letters that were tried again.", "outcome")
        hits = counter("cache_hits_total", "Answers that came from the cache.", "tier")
        misses = counter("cache_misses_total", "Answers that the cache did not have.")
        refusals = counter("credentials_refused_total", "Calls whose credentials the provider refused.")
        copies = counter("calls_republished_total", "Calls that nobody ran any more.", "reason")
        tokens = counter("token_requests_total", "Access tokens asked for.", "status")
        moves = counter("circuit_breaker_transitions_total", "Moves of a breaker by this process.", "to")
        # labels() validates and locks on each call; its result never changes.
        self._calls, self._latency = cache(calls.labels), cache(latency.labels)
        self._deferrals, self._retries = cache(deferrals.labels), cache(retries.labels)
        self._letters, self._replays = cache(letters.labels), cache(replays.labels)
        self._hits, self._misses = cache(hits.labels), cache(misses.labels)
        self._moves, self._refusals = cache(moves.labels), cache(refusals.labels)
        self._copies, self._tokens = cache(copies.labels), cache(tokens.labels)

    def call_ended(self, provider: str, operation: str, status: str, seconds: float) -> None:
        """An exchange ended; *status* is ``success`` or an error code."""
        self._calls(provider, operation, status).inc()
        self._latency(provider, operation).observe(seconds)

    def deferred(self, provider: str, reason: str) -> None:
        """A call was held back."""
        self._deferrals(provider, reason).inc()

    def credentials_refused(self, provider: str) -> None:
        """The provider refused our key."""
        self._refusals(provider).inc()

    def token_asked(self, provider: str, status: str) -> None:
        """An access token was asked for; *status* is ``success`` or an error code."""
        self._tokens(provider, status).inc()

    def republished(self, provider: str, reason: str) -> None:
        """A call was published again: ``lost`` with its worker, or ``unclaimed`` after its message."""
        self._copies(provider, reason).inc()

    def retried(self, provider: str) -> None:
        """A failed call is to be tried again."""
        self._retries(provider).inc()

    def dead_lettered(self, provider: str, code: str) -> None:
        """A call was given up."""
        self._letters(provider, code).inc()

    def replayed(self, provider: str, outcome: str, count: int = 1) -> None:
        """So many dead letters were tried again."""
        self._replays(provider, outcome).inc(count)

    def cache_hit(self, provider: str, tier: str) -> None:
        """An answer came from the cache; *tier* is ``memory``, ``redis`` or ``stale``."""
        self._hits(provider, tier).inc()

    def cache_missed(self, provider: str) -> None:
        """The cache had no fresh answer."""
        self._misses(provider).inc()

    def breaker_moved(self, provider: str, to: str) -> None:
        """A breaker moved; *to* is ``closed``, ``open`` or ``half_open``."""
        self._moves(provider, to).inc()

    def show(self, collector: Collector) -> None:
        """Show what *collector* says, too. Once per process, in the parent only."""
        self._page.register(collector)

    def page(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and text of ``/metrics``, for the given Accept header."""
        with files.settled():
            return rendered(self._page, accept)


def rendered(registry: CollectorRegistry, accept: str = "") -> tuple[str, bytes]:
    """Content type and text of all that is in *registry*, in the form that an Accept header asks for."""
    encode, content_type = choose_encoder(accept)
    return content_type, encode(registry)
