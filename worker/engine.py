"""The composition root: what one process needs, built when it is first needed.

Only here are clients, gateways and metrics made; everything else is handed what it uses. A producer that
only enqueues builds a Redis client and nothing more.
"""

from __future__ import annotations

from functools import cache, cached_property
from math import ceil
from typing import TYPE_CHECKING

from worker import registry
from worker.bulkhead import Bulkhead
from worker.doctor.pulse import Pulse
from worker.errors import ConfigurationError
from worker.outbox import Outbox
from worker.overrides import overridden
from worker.record import Records
from worker.stores import Line, connect

if TYPE_CHECKING:
    from redis import Redis

    from config.settings import Settings
    from worker.cache.cache import Cache
    from worker.gate import Gate
    from worker.gateway import Gateway
    from worker.letters.deadletter import DeadLetters
    from worker.metrics.metrics import Metrics
    from worker.pipeline import Pipeline
    from worker.releaser import Releaser
    from worker.runner import Runner
    from worker.sealing.sealer import Sealer
    from worker.submissions.ledger import Ledger
    from worker.submissions.submitting import Submitter
    from worker.tracing.tracer import Tracer
    from worker.watcher import Watcher

__all__ = ["Engine", "engine"]


FEW = 16
"""Messages that are no crowd at any rate."""


class Engine:
    """One process's part of the fleet."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._gateways: dict[str, Gateway] = {}
        self._records: dict[str, Records] = {}

    @cached_property
    def state(self) -> Redis:
        """The Redis of gate, records and dead letters."""
        url = self.settings.state_url.get_secret_value()
        return connect(url, self.settings, timeout=self.settings.redis_timeout)

    @cached_property
    def line(self) -> Line:
        """The same server, for scripts on the way of a call."""
        return Line(self.state)

    @cached_property
    def outbox(self) -> Outbox:
        """What is said to it with the next begin."""
        return Outbox(self.line)

    @cached_property
    def bulkhead(self) -> Bulkhead:
        """How many of this process's slots each provider may hold."""
        return Bulkhead()

    @cached_property
    def sealer(self) -> Sealer:
        """What seals and opens the arguments of the tasks that the settings name.

        Raises:
            ConfigurationError: They name a task that there is not.
        """
        from worker.sealing.sealer import chosen_sealer

        return chosen_sealer(self.settings)

    @cached_property
    def pulse(self) -> Pulse:
        """Which parts of this process have been heard lately."""
        return Pulse(self.settings.liveness_timeout)

    @cached_property
    def releaser(self) -> Releaser:
        """What publishes parked calls; it runs where a worker starts it."""
        from worker.application import app
        from worker.releaser import Releaser

        return Releaser(app, self)

    @cached_property
    def cache(self) -> Cache:
        """Answers, in memory over the cache Redis."""
        from worker.cache.cache import Cache

        url = self.settings.cache_url.get_secret_value()
        return Cache(connect(url, self.settings, timeout=0.5, connect_timeout=0.3))

    @cached_property
    def metrics(self) -> Metrics:
        """This process's counters; the first use imports prometheus_client."""
        from worker.metrics.metrics import Metrics

        return Metrics()

    @cached_property
    def watcher(self) -> Watcher:
        """Who hears what happens."""
        from worker.watcher import Watcher

        return Watcher(self.metrics, self.tracer)

    @cached_property
    def tracer(self) -> Tracer:
        """Who is told of calls as spans; nobody, unless the settings say so.

        Raises:
            ConfigurationError: What that takes is not installed.
        """
        from worker.tracing.tracer import chosen_tracer

        return chosen_tracer(self.settings)

    @cached_property
    def pipeline(self) -> Pipeline:
        """The way of a call."""
        from worker.pipeline import Pipeline

        return Pipeline(
            self.gateway, inline_wait=self.settings.inline_wait, watcher=self.watcher, tracer=self.tracer
        )

    @cached_property
    def submitter(self) -> Submitter:
        """What runs operations that submit."""
        from worker.submissions.submitting import Submitter

        return Submitter(self.pipeline, self.ledger)

    @cached_property
    def runner(self) -> Runner:
        """What runs tasks."""
        from worker.runner import Runner

        return Runner(self)

    def gateway(self, name: str) -> Gateway:
        """The gateway of the provider of that name."""
        gateway = self._gateways.get(name)
        if gateway is None:
            from worker.gateway import open_gateway
            from worker.watcher import BreakerWatcher

            declared = registry.provider(name)
            listeners = (BreakerWatcher(self.watcher),)
            chosen = self.settings.providers.get(name)
            gateway = open_gateway(
                declared,
                chosen,
                self.state,
                self.line,
                self.outbox,
                self.cache,
                listeners,
                contact=self.settings.contact,
                fleet=self.settings.fleet_size,
                bought=lambda status: self.watcher.token_asked(name, status),
            )
            gateway = self._gateways.setdefault(name, gateway)
        return gateway

    def gate(self, name: str) -> Gate:
        """The gate of the provider of that name, also where its settings let nobody through."""
        try:
            return self.gateway(name).gate
        except ConfigurationError:
            from worker.gate import Gate

            return Gate(self.line, registry.provider(name), outbox=self.outbox)

    def records(self, name: str) -> Records:
        """The records of the calls of the provider of that name."""
        known = self._records.get(name)
        return known or self._records.setdefault(
            name, Records(self.state, self.line, name, room=self._room(name))
        )

    def ledger(self, name: str) -> Ledger:
        """What is remembered of the submissions of the provider of that name."""
        from worker.submissions.ledger import Ledger

        return Ledger(self.state, self.line, name)

    def _room(self, name: str) -> int:
        """Calls of a provider that its workers take at once or let wait in a slot; 0 when it has no rate."""
        rate = overridden(registry.provider(name), self.settings.providers.get(name)).rate
        if rate is None:
            return 0
        return max(FEW, ceil(rate.per_second * self.settings.inline_wait) + rate.burst)

    def dead_letters(self, name: str) -> DeadLetters:
        """The dead letters of the provider of that name."""
        from worker.letters.deadletter import DeadLetters

        return DeadLetters(self.state, name, sealer=self.sealer)


@cache
def engine() -> Engine:
    """This process's engine, from the environment's settings."""
    from config.settings import settings

    return Engine(settings())
