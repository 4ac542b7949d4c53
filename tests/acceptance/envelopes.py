"""A provider that says word for word what was recorded."""

from __future__ import annotations

from typing import Any

from tests.sandbox import Reply, Request, json_reply

__all__ = ["Envelopes"]


class Envelopes:
    """Gives the answer that a test lays into ``status`` and ``body``."""

    name = "envelopes"

    def __init__(self) -> None:
        self.status = 200
        self.body: Any = []

    async def answer(self, request: Request) -> Reply:  # noqa: ARG002 - whatever is asked
        """What was laid here."""
        return json_reply(self.body, status=self.status)

    def failure(self, status: int) -> Reply:
        """The same body, failing."""
        return json_reply(self.body, status=status)
