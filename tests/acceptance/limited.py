"""Providers that hold callers back: they throttle, count, refuse keys. They exist only here.

Each is played by a ``Scripted`` (tests/acceptance/scripted.py), which says what a test has it say. Workers
load this module with ``--include``; the keys of those that take some are settings of a test's fleet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from worker.operation import Steps, operation
from worker.provider import Auth, Breaker, Provider, Quota, Rate, Retry, Verdict
from worker.request import Request
from worker.task import GuardedTask

__all__ = [
    "BRISK",
    "CHORUS",
    "FLOOD",
    "HARBOR",
    "HASTY",
    "LOCKS",
    "METER",
    "PROVIDERS",
    "PURSE",
    "SAVER",
    "STERN",
    "STOIC",
    "WEIR",
    "ask",
]

NOWHERE = "http://127.0.0.1:9"
NEVER = Breaker(failures=None)
ONCE = Retry(attempts=1)
"""A failure is a dead letter at once, so whatever succeeds in the end has used no attempt."""


def rule(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:  # noqa: ARG001
    """As Last.fm says it: error 29 in a 200."""
    return "throttled" if isinstance(body, dict) and body.get("error") == 29 else None


def limited(name: str, **declared: Any) -> Provider:
    """A provider without breaker or second attempt, but for what is declared."""
    return Provider(name=name, base_url=NOWHERE, **{"breaker": NEVER, "retry": ONCE, **declared})


HARBOR = limited("harbor", rate=Rate(calls=20, burst=2), cooldown=1.5, judge=rule)
STERN = limited("stern", rate=Rate(calls=50, burst=2), max_cooldown=2.0)
STOIC = limited("stoic", rate=Rate(calls=50, burst=2), max_cooldown=1.5, too_long="wait")
METER = limited("meter", rate=Rate(calls=20, burst=10), cooldown=0.4)
WEIR = limited("weir")
FLOOD = limited("flood", retry=Retry(attempts=30, first=0.1, most=0.3, floor=6))
CHORUS = limited("chorus", rate=Rate(calls=10), auth=Auth(header="X-Api-Key"), breaker=Breaker(failures=1))
LOCKS = limited("locks", auth=Auth(header="X-Api-Key"), breaker=Breaker(failures=1), retry=Retry(attempts=2))
PURSE = limited("purse", quota=Quota(limit=5, zone="UTC"), auth=Auth(header="X-Api-Key"))
SAVER = limited("saver", quota=Quota(limit=5, zone="UTC"))
HASTY = limited("hasty", quota=Quota(limit=5, zone="UTC", spent="fail"))
BRISK = limited("brisk", rate=Rate(calls=4), quota=Quota(limit=5, zone="UTC", spent="fail"))

PROVIDERS = (HARBOR, STERN, STOIC, METER, WEIR, FLOOD, CHORUS, LOCKS, PURSE, SAVER, HASTY, BRISK)


def _asks(provider: Provider) -> GuardedTask:
    @operation(provider, shown=("value",))
    def ask(value: int) -> Steps[int]:
        """*value*, once the provider has been asked."""
        yield Request(path=f"/ask/{value}")
        return value

    return ask


ask: Mapping[str, GuardedTask] = {provider.name: _asks(provider) for provider in PROVIDERS}
"""The task ``<provider>.ask`` of each, by the provider's name."""
