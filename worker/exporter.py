"""The process that shows the state of the whole fleet to Prometheus: ``narrows exporter``.

One is enough; a second shows the same numbers and does no harm. It holds nothing, decides nothing and writes
nothing, so it may be stopped and started at any time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from worker.metrics.build import Build
from worker.metrics.exposition import Check, Exposition, token
from worker.metrics.fleet import FleetGauges
from worker.metrics.metrics import rendered
from worker.survey import FRESH, WITHIN, Surveyor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from worker.engine import Engine
    from worker.metrics.fleet import Survey

__all__ = ["Exporter", "exposition"]


class Exporter:
    """Makes the pages of the exporter.

    Args:
        surveyor: Who reads the fleet's state.
    """

    def __init__(self, surveyor: Surveyor) -> None:
        self._surveyor = surveyor
        self._registry = CollectorRegistry()
        self._registry.register(FleetGauges(surveyor.survey))
        self._registry.register(Build())

    def page(self, accept: str = "") -> tuple[str, bytes]:
        """Content type and text of ``/metrics``; reads the servers, in bounded time, unless just done."""
        return rendered(self._registry, accept)

    def ready(self) -> Iterable[Check]:
        """Whether there is something to show: the state Redis answers, and the broker."""
        found: Survey = self._surveyor.survey()
        yield Check(name="state", ok=found.providers is not None)
        yield Check(name="broker", ok=found.queues is not None)


def exposition(
    engine: Engine,
    app: Celery,
    *,
    host: str | None = None,
    port: int | None = None,
    within: float = WITHIN,
    fresh: float = FRESH,
) -> Exposition:
    """The exporter's web page, not yet started, where the settings say unless *host* and *port* do.

    Args:
        engine: Whose settings and state are meant.
        app: Whose broker is.
        host: Where to listen.
        port: 0 is any free one.
        within: Seconds that a server has to answer.
        fresh: Seconds for which what they said is shown again.
    """
    settings = engine.settings
    exporter = Exporter(Surveyor(engine, app, within=within, fresh=fresh))
    return Exposition(
        exporter,
        ready=exporter.ready,
        token=token(settings),
        host=settings.exporter_host if host is None else host,
        port=settings.exporter_port if port is None else port,
        any_port=port is None and not settings.in_production,
    )
