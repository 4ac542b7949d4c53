"""The provider as a witness: which call it was asked for, from when until when."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from tests.sandbox import Reply, Request, json_reply

__all__ = ["Visit", "Witness"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request. Moments are this machine's monotonic clock.

    Attributes:
        call: The task's id.
        until: When it was answered; a request whose worker was killed stays until then.
    """

    call: str
    at: float
    until: float


class Witness:
    """Plays the provider *name*, takes *latency* seconds for each answer, and remembers."""

    def __init__(self, name: str, *, latency: float) -> None:
        self.name, self._latency = name, latency
        self._visits: list[Visit] = []

    @property
    def visits(self) -> list[Visit]:
        """Those that are over, oldest first; safe to read from any thread."""
        return sorted(self._visits, key=lambda visit: visit.at)

    async def answer(self, request: Request) -> Reply:
        """The path."""
        at = time.monotonic()
        try:
            await asyncio.sleep(self._latency)
        finally:
            call = request.path.rpartition("/")[2]
            self._visits.append(Visit(call=call, at=at, until=time.monotonic()))
        return json_reply({"asked": request.path})

    def failure(self, status: int) -> Reply:
        """Few words."""
        return json_reply({"error": "out_of_order"}, status=status)
