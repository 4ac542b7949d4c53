"""The other side of the providers that hold callers back: what they say, and what they were asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.acceptance.limited import PROVIDERS
from tests.fleet import Ground
from tests.sandbox import Reply, Request, json_reply
from worker.keys import keys
from worker.provider import Provider

__all__ = [
    "PLAYERS",
    "Script",
    "Scripted",
    "arrivals",
    "cleared",
    "crowd",
    "saying",
    "sparing",
    "too_many",
]

Script = Callable[[Request], Reply | None]
"""What a provider says to a request; None is its usual answer."""


class Scripted:
    """Plays a provider that says what it is asked, unless a test has it say something else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.says: Script = lambda _: None

    async def answer(self, request: Request) -> Reply:
        """The test's reply, or the path."""
        return self.says(request) or json_reply({"asked": request.path})

    def failure(self, status: int) -> Reply:
        """Few words."""
        return json_reply({"error": "out_of_order"}, status=status)


PLAYERS = {provider.name: Scripted(provider.name) for provider in PROVIDERS}


@contextmanager
def saying(provider: Provider, says: Script) -> Iterator[None]:
    """Inside, *provider* answers by *says*."""
    player = PLAYERS[provider.name]
    player.says, before = says, player.says
    try:
        yield
    finally:
        player.says = before


def too_many(**headers: str) -> Reply:
    """A 429."""
    return json_reply({"error": "too_many"}, status=429, headers=headers)


def sparing(every: float, calls: int) -> Script:
    """A provider's own limit, which says nothing of itself: at most *calls* in any *every* seconds."""
    heard: list[float] = []

    def says(request: Request) -> Reply | None:  # noqa: ARG001
        now = time.monotonic()
        heard[:] = [at for at in heard if at > now - every]
        if len(heard) >= calls:
            return too_many()
        heard.append(now)
        return None

    return says


def arrivals(ground: Ground, provider: Provider, *statuses: int, since: float = 0.0) -> list[float]:
    """When requests arrived after *since*, seconds of the monotonic clock; of these *statuses*, if any."""
    return [
        entry["at"]
        for entry in ground.sandbox.control.journal(provider.name)
        if entry["at"] > since and (not statuses or entry["status"] in statuses)
    ]


def crowd(moments: list[float], *, rate: float, burst: int) -> float:
    """By how many calls the worst interval between *moments* is over ``burst + rate x length``."""
    return max(
        (
            last - first + 1 - burst - rate * (moments[last] - moments[first])
            for first in range(len(moments))
            for last in range(first, len(moments))
        ),
        default=0.0,
    )


def cleared(ground: Ground, *providers: Provider) -> None:
    """Forget what was asked of *providers*, and what their limits, budgets and dead letters hold."""
    with ground.client() as state:
        for provider in providers:
            at = keys(provider.name)
            state.delete(at.budget, at.dlq, at.breaker, *state.keys(f"{at.limits}*"))
            ground.sandbox.control.clear(provider.name)
            ground.sandbox.control.journals[provider.name].clear()
