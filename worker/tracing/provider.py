"""This process's own OpenTelemetry provider: our trace ids, sampling, a bounded queue, one collector.

The program's global provider is left as it is. A forked child gets a provider of its own: no thread of its
parent's lives on in it, and what waits in the parent's queue is the parent's to send.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import Link, NoOpTracer, SpanKind, Tracer, TraceState
from opentelemetry.util.types import Attributes

from worker.tracing.export import Collector

if TYPE_CHECKING:
    from config.settings import Settings

__all__ = ["OwnProvider", "SharedTraces", "rooted"]

logger = logging.getLogger("narrows")

QUEUE = 4096
"""Spans that wait for the collector; those beyond are lost."""

AT_ONCE = 512
EVERY = 1.0
"""Seconds between two batches, unless one is full before, or the deployment says otherwise."""

DELAY = "OTEL_BSP_SCHEDULE_DELAY"

CLOSING = 3.0
"""Seconds for what is left when the process ends; one request under way may take its own time-out more."""

_wanted: ContextVar[int | None] = ContextVar("narrows_wanted_trace", default=None)


@contextmanager
def rooted(trace_id: str) -> Iterator[None]:
    """Inside, a span without a parent begins the trace of that id and no other."""
    token = _wanted.set(int(trace_id, 16))
    try:
        yield
    finally:
        _wanted.reset(token)


class _OurIds(RandomIdGenerator):
    def generate_trace_id(self) -> int:
        """The call's own trace id, which its log lines and its dead letter have."""
        return _wanted.get() or super().generate_trace_id()


class SharedTraces(Sampler):
    """Keeps a share of traces, chosen by the trace id, so that all processes keep the same ones.

    OpenTelemetry's own sampler looks at the lowest 64 bits, of which a UUID fixes the first two: of a half of
    the traces that are UUIDs, as Celery's ids are, it would keep none. The lowest 56 are random in both
    (https://www.w3.org/TR/trace-context-2/#random-trace-id-flag, read 2026-11-21).
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._bound = round(share * (1 << 56))

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        """Whether the trace is kept."""
        kept = ALWAYS_ON if trace_id & ((1 << 56) - 1) < self._bound else ALWAYS_OFF
        return kept.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        """Its name and share."""
        return f"SharedTraces{{{self._share}}}"


class OwnProvider:
    """One process's provider, made with its first span.

    Args:
        settings: Say where spans go, and how large a share of the traces is kept.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock, self._process = threading.Lock(), 0
        self._provider: TracerProvider | None = None
        self._collector: Collector | None = None
        self._made: Tracer | None = None

    @property
    def tracer(self) -> Tracer:
        """What makes the spans of this process."""
        if self._made is None or self._process != os.getpid():
            try:
                self._open()
            except Exception:  # no memory for a thread, for instance
                logger.exception("tracing failed")
                self._made, self._process = NoOpTracer(), os.getpid()
        return self._made or NoOpTracer()

    def close(self) -> None:
        """Send what is left, within :data:`CLOSING` seconds and one request's time-out."""
        if self._provider is None or self._collector is None or self._process != os.getpid():
            return
        self._collector.hurry(CLOSING)
        self._provider.shutdown()
        atexit.unregister(self.close)

    def _open(self) -> None:
        with self._lock:
            if self._made is not None and self._process == os.getpid():
                return
            chosen = self._settings
            self._collector = Collector.of(chosen)
            provider = TracerProvider(
                sampler=ParentBased(SharedTraces(chosen.tracing_sample)),
                resource=Resource.create(_about()),
                id_generator=_OurIds(),
                shutdown_on_exit=False,
            )
            provider.add_span_processor(
                BatchSpanProcessor(
                    self._collector,
                    max_queue_size=QUEUE,
                    schedule_delay_millis=None if DELAY in os.environ else EVERY * 1000,
                    max_export_batch_size=AT_ONCE,
                )
            )
            self._provider, self._made = provider, provider.get_tracer("narrows")
            self._process = os.getpid()
            atexit.register(self.close)


def _about() -> dict[str, Any]:
    """Who sends the spans, unless OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say more."""
    said = os.environ.get("OTEL_SERVICE_NAME") or SERVICE_NAME in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    return {} if said else {SERVICE_NAME: "narrows"}
