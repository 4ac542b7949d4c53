"""On whose behalf a call is made, carried from the service that enqueues to the worker that calls.

A service sets it once per request; ``delay`` puts it into the message's headers; the worker binds it while
the task runs, so that every log line of one request, in whatever process, has the same ``trace_id``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from worker.tracing.traceparent import Headers, root_of

if TYPE_CHECKING:
    from worker.claim import Claim

__all__ = [
    "Context",
    "bound",
    "clear_request_context",
    "current_context",
    "from_header",
    "log_fields",
    "of_message",
    "running_claim",
    "set_request_context",
    "to_header",
]

LONGEST = 128
"""Characters of an id that are kept: a header travels with every message."""

_TRACE = re.compile(r"[0-9a-f]{32}")
_NO_TRACE = "0" * 32


def _new_trace_id() -> str:
    """That of the OpenTelemetry span which this program is in, where it uses that; else a new one."""
    opentelemetry = sys.modules.get("opentelemetry.trace")
    if opentelemetry is not None and (current := getattr(opentelemetry, "get_current_span", None)):
        known = current().get_span_context()
        if known.is_valid:
            return f"{known.trace_id:032x}"
    return uuid4().hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Who asked, and the thread that ties all its traces together.

    Attributes:
        trace_id: 32 hex digits, as in W3C Trace Context (https://www.w3.org/TR/trace-context/, §3.2.2.3).
        request_id: The service's own name for its request.
        user_id: For whom the service asks; an opaque id, never a name or an address.
    """

    trace_id: str = field(default_factory=_new_trace_id)
    request_id: str | None = None
    user_id: str | None = None


_current: ContextVar[Context | None] = ContextVar("narrows_context", default=None)


def set_request_context(
    request_id: str | None = None, user_id: str | None = None, trace_id: str | None = None
) -> Context:
    """The context of all calls that this thread (or asyncio task) makes from now on.

    It replaces the one before it. Ids are cut at 128 characters; a *trace_id* that is neither 32 hex digits
    nor a UUID is replaced by a new one, since it may come from a stranger's header.

    Raises:
        TypeError: an id is not a string; names which.
    """
    for name, value in (("request_id", request_id), ("user_id", user_id), ("trace_id", trace_id)):
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name}: a string is needed, for instance {name}='42'")
    context = _made(request_id=request_id, user_id=user_id, trace_id=trace_id)
    _current.set(context)
    return context


def clear_request_context() -> None:
    """Forget it, at the end of a request: threads are used again."""
    _current.set(None)


def current_context() -> Context:
    """The context that is set, or a new one with nothing but a trace id, which is not kept.

    Where a worker publishes a task's next steps, once that has run, it is still the task's.
    """
    if (found := _current.get()) is not None:
        return found
    claim = running_claim()
    return claim.context if claim is not None else Context()


def running_claim() -> Claim | None:
    """The claim of the task that this thread of a worker is busy with; None anywhere else."""
    if (celery := sys.modules.get("celery._state")) is None:
        return None
    task = celery.get_current_worker_task()
    claim: Claim | None = task.request.get("claim") if task is not None else None
    return claim


@contextmanager
def bound(context: Context) -> Iterator[Context]:
    """*context* while the block runs; the one before it afterwards, whatever happens."""
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)


def to_header(context: Context | None = None) -> dict[str, str]:
    """*context* (or the current one) as a message carries it: ``trace_id`` and what else is known."""
    context = context or current_context()
    header = {"trace_id": context.trace_id, "request_id": context.request_id, "user_id": context.user_id}
    return {name: value for name, value in header.items() if value}


def from_header(header: object, *, default: str | None = None) -> Context:
    """The context that a message carries. Never raises: anyone may have written the message.

    Args:
        header: What :func:`to_header` made, among other keys; anything else counts as empty.
        default: The trace id of a message without one, such as Celery's root id.
    """
    found: Mapping[str, object] = header if isinstance(header, Mapping) else {}
    return _made(
        request_id=found.get("request_id"),
        user_id=found.get("user_id"),
        trace_id=_trace_id(found.get("trace_id")) or default,
    )


def of_message(headers: Headers) -> Context:
    """The context that a message's *headers* carry: ours, or W3C's ``traceparent``, or Celery's root."""
    return from_header(headers.get("narrows"), default=root_of(headers))


def log_fields() -> dict[str, str]:
    """What every log line of the present call carries; empty outside of one."""
    context = _current.get()
    return to_header(context) if context else {}


def _made(*, request_id: object, user_id: object, trace_id: object) -> Context:
    return Context(
        trace_id=_trace_id(trace_id) or _new_trace_id(),
        request_id=_identifier(request_id),
        user_id=_identifier(user_id),
    )


def _identifier(value: object) -> str | None:
    """A short printable string, or None."""
    if not isinstance(value, str):
        return None
    return "".join(filter(str.isprintable, value[:LONGEST])).strip() or None


def _trace_id(value: object) -> str | None:
    """32 hex digits from those or a UUID; None for all else and for the id of zeros, which means none."""
    if not isinstance(value, str) or len(value) > len(_NO_TRACE) + 4:
        return None
    bare = value.replace("-", "").lower()
    return bare if _TRACE.fullmatch(bare) and bare != _NO_TRACE else None
