"""NYC 311 as the acceptance tests see it: what is reported, what arrived, and a clean desk between tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from redis import Redis

from tests.fleet import Ground
from tests.sandbox import TOKEN, CityPlayer
from tests.sandbox.city311.requests import Files
from worker.engine import engine
from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.submissions.ledger import Ledger

__all__ = ["CITY", "PACE", "CityHall", "report"]

CITY = "nyc311"

PACE = {
    f"NARROWS_PROVIDERS__NYC311__{name}": value
    for name, value in {
        "RATE": "100",
        "BURST": "100",
        "TOTAL_TIMEOUT": "1.5",
        "COOLDOWN": "1",
        "BREAKER_RESET_AFTER": "1",
        "RETRY_FIRST": "0.2",
        "RETRY_MOST": "0.4",
        "RETRY_FLOOR": "1000",
    }.items()
}
"""The provider's own numbers, shortened so that nobody waits."""


def report(about: str, **more: Any) -> dict[str, Any]:
    """A service request; the city counts it under *about*."""
    return {
        "agency": "dot",
        "complaint_type": "Street Condition",
        "description": about,
        "location": {"address": "1 Centre Street", "borough": "Manhattan", "zip": "10007"},
        **more,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class CityHall:
    """The city, and what we have written down about it."""

    state: Redis
    ground: Ground

    @property
    def player(self) -> CityPlayer:
        """Who plays it."""
        return self.ground.sandbox.nyc311

    @property
    def ledger(self) -> Ledger:
        """What is remembered of its submissions."""
        return engine().ledger(CITY)

    @property
    def arrived(self) -> Counter[str]:
        """How often each request was taken."""
        return Counter(self.player.arrivals)

    def clear(self) -> None:
        """Forget everything, on both sides; only while nothing runs."""
        names = list(self.state.scan_iter(f"narrows:{{{CITY}}}:*", count=1000))
        self.state.delete(f"dlq:{CITY}", *names)
        self.ground.sandbox.control.clear(CITY)
        self.ground.sandbox.control.journals[CITY].clear()
        self.player.files = Files()
        self.player.keys = {TOKEN}
        self.player.spent = self.player.envelope_in_200 = self.player.numberless = False

    def misbehave(self, **fault: Any) -> None:
        """Let it go wrong from now on."""
        self.ground.sandbox.control.fault(CITY, **fault)

    def behave(self) -> None:
        """Let all be well again."""
        self.ground.sandbox.control.clear(CITY)

    def heard(self, method: str) -> list[dict[str, Any]]:
        """The requests of that method, oldest first."""
        return [each for each in self.ground.sandbox.control.journal(CITY) if each["method"] == method]

    def letters(self) -> list[Mapping[str, Any]]:
        """Its dead letters."""
        return list(DeadLetters(self.state, CITY))

    def rests(self, task_id: str) -> bool:
        """Whether the call of that id has ended, so that nothing more is sent by itself."""
        return self.state.hget(keys(CITY).call(task_id), "state") == b"ended"
