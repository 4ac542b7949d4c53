"""A provider's rules as the scripts read them: seventeen doubles in one argument (``lua/policy.lua``)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from worker.days import day_ends

if TYPE_CHECKING:
    from worker.provider import Provider

__all__ = ["Policy"]

_LAYOUT = struct.Struct(">17d")
_NO_DAYS = (0, 0, 0)
_NEXT_TO_NOTHING = 1e-9  # a budget of 0 leaves the floor; as a number, 0 switches the rule off


class Policy:
    """What the gate's scripts know of a provider."""

    __slots__ = ("_days", "_packed", "_rules", "_zone")

    def __init__(self, provider: Provider) -> None:
        rate, quota, breaker = provider.rate, provider.quota, provider.breaker
        self._zone = quota.zone if quota else ""
        self._rules = (
            rate.per_second / 1000 if rate else 0,
            rate.burst if rate else 0,
            quota.limit if quota else 0,
            provider.max_concurrency or 0,
            breaker.failures or 0,
            breaker.window if breaker.ratio is not None else 0,
            breaker.ratio or 0,
            round(breaker.reset_after * 1000),
            breaker.successes,
            breaker.probes,
            round((provider.timeouts.total + 5) * 1000),
            0 if provider.retry.budget is None else max(provider.retry.budget, _NEXT_TO_NOTHING),
            provider.retry.floor,
            bool(quota and quota.spent == "fail"),
        )
        self._days = _NO_DAYS
        self._packed = _LAYOUT.pack(*self._rules, *_NO_DAYS)

    @property
    def packed(self) -> bytes:
        """The rules and the ends of the provider's days around now."""
        if self._zone and (days := day_ends(self._zone)) != self._days:
            self._days, self._packed = days, _LAYOUT.pack(*self._rules, *days)
        return self._packed
