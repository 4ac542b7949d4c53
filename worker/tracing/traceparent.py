"""Where a span's parent is known from: a message's own header, or W3C Trace Context's ``traceparent``.

Anyone may have written the message, so nothing here raises, and what is not exactly right counts as absent.
Source: https://www.w3.org/TR/trace-context/, §3.2, read 2026-11-21.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

__all__ = ["Parent", "parent_of", "parsed", "root_of"]

_TRACEPARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<rest>[0-9a-f]{16}-[0-9a-f]{2})"
)
_REST = re.compile(r"([0-9a-f]{16})-([0-9a-f]{2})")
_LONGEST = 512
_SAMPLED = 1


class Headers(Protocol):
    """A message's headers, or what Celery makes of them."""

    def get(self, name: str, /) -> Any:
        """One of them; None when it is not there."""


class Parent(NamedTuple):
    """A span of another process.

    Attributes:
        trace_id: 32 hex digits.
        span_id: 16 hex digits.
        sampled: Whether its trace is kept.
    """

    trace_id: str
    span_id: str
    sampled: bool

    @property
    def carried(self) -> str:
        """As our own header has it, beside the trace id: ``00f067aa0ba902b7-01``."""
        return f"{self.span_id}-{int(self.sampled):02x}"


def parsed(text: object) -> Parent | None:
    """What a ``traceparent`` says; None when it is none."""
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None
    found = _TRACEPARENT.match(text)
    if found is None or found["version"] == "ff":
        return None
    after = text[found.end() :]  # later versions may say more, after a dash
    if after and (found["version"] == "00" or not after.startswith("-")):
        return None
    return _parent(found["trace"], found["rest"])


def parent_of(headers: Headers, trace_id: str) -> Parent | None:
    """The span of that trace which a message was sent from, as its *headers* say; None when they do not."""
    mark = headers.get("narrows")
    if isinstance(mark, Mapping) and isinstance(rest := mark.get("parent"), str):
        return _parent(trace_id, rest)
    found = parsed(headers.get("traceparent"))
    return found if found is not None and found.trace_id == trace_id else None


def root_of(headers: Headers) -> str | None:
    """The trace id of a message without one of ours: its ``traceparent``'s, else Celery's root id."""
    parent, root = parsed(headers.get("traceparent")), headers.get("root_id")
    if parent is not None:
        return parent.trace_id
    return root if isinstance(root, str) else None


def _parent(trace: str, rest: str) -> Parent | None:
    found = _REST.fullmatch(rest)
    if found is None or not int(trace, 16) or not int(found[1], 16):
        return None
    return Parent(trace, found[1], bool(int(found[2], 16) & _SAMPLED))
