"""The storage service, mounted at ``/storage``: watermarks as its users' handbook has them.

    GET /api/v1/watermarks/<source>   200 {"source_id", "timestamp", "status", "error"}; 404 for none
    PUT /api/v1/watermarks/<source>   201 for a new one, 200 for one that was there; a naive timestamp is 422
    GET /health                       200 {"status":"healthy"}, or 503; needs no key

Assumed, since nothing is published: PUT, the names of the fields, FastAPI's ``detail`` in errors.
Read on  2026-11-21, from PROVIDERS.md section 12
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["StoragePlayer"]

PREFIX = "/api/v1/watermarks/"


class StoragePlayer:
    """Plays the storage service.

    Attributes:
        tokens: Bearer keys that are known; others are refused, none at all is fine.
        healthy: What ``/health`` says.
        marks: What it holds, by source.
        written: Every timestamp that was put, in order, by source.
    """

    name = "storage"

    def __init__(self, *, tokens: Iterable[str] = ()) -> None:
        self.tokens = set(tokens)
        self.healthy = True
        self.marks: dict[str, dict[str, Any]] = {}
        self.written: dict[str, list[str]] = {}

    async def answer(self, request: Request) -> Reply:
        if request.path == "/health":
            return self._health()
        said = request.headers.get("authorization")
        if said is not None and said.removeprefix("Bearer ") not in self.tokens:
            return self.failure(401)
        target = request.target.partition("?")[0]  # still encoded: a source's name may hold a slash
        if not target.startswith(PREFIX) or "/" in target[len(PREFIX) :]:
            return self.failure(404)
        return self._mark(request, unquote(target[len(PREFIX) :]))

    def failure(self, status: int) -> Reply:
        return json_reply({"detail": HTTPStatus(status).phrase}, status=status)

    def _health(self) -> Reply:
        word = "healthy" if self.healthy else "unhealthy"
        return json_reply({"status": word}, status=200 if self.healthy else 503)

    def _mark(self, request: Request, source: str) -> Reply:
        if request.method == "GET":
            known = self.marks.get(source)
            if known is None:
                return json_reply({"detail": "Watermark not found"}, status=404)
            return json_reply(known)
        if request.method != "PUT":
            return self.failure(405)
        return self._put(request, source)

    def _put(self, request: Request, source: str) -> Reply:
        try:
            body = request.json()
            when = datetime.fromisoformat(body["timestamp"])
        except (ValueError, TypeError, KeyError):
            return json_reply({"detail": "timestamp: a moment is needed"}, status=422)
        if when.tzinfo is None or not isinstance(body.get("status"), str):
            return json_reply({"detail": "timestamp: a zone is needed"}, status=422)
        known = source in self.marks
        self.marks[source] = {
            "source_id": source,
            "timestamp": body["timestamp"],
            "status": body["status"],
            "error": body.get("error"),
        }
        self.written.setdefault(source, []).append(body["timestamp"])
        return json_reply(self.marks[source], status=200 if known else 201)
