"""A collector of spans on loopback: a real OTLP receiver over HTTP, which can also misbehave."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

__all__ = ["Collected", "Event", "Receiver"]

Mode = Literal["well", "hang", "garbage", "endless", "refuse", "hang_up"]
KINDS = {value: name.removeprefix("SPAN_KIND_") for name, value in trace_pb2.Span.SpanKind.items()}
STATUSES = {value: name.removeprefix("STATUS_CODE_") for name, value in trace_pb2.Status.StatusCode.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened within a span."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One span as it arrived; times in seconds since the epoch."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    status: str
    said: str
    start: float
    end: float
    attributes: Mapping[str, Any]
    events: tuple[Event, ...]
    service: str


class Receiver:
    """Takes spans while it is open.

    Attributes:
        mode: What it does with the next batch: ``well`` keeps it, the others keep nothing.
        headers: Those of the last request.
        raw: All that came, as bytes of the protocol.
    """

    def __init__(self) -> None:
        self.mode: Mode = "well"
        self.headers: dict[str, str] = {}
        self.raw: list[bytes] = []
        self.paths: list[str] = []
        self._spans: list[Collected] = []
        self._release = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        """It listens."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """It is gone."""
        self._release.set()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Its base address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def spans(self, trace_id: str | None = None) -> list[Collected]:
        """What was told of a trace, or of all, as it began."""
        found = [span for span in list(self._spans) if trace_id in {None, span.trace_id}]
        return sorted(found, key=lambda span: span.start)

    def _take(self, content: bytes) -> None:
        self.raw.append(content)
        for resource in ExportTraceServiceRequest.FromString(content).resource_spans:
            service = str(_plain(resource.resource.attributes).get("service.name", ""))
            for scope in resource.scope_spans:
                self._spans.extend(_collected(span, service) for span in scope.spans)

    def _handler(self) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - one case for each mode
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                receiver.headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.paths.append(self.path)
                with suppress(OSError):
                    self._answer(body)

            def _answer(self, body: bytes) -> None:
                match receiver.mode:
                    case "well":
                        receiver._take(gzip.decompress(body))
                        self._say(200, ExportTraceServiceResponse().SerializeToString())
                    case "garbage":
                        self._say(200, b"\xff\x00 no protobuf" * 100)
                    case "refuse":
                        self._say(503, b"later")
                    case "hang":
                        receiver._release.wait(60)
                        self.close_connection = True
                    case "hang_up":
                        self.close_connection = True
                    case "endless":
                        self.send_response(200)
                        self.end_headers()
                        self.close_connection = True
                        while not receiver._release.wait(0.01):
                            self.wfile.write(b"x" * 16384)

            def _say(self, status: int, content: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                """Nothing."""

        return Handler


def _collected(span: trace_pb2.Span, service: str) -> Collected:
    return Collected(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=KINDS[span.kind],
        status=STATUSES[span.status.code],
        said=span.status.message,
        start=span.start_time_unix_nano / 1e9,
        end=span.end_time_unix_nano / 1e9,
        attributes=_plain(span.attributes),
        events=tuple(Event(name=each.name, attributes=_plain(each.attributes)) for each in span.events),
        service=service,
    )


def _plain(pairs: Any) -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: value(pair) for pair in pairs}
