"""The storage service: how far each source has been read, as watermarks.

Docs       none published: an internal service, known from its users' handbook (PROVIDERS.md, section 12)
Limits     none; no quota
Quirks     404 says that a source has no watermark yet, which is no failure
Unverified the PUT (the handbook names no method), ``timestamp`` and ``error`` in the answer, the health path,
           the Bearer key; nothing says that the service itself refuses an older timestamp, nor how late
           it may still write one that it was sent: after a minute we take it for lost
Read on    2026-11-21
"""

from __future__ import annotations

from urllib.parse import quote

from tasks.arguments.moments import Moment
from tasks.watermarks import (
    ErrorText,
    SourceId,
    Status,
    Watermark,
    WatermarkUpdate,
    moves,
    read_watermark,
)
from worker.errors import ResourceMissing
from worker.operation import Steps, operation
from worker.provider import Auth, Breaker, Provider, Timeouts
from worker.request import Request
from worker.steps import Alone

__all__ = ["PROVIDER", "get_watermark", "known", "moved", "update_watermark"]

SETTLED = 60.0
"""Seconds after which an update that was not answered has come or never will; four times its time limit."""

PROVIDER = Provider(
    name="storage",
    base_url="https://storage.internal",
    breaker=Breaker(failures=5, reset_after=60.0),
    auth=Auth(header="Authorization", scheme="Bearer", required=False),
    timeouts=Timeouts(read=10.0, total=15.0),
    health="/health",
)


@operation(PROVIDER, shown=("source_id",))
def get_watermark(source_id: SourceId) -> Steps[Watermark | None]:
    """How far the source was read; None when that was never said."""
    return (yield from known(source_id))


@operation(PROVIDER, shown=("source_id", "timestamp", "status"))
def update_watermark(
    source_id: SourceId, timestamp: Moment, status: Status = "success", error: ErrorText = None
) -> Steps[WatermarkUpdate]:
    """Move the source's watermark to *timestamp*, and not back; a naive timestamp is UTC.

    One caller at a time looks and writes, over the whole fleet, so a late retry finds the newer one and
    keeps it. After an update that the service did not answer, all wait until it has come or is taken for
    lost. The same timestamp is written again only for another status or error.
    """
    return (yield from moved(source_id, timestamp, status=status, error=error))


def known(source_id: str) -> Steps[Watermark | None]:
    """The steps of :func:`get_watermark`."""
    try:
        answer = yield Request(path=_path(source_id), label="get_watermark", fresh=True)
    except ResourceMissing:
        return None
    return read_watermark(source_id, answer)


def moved(
    source_id: str, timestamp: str, *, status: str = "success", error: str | None = None
) -> Steps[WatermarkUpdate]:
    """The steps of :func:`update_watermark`."""
    yield Alone(f"watermark:{source_id}", seconds=SETTLED)
    there = yield from known(source_id)
    wanted = Watermark(source_id=source_id, timestamp=timestamp, status=status, error=error)
    if there is not None and there.timestamp is not None and not moves(there, wanted):
        return WatermarkUpdate(source_id=source_id, timestamp=there.timestamp, moved=False)
    body = {"timestamp": timestamp, "status": status, **({"error": error} if error else {})}
    yield Request(path=_path(source_id), method="PUT", data=body, label="update_watermark")
    return WatermarkUpdate(source_id=source_id, timestamp=timestamp, moved=True)


def _path(source_id: str) -> str:
    return f"/api/v1/watermarks/{quote(source_id, safe='')}"
