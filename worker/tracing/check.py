"""What ``narrows doctor`` says of tracing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.doctor.checks import Ailment, Finding
from worker.errors import ConfigurationError

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = ["tracing_finding"]


def tracing_finding(settings: Settings) -> Iterator[Finding]:
    """Whether spans are sent, and whether their collector takes an empty batch.

    Raises:
        Ailment: It does not, or cannot be asked. Calls are made all the same.
    """
    endpoint = settings.tracing_endpoint
    if endpoint is None:
        yield Finding(name="tracing", ok=True, detail="off")
        return
    from worker.tracing.tracer import chosen_tracer

    try:
        chosen_tracer(settings)
    except ConfigurationError as missing:
        raise Ailment(str(missing), "install it, or unset NARROWS_TRACING_ENDPOINT") from None
    from worker.tracing.export import Collector

    place = urlsplit(endpoint).netloc  # some vendors' addresses have a key in their path
    collector = Collector.of(settings)
    try:
        refused = collector.post(b"")
    finally:
        collector.shutdown()
    if refused:
        cure = (
            "look at the collector, NARROWS_TRACING_ENDPOINT and NARROWS_TRACING_HEADERS; calls go on without"
        )
        detail = f"{place} does not take spans: {refused}"
        yield Finding(name="tracing", ok=True, detail=detail, advice=cure)
        return
    share = f"{settings.tracing_sample:.0%} of traces to {place}"
    yield Finding(name="tracing", ok=True, detail=share)
