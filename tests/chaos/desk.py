"""A desk that takes submissions, in the storm's own process: what it counts outlives every kill."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict

from tests.sandbox import Reply, Request, json_reply

__all__ = ["TIMEOUT", "UNWANTED", "Desk"]

UNWANTED = "unwanted"
"""How a note begins that every desk refuses."""

TIMEOUT = 2.0
"""Seconds after which whoever submits gives an answer up."""


class Desk:
    """Takes notes and gives each a number, *latency* seconds after it was asked, whoever has left by then.

    Args:
        name: The provider that it plays.
        once: It takes each ``Idempotency-Key`` only once, and says the same number again.

    Attributes:
        arrived: How often each note was taken.
        numbers: All numbers that were given to it.
    """

    def __init__(self, name: str, *, latency: float, once: bool = False) -> None:
        self.name, self._latency, self._once = name, latency, once
        self.arrived: Counter[str] = Counter()
        self.numbers: defaultdict[str, set[str]] = defaultdict(set)
        self._given: dict[str, str] = {}

    async def answer(self, request: Request) -> Reply:
        """A number for what is handed in; the number under a reference for who asks."""
        await asyncio.sleep(self._latency / 2)
        reply = self._looked_up(request) if request.method == "GET" else self._taken(request)
        await asyncio.sleep(self._latency / 2)
        return reply

    def failure(self, status: int) -> Reply:
        """Few words."""
        return json_reply({"error": "out_of_order"}, status=status)

    def _looked_up(self, request: Request) -> Reply:
        return json_reply({"number": self._given.get(request.params.get("reference", ""))})

    def _taken(self, request: Request) -> Reply:
        given = request.json()
        note, name = given["note"], request.headers.get("idempotency-key") or given.get("reference", "")
        if note.startswith(UNWANTED):
            return json_reply({"error": "not our business"}, status=400)
        if not (self._once and name in self._given):
            self.arrived[note] += 1
            self._given[name] = f"{self.name}-{self.arrived.total()}"
        self.numbers[note].add(self._given[name])
        return json_reply({"number": self._given[name]}, status=201)
