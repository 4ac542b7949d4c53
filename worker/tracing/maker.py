"""Starts spans in the right trace, by the program's own OpenTelemetry provider where it has set one up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from worker import context
from worker.tracing.traceparent import Parent
from worker.tracing.words import code_of

if TYPE_CHECKING:
    from worker.tracing.provider import OwnProvider

__all__ = ["Maker", "carried_by", "end", "fail", "inside", "remote"]


class Maker:
    """Makes spans.

    Args:
        own: Our own provider; None where only the program's may be used.
    """

    def __init__(self, own: OwnProvider | None) -> None:
        self._own = own
        self._theirs: tuple[Any, trace.Tracer] | None = None

    @property
    def tracer(self) -> trace.Tracer:
        """What makes them now."""
        theirs = trace.get_tracer_provider()
        if not isinstance(theirs, trace.ProxyTracerProvider):
            if self._theirs is None or self._theirs[0] is not theirs:
                self._theirs = theirs, theirs.get_tracer("narrows")
            return self._theirs[1]
        return self._own.tracer if self._own is not None else trace.NoOpTracer()

    def started(
        self,
        name: str,
        kind: SpanKind,
        about: Mapping[str, Any],
        *,
        trace_id: str,
        within: Context | None = None,
    ) -> Span:
        """A span below the one in *within*, else below the current one, else the first of its trace."""
        if self._own is None:
            return self.tracer.start_span(name, within, kind, about)
        from worker.tracing.provider import rooted

        with rooted(trace_id):
            return self.tracer.start_span(name, within, kind, about)

    @contextmanager
    def current(
        self, name: str, kind: SpanKind, about: Mapping[str, Any], *, trace_id: str
    ) -> Iterator[None]:
        """A span around what is done inside; below the task's run where Celery goes on after it."""
        claim = None if trace.get_current_span().get_span_context().is_valid else context.running_claim()
        within = (
            trace.set_span_in_context(claim.span) if claim is not None and claim.span is not None else None
        )
        span = self.started(name, kind, about, trace_id=trace_id, within=within)
        try:
            with inside(span):
                yield
        except BaseException as why:
            fail(span, why)
            raise
        finally:
            span.end()


def carried_by(span: Span) -> dict[str, str]:
    """What our header in a message says of the span above it; nothing without one."""
    known = span.get_span_context()
    if not known.is_valid:
        return {}
    parent = Parent(f"{known.trace_id:032x}", f"{known.span_id:016x}", known.trace_flags.sampled)
    return {"trace_id": parent.trace_id, "parent": parent.carried}


def remote(parent: Parent) -> Context:
    """A span of another process, for those that come below it."""
    known = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(parent.sampled)),
    )
    return trace.set_span_in_context(NonRecordingSpan(known), Context())


@contextmanager
def inside(span: Span) -> Iterator[None]:
    """Makes *span* the current one."""
    token = attach(trace.set_span_in_context(span))
    try:
        yield
    finally:
        detach(token)


def fail(span: Span, why: BaseException) -> None:
    """Mark *span* as failed, by the code of *why*."""
    code = code_of(why)
    span.set_attribute("error.type", code)
    span.set_status(StatusCode.ERROR, code)


def end(span: Span, outcome: str, why: Any = None) -> None:
    """End *span* with its outcome, and as failed when *why* says so."""
    span.set_attribute("narrows.outcome", outcome)
    if isinstance(why, BaseException):
        fail(span, why)
    span.end()
