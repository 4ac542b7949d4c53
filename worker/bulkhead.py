"""How many of this process's slots each provider may hold, so that a slow one leaves room for the others.

It counts the tasks of one process. A prefork pool's children each run one task and see no other, so there
only a provider's ``max_concurrency``, which the fleet counts by leases, leaves room.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from math import ceil

__all__ = ["Bulkhead"]


class Bulkhead:
    """The slots of one process; until :meth:`share` is called nobody is limited."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._each = 0
        self._held: Counter[str] = Counter()

    def share(self, providers: Collection[str], *, concurrency: int, share: float) -> None:
        """Give each of *providers* its *share* of *concurrency* slots; one that is alone has all."""
        each = concurrency if len(providers) < 2 else max(1, ceil(concurrency * share))  # noqa: PLR2004
        self._slots, self._each = dict.fromkeys(providers, each), each

    def slots(self, provider: str) -> int:
        """Calls of *provider* that this process runs at once; 0 when it does not serve it."""
        return self._slots.get(provider, 0)

    def enter(self, provider: str) -> None:
        """A task of *provider* takes a slot."""
        self._held[provider] += 1

    def leave(self, provider: str) -> None:
        """It gives the slot back."""
        self._held[provider] -= 1

    def crowded(self, provider: str) -> bool:
        """Whether more tasks of *provider* are here than there are slots for."""
        return bool(self._slots) and self._held[provider] > self._slots.get(provider, self._each)
