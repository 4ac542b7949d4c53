"""What plays a provider: one small module each, mounted under its name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["Player", "StubPlayer", "with_headers"]


class Player(Protocol):
    """One provider, as its clients see it."""

    @property
    def name(self) -> str:
        """The mount, and the name that faults and the journal go by."""

    async def answer(self, request: Request) -> Reply:
        """What the provider says to *request*, whose path starts below the mount."""

    def failure(self, status: int) -> Reply:
        """The provider's own words when it fails with *status*; 202 and 429 are asked for too."""


class StubPlayer:
    """Says ``{"ok":true}``, after ``?latency_ms=``: for benchmarks, where nothing may cost."""

    name = "stub"

    def __init__(self) -> None:
        self._ok = Reply(headers={"Content-Type": "application/json"}, body=b'{"ok":true}')

    async def answer(self, request: Request) -> Reply:
        if "latency_ms=" in request.target:
            import asyncio

            await asyncio.sleep(float(request.params["latency_ms"]) / 1000)
        return self._ok

    def failure(self, status: int) -> Reply:
        return json_reply({"ok": False}, status=status)


def with_headers(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """*reply* with more *headers*."""
    return replace(reply, headers={**reply.headers, **headers}) if headers else reply
