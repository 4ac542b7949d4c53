"""What arrived: each request to a provider, bounded, with counts that are not.

Credentials are kept as they came, so that a test can ask where they went, and
leave only as fingerprints unless they are asked for.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.sandbox.message import Request, parsed_headers

__all__ = ["CREDENTIAL_HEADERS", "CREDENTIAL_PARAMS", "Entry", "Journal"]

CREDENTIAL_HEADERS = frozenset(
    [
        "authorization",
        "cookie",
        "ocp-apim-subscription-key",
        "proxy-authorization",
        "x-api-key",
        "x-app-token",
    ]
)
CREDENTIAL_PARAMS = frozenset(
    ["$$app_token", "access_token", "api_key", "app_key", "appid", "subscription-key"]
)

_SECONDS_KEPT = 3600


@dataclass(slots=True)
class Entry:
    """One request; ``status`` is None while it is unanswered, and for ever when nothing was said."""

    at: float
    request: Request
    status: int | None = None

    def shown(self, *, raw: bool = False) -> dict[str, Any]:
        """The entry as JSON; credentials as fingerprints unless *raw*."""
        headers = parsed_headers(self.request.head)
        found: dict[str, Any] = {
            "at": self.at,
            "method": self.request.method,
            "path": self.request.path,
            "query": self.request.query if raw else _masked_query(self.request.query),
            "headers": headers if raw else {name: _masked(name, value) for name, value in headers.items()},
            "status": self.status,
        }
        if self.request.body:
            found["body"] = self.request.body[:8192].decode("utf-8", "replace")
        return found


class Journal:
    """The requests of one provider, newest last; safe to read from any thread."""

    def __init__(self, *, keep: int = 200_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: deque[Entry] = deque(maxlen=keep)
        self._lock = threading.Lock()
        self._in_flight = 0
        self._max_in_flight = 0
        self._count = 0
        self._per_second: Counter[int] = Counter()
        self._statuses: Counter[int | None] = Counter()

    def opened(self, request: Request) -> Entry:
        """Note that *request* arrived."""
        entry = Entry(self._clock(), request)
        second = int(entry.at)
        with self._lock:
            self._entries.append(entry)
            self._count += 1
            self._in_flight += 1
            self._max_in_flight = max(self._max_in_flight, self._in_flight)
            self._per_second[second] += 1
            if len(self._per_second) > _SECONDS_KEPT:
                del self._per_second[min(self._per_second)]
        return entry

    def answered(self, entry: Entry, status: int) -> None:
        """Note *status*, before it goes out: whoever reads it finds it noted."""
        entry.status = status
        with self._lock:
            self._statuses[status] += 1

    def closed(self, entry: Entry) -> None:
        """Note that the request of *entry* is no longer in flight."""
        with self._lock:
            self._in_flight -= 1
            if entry.status is None:
                self._statuses[None] += 1

    def clear(self) -> None:
        """Forget all but what is in flight."""
        with self._lock:
            self._entries.clear()
            self._count = 0
            self._max_in_flight = self._in_flight
            self._per_second.clear()
            self._statuses.clear()

    def entries(self, *, raw: bool = False) -> list[dict[str, Any]]:
        """What arrived, oldest first."""
        with self._lock:
            entries = list(self._entries)
        return [entry.shown(raw=raw) for entry in entries]

    def counts(self) -> dict[str, Any]:
        """How many arrived in all, at once, in each second (of the monotonic clock) and by answer."""
        with self._lock:
            return {
                "count": self._count,
                "in_flight": self._in_flight,
                "max_in_flight": self._max_in_flight,
                "per_second": {str(second): count for second, count in sorted(self._per_second.items())},
                "statuses": {str(status): count for status, count in self._statuses.items()},
            }


def _masked(name: str, value: str) -> str:
    return fingerprint(value) if name in CREDENTIAL_HEADERS else value


def _masked_query(query: str) -> str:
    pairs = parse_qsl(query, keep_blank_values=True)
    if not any(name in CREDENTIAL_PARAMS for name, _ in pairs):
        return query
    return urlencode([(k, fingerprint(v) if k in CREDENTIAL_PARAMS else v) for k, v in pairs])


def fingerprint(value: str) -> str:
    """The same short text for the same credential, from which it cannot be read."""
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest()[:12]
