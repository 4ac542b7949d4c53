"""The spans of a call, one trace from its producer to its outcome; ``docs/tracing.md`` draws the tree.

What may stand in them is said in :mod:`worker.tracing.words`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celery import states
from celery.exceptions import Ignore
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind

from worker import context
from worker.errors import CallDeferred
from worker.http.connection import CURRENT
from worker.tracing.maker import Maker, carried_by, end, fail, inside, remote
from worker.tracing.traceparent import parent_of, root_of
from worker.tracing.words import code_of, failed, of_message, of_run, outcome_of, reason_of, server_of

if TYPE_CHECKING:
    from worker.claim import Claim
    from worker.provider import Provider
    from worker.request import Answer, Request
    from worker.tracing.provider import OwnProvider

__all__ = ["Spans"]

_NANO = 1_000_000_000


class Spans:
    """Makes spans by way of the program's own provider where it has set one up, else by ours.

    Args:
        own: None where only the program's own may be used.
    """

    on = True

    def __init__(self, own: OwnProvider | None) -> None:
        self._own, self._maker = own, Maker(own)

    @contextmanager
    def sending(self, task: str, headers: Mapping[str, Any], mark: dict[str, Any]) -> Iterator[None]:
        """One span around the publishing of one message."""
        known = context.from_header(mark, default=root_of(headers))
        about = {
            **of_message(task, "send"),
            "messaging.message.id": str(headers.get("id", "")),
        }
        with self._maker.current(f"{task} send", SpanKind.PRODUCER, about, trace_id=known.trace_id):
            mark.update(self.carried())
            yield

    @contextmanager
    def sending_many(self, task: str) -> Iterator[None]:
        """One span around the writing of many."""
        trace_id = context.current_context().trace_id
        with self._maker.current(
            f"{task} send", SpanKind.PRODUCER, of_message(task, "send"), trace_id=trace_id
        ):
            yield

    def carried(self) -> dict[str, str]:
        """What a message has to say of the span that it is sent from; nothing without one."""
        return carried_by(trace.get_current_span())

    def replayed(self, task: str, trace_id: str, generation: int) -> dict[str, str]:
        """The same for a call that is made of a dead letter: a span of its own in the letter's trace."""
        about = {**of_message(task, "send"), "narrows.replays": generation}
        span = self._maker.started(
            f"{task} replay", SpanKind.PRODUCER, about, trace_id=trace_id, within=Context()
        )
        span.end()
        return carried_by(span)

    @contextmanager
    def running(self, task: str, claim: Claim, request: Any) -> Iterator[None]:
        """The span of one run; :meth:`settling` ends it, or this when nothing is to be settled."""
        parent = parent_of(request, claim.context.trace_id) if claim.task_id else None
        within = remote(parent) if parent else None
        mark = request.get("narrows") if isinstance(request.get("narrows"), Mapping) else {}
        kind = SpanKind.CONSUMER if claim.task_id else SpanKind.INTERNAL
        about = of_run(task, claim, mark)
        if within is not None:
            self._waited(within, about.get("narrows.queue_wait"))
        span = self._maker.started(f"{task} run", kind, about, trace_id=claim.context.trace_id, within=within)
        claim.span = span
        try:
            with inside(span):
                yield
        except Ignore as why:  # a copy, or revoked: nothing is settled
            end(span, code_of(why.__context__ or why))
            raise
        except Exception as why:
            if not claim.task_id:
                end(span, code_of(why), why)
            raise
        else:
            if not claim.task_id:
                end(span, "success")

    @contextmanager
    def settling(self, claim: Claim, status: str, why: Any) -> Iterator[None]:
        """Ends the run's span with its outcome."""
        span: Span | None = claim.span
        if span is None:
            yield
            return
        try:
            with inside(span):
                if status == states.RETRY and not failed(why):
                    self.event("deferred", reason=reason_of(why), wait=round(claim.wait or 0.0, 3))
                yield
        finally:
            if claim.token:
                span.set_attribute("narrows.attempt", claim.attempt + 1)
            end(span, outcome_of(status, why), why if status == states.FAILURE or failed(why) else None)

    def over(self, claim: Claim) -> None:
        """Ends the span of a run of which nobody heard how it ended."""
        span: Span | None = claim.span
        if span is not None and span.is_recording():
            end(span, "unknown")

    @contextmanager
    def calling(self, provider: Provider, request: Request, claim: Claim, operation: str) -> Iterator[None]:
        """The span of one guarded call: cache, gate, HTTP, outcome."""
        about = {
            "narrows.provider": provider.name,
            "narrows.operation": operation,
            "narrows.request": request.label,
        }
        name = f"narrows.integrations.{provider.name}"
        span = self._maker.started(name, SpanKind.INTERNAL, about, trace_id=claim.context.trace_id)
        try:
            with inside(span):
                yield
        except CallDeferred as why:
            span.set_attribute("narrows.attempt", claim.attempt + 1)
            span.set_attribute("narrows.reason", why.reason)
            end(span, "deferred")
            raise
        except BaseException as why:
            span.set_attribute("narrows.attempt", claim.attempt + 1)
            end(span, code_of(why), why)
            raise
        else:
            span.set_attribute("narrows.attempt", claim.attempt + 1)
            end(span, "success")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """The span of the gate: the question, and the wait in the slot."""
        span = self._maker.tracer.start_span("narrows.gate")
        try:
            yield
        except CallDeferred as why:
            span.set_attribute("narrows.reason", why.reason)
            raise
        except BaseException as why:
            fail(span, why)
            raise
        finally:
            span.end()

    def exchange(self, provider: Provider, request: Request, send: Callable[[], Answer]) -> Answer:
        """The span of one HTTP exchange; what is known of it stands in the call's, too."""
        host, port = server_of(provider.base_url)
        about: dict[str, str | int] = {
            "http.request.method": request.method,
            "server.address": host,
            "server.port": port,
        }
        span = self._maker.tracer.start_span(
            f"{request.method} {request.label}".strip(), kind=SpanKind.CLIENT, attributes=about
        )
        before, status = getattr(CURRENT, "exchange", None), None
        try:
            answer = send()
            status = answer.status
            return answer
        except BaseException as why:
            status = getattr(why, "status", None)
            fail(span, why)
            raise
        finally:
            seen: dict[str, str | int] = {}
            if status:
                seen |= {"http.response.status_code": status, "http.status_code": status}
            now = getattr(CURRENT, "exchange", None)
            if now is not None and now is not before and now.peer:
                seen |= {"network.peer.address": now.peer, "peer.ip": now.peer}
            span.set_attributes(seen)
            trace.get_current_span().set_attributes(seen)
            span.end()

    def event(self, name: str, **about: str | float) -> None:
        """An event of the span that is current: the call's while one is made, else the run's."""
        span = trace.get_current_span()
        if span.is_recording():
            span.add_event(name, {f"narrows.{key}": value for key, value in about.items()})

    def close(self) -> None:
        """Send what is left, within seconds."""
        if self._own is not None:
            self._own.close()

    def _waited(self, within: Context, seconds: float | None) -> None:
        """A span for the time that the message lay in its queue, which no process has watched."""
        if seconds is not None:
            now = time.time_ns()
            span = self._maker.tracer.start_span(
                "narrows.queue", within, start_time=now - round(seconds * _NANO)
            )
            span.end(now)
