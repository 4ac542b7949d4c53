"""A lease on what only one process of the fleet may do at a time."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from worker.scripts import script

if TYPE_CHECKING:
    from worker.stores import Commands

__all__ = ["Lease"]


class Lease:
    """One process's hold on *key*. Killed, it holds for *seconds* more, and then anybody may follow.

    Attributes:
        token: What *key* holds while it is ours, for scripts that look at it in a step of their own.
    """

    def __init__(self, redis: Commands, key: str, *, seconds: float = 30.0) -> None:
        self._redis, self.key, self._ms = redis, key, round(seconds * 1000)
        self.token = secrets.token_hex(8)

    def take(self) -> bool:
        """Whether it is ours, from now on for its whole time again. Ask before each step; one round trip."""
        return self._said(self._ms)

    def renew(self) -> bool:
        """Whether it is still ours, without a break; then for its whole time again. One round trip."""
        return self._said(self._ms, only="1")

    def drop(self) -> None:
        """Give it back; nothing when it is another's by now. One round trip."""
        self._said(0)

    def _said(self, ms: int, only: str = "") -> bool:
        return bool(script("lease")(self._redis, [self.key], [self.token, ms, only]))
