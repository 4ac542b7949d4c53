"""When calls arrived at the provider, by its own clock, and what that says of a rate."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.request import Request, urlopen

__all__ = ["Arrivals", "lateness", "overrun", "use"]


class Arrivals:
    """The sandbox's journal.

    Its times are of the machine's monotonic clock, which is ours too: a request has arrived when its head
    was read.
    """

    def __init__(self, url: str) -> None:
        self._url = url

    def at(self, paths: Mapping[str, str]) -> dict[str, list[float]]:
        """Seconds at which calls of each of *paths* arrived, in order, by what the path is called."""
        entries = self._asked()
        return {
            name: sorted(entry["at"] for entry in entries if entry["path"] == path)
            for name, path in paths.items()
        }

    def count(self) -> int:
        """How many calls have arrived."""
        return int(self._asked("?count=1")["count"])

    def clear(self) -> None:
        """Forget them."""
        self._asked(method="DELETE")

    def _asked(self, query: str = "", *, method: str = "GET") -> Any:
        request = Request(self._url + query, method=method)  # noqa: S310 - loopback
        with urlopen(request, timeout=30) as reply:  # noqa: S310
            return json.load(reply)


def use(arrivals: Sequence[float], rate: float) -> float:
    """The share of *rate* that *arrivals* made use of, from the first to the last; 0.0 for fewer than two.

    Only for a time in which somebody always waited and no burst was left over from before.
    """
    if len(arrivals) < 2:
        return 0.0
    return (len(arrivals) - 1) / (rate * (arrivals[-1] - arrivals[0]))


def overrun(arrivals: Sequence[float], rate: float, burst: float) -> float:
    """Calls that the worst of all intervals saw beyond burst + rate x length; at or below 0 when none did.

    An interval is as short as the arrivals at its ends allow. One pass: with i before j its calls are
    j - i + 1, so what each arrival is ahead of the rate is compared with the least that any before it was.
    """
    least, worst = float("inf"), -float("inf")
    for number, at in enumerate(arrivals):
        ahead = number - rate * at
        least = min(least, ahead)
        worst = max(worst, ahead - least + 1 - burst)
    return worst


def lateness(arrivals: Sequence[float], rate: float) -> list[float]:
    """Seconds by which each arrival came after its even moment, the earliest of all being on time; in order.

    Only for a time in which somebody always waited.
    """
    moments = [at - number / rate for number, at in enumerate(arrivals)]
    return sorted(moment - min(moments) for moment in moments)
