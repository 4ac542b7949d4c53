"""One provider as a test sees it: what it is asked, and what is written down about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tests.acceptance.every_provider import Call, Row
from tests.fleet import Ground
from worker import find_submission
from worker.keys import keys
from worker.letters.deadletter import DeadLetters

__all__ = ["Desk", "unhurried"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """One provider as a test sees it: what it is asked, and what is written down about it."""

    state: Redis
    ground: Ground
    row: Row

    def clear(self) -> None:
        """Forget everything about it, on both sides; only while nothing of it runs."""
        name, at = self.row.name, keys(self.row.name)
        self.ground.sandbox.control.clear(name)
        self.ground.sandbox.control.journals[name].clear()
        for server in (self.state, self.ground.cache.client()):
            found = [*server.scan_iter(f"narrows:{{{name}}}:*", count=1000), at.dlq]
            server.delete(*found)

    def misbehave(self, **fault: Any) -> None:
        """Let what is asked go wrong from now on."""
        self.ground.sandbox.control.fault(self.row.name, **{"only": self.row.at, **fault})

    def behave(self) -> None:
        """Let all be well again."""
        self.ground.sandbox.control.clear(self.row.name)

    @property
    def everything(self) -> list[dict[str, Any]]:
        """What was asked, tokens included; oldest first."""
        return self.ground.sandbox.control.journal(self.row.name)

    @property
    def heard(self) -> list[dict[str, Any]]:
        """What was asked, but for tokens."""
        return [each for each in self.everything if self.row.at in each["path"]]

    @property
    def letters(self) -> list[Mapping[str, Any]]:
        """Its dead letters."""
        return list(DeadLetters(self.state, self.row.name))

    @property
    def breaker(self) -> Mapping[str, str]:
        """What its breaker remembers; nothing while all is well."""
        found: Any = self.state.hgetall(keys(self.row.name).breaker)
        return {name.decode(): value.decode() for name, value in found.items()}

    @property
    def pause(self) -> float:
        """Seconds for which the fleet leaves it alone, or last did; 0.0 when it never had to."""
        told: Any = self.state.hmget(keys(self.row.name).limits, "throttled_at", "cooldown_until")
        began, ends = (int(moment or 0) for moment in told)
        return (ends - began) / 1000

    def record(self, call: Call, field: str) -> str:
        """What the call's record says."""
        found: Any = self.state.hget(keys(self.row.name).call(call.id), field)
        return (found or b"").decode()

    def submitted(self, call: Call) -> str:
        """The state of what the call submits; "" when it submits nothing."""
        return str((find_submission(call.id, self.row.name) or {}).get("state", ""))

    def rests(self, call: Call) -> bool:
        """Whether the call has ended and is settled, so that nothing more happens by itself."""
        return bool(call.ready()) and self.record(call, "state") in {"", "ended"}


@contextmanager
def unhurried(ground: Ground) -> Iterator[None]:
    """Inside, the sandbox's MusicBrainz bears any rate."""
    player = ground.sandbox.musicbrainz
    player.rate, before = None, player.rate
    try:
        yield
    finally:
        player.rate = before
