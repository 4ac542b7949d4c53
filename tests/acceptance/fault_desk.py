"""The desk to which mortal processes submit: over real sockets, and it counts what it takes.

What a note begins with says how the first request for it goes; any later one goes well.

    rejected    400
    truncated   taken, and hung up on in the middle of the answer
    unheard     hung up on before it is taken
    throttled   429
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

__all__ = ["FaultDesk"]


class FaultDesk:
    """One server for three providers, told apart by their paths; ``/trusted`` takes each id once.

    Attributes:
        arrived: How often each note was taken.
        asked: How often somebody asked for it to be taken.
    """

    def __init__(self) -> None:
        self.arrived: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self._numbers: dict[str, str] = {}
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.desk = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        """The desk, open."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def found(self, reference: str) -> list[str]:
        """The numbers under a reference."""
        with self._lock:
            return [self._numbers[reference]] if reference in self._numbers else []

    def asked_for(self, provider: str, note: str, reference: str) -> tuple[str, str]:
        """What the request comes to, and the number that was given for it."""
        with self._lock:
            self.asked[note] += 1
            mode = note.partition(" ")[0]
            first = self.asked[note] == 1
            if mode == "rejected" or (first and mode in {"unheard", "throttled"}):
                return mode, ""
            if provider != "trusted" or reference not in self._numbers:
                self.arrived[note] += 1
                self._numbers[reference] = f"{provider}-{sum(self.arrived.values())}"
            return mode if first else "taken", self._numbers[reference]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    desk: FaultDesk

    def handle_error(self, *_: Any) -> None:
        """Nothing: who asks is killed at any moment."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        """What is there under a reference."""
        (reference,) = parse_qs(urlsplit(self.path).query)["reference"]
        self._say(200, {"found": self.server.desk.found(reference)})

    def do_POST(self) -> None:
        """A number for what is handed in, or what its note wants instead."""
        given = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = self.headers.get("Idempotency-Key") or given["reference"]
        mode, number = self.server.desk.asked_for(self.path.split("/")[1], given["note"], name)
        if mode == "rejected":
            self._say(400, {"error": "out_of_order"})
        elif mode == "throttled":
            self._say(429, {"error": "too_often"}, {"Retry-After": "1"})
        elif mode == "truncated":
            self._say(201, {"number": number}, short=True)
        elif mode != "unheard":
            self._say(201, {"number": number})
        self.close_connection = True

    def _say(
        self, status: int, data: Any, headers: dict[str, str] | None = None, *, short: bool = False
    ) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if short else body)

    def log_message(self, *_: Any) -> None:
        """Nothing."""
