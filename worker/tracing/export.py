"""Sends spans to a collector, by OTLP over HTTP. Whatever the collector does, only spans are lost.

OpenTelemetry's own exporter reads an answer however long it is and however slowly it comes. This one goes out
by the connections that providers are asked by: one deadline for the whole exchange, and a bounded answer.
"""

from __future__ import annotations

import gzip
import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Self

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from urllib3 import Retry, Timeout

from config import tracing
from worker.http.body import read_body
from worker.http.connection import CURRENT, Exchange
from worker.http.deadline import WATCHDOG
from worker.http.origin import Origin, environment_proxy
from worker.http.wire import USER_AGENT

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

    from config.settings import Settings

__all__ = ["Collector"]

logger = logging.getLogger("narrows")

WITHIN = 5.0
"""Seconds for one batch, from the look-up of the name to the last byte of the answer."""

LONGEST = 64 * 1024
"""Bytes of an answer that are read."""

TRIES = 2
"""Of a batch: the collector may have closed the idle connection, or just been restarted."""

QUIET = 60.0
"""Seconds between two lines about lost spans."""

_ONCE = Retry(total=False, redirect=False)
_PASSING = frozenset({429, 502, 503, 504})
"""https://opentelemetry.io/docs/specs/otlp/#failures-1, read 2026-11-21."""


class Collector(SpanExporter):
    """A collector at one address.

    Args:
        endpoint: The whole address.
        headers: Go with each batch; they may hold a secret.
        within: Seconds for one batch.

    Attributes:
        lost: Spans that it did not take.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str], *, within: float = WITHIN) -> None:
        self._origin = Origin(endpoint, proxy=environment_proxy(endpoint))
        self._headers = {
            **headers,
            "Content-Type": "application/x-protobuf",
            "Content-Encoding": "gzip",
            "User-Agent": USER_AGENT,
        }
        self._within, self._until = within, float("inf")
        self._told_at, self._lock = float("-inf"), threading.Lock()
        self.lost = 0

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The collector that *settings* name."""
        given = settings.tracing_headers
        return cls(
            settings.tracing_endpoint or "", tracing.headers(given.get_secret_value() if given else "")
        )

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Whether the collector has taken *spans*. Never raises."""
        try:
            said = self.post(encode_spans(spans).SerializePartialToString())
        except Exception as why:  # noqa: BLE001 - a span is worth no call, whatever is wrong
            said = type(why).__name__
        if not said:
            return SpanExportResult.SUCCESS
        self._tell(len(spans), said)
        return SpanExportResult.FAILURE

    def post(self, content: bytes) -> str:
        """Why the collector did not take *content*, in a word; "" when it did."""
        packed, said = gzip.compress(content, 1), "late"
        until = min(time.monotonic() + self._within, self._until)
        for _ in range(TRIES):
            if time.monotonic() >= until:
                return said
            said, passing = self._posted(packed, until - time.monotonic())
            if not passing:
                return said
        return said

    def hurry(self, seconds: float) -> None:
        """The process ends: begin nothing after *seconds* from now."""
        self._until = time.monotonic() + seconds

    def shutdown(self) -> None:
        """Close the idle connections."""
        self._origin.close()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:  # noqa: ARG002 - OpenTelemetry's signature
        """True: nothing waits here."""
        return True

    def _posted(self, packed: bytes, seconds: float) -> tuple[str, bool]:
        """Why *packed* was not taken, and whether to try again."""
        exchange = Exchange(WATCHDOG.arm(seconds), fresh=False)
        CURRENT.exchange = exchange
        try:
            response = self._origin.pool.urlopen(
                "POST",
                self._origin.target_prefix + (self._origin.prefix or "/"),
                body=packed,
                headers=self._headers,
                retries=_ONCE,
                redirect=False,
                assert_same_host=False,
                timeout=Timeout(connect=seconds, read=seconds),
                preload_content=False,
            )
            _drained(response)
        except Exception as why:  # noqa: BLE001 - see export()
            return type(why).__name__, not exchange.deadline.expired
        finally:
            exchange.deadline.end()
        taken = response.status // 100 == 2  # noqa: PLR2004
        return "" if taken else f"status {response.status}", response.status in _PASSING

    def _tell(self, count: int, why: str) -> None:
        """Log once in a while that spans are lost."""
        with self._lock:
            self.lost += count
            if time.monotonic() < self._told_at + QUIET:
                return
            self._told_at = time.monotonic()
        logger.warning("spans lost", extra={"count": self.lost, "reason": why})


def _drained(response: BaseHTTPResponse) -> None:
    """Read what came with the answer, whose status is enough: its connection is to serve the next batch."""
    try:
        read_body(response, LONGEST)
    except Exception:  # noqa: BLE001 - it was longer, slower or other than it should be
        response.close()
