"""``python -m tests.soak.traffic RATE SECONDS``: calls of many kinds, so many a second.

A rate of 0 is as fast as it goes. One line of JSON at the end: how many were taken, how many were not, and
the ids of the last ones, whose results have not expired when the soak is over.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator

import tasks
from worker.errors import NarrowsError

__all__ = ["REMEMBERED", "SLOW", "calls"]

REMEMBERED = 2000
SLOW = 60
"""Every so many-th call goes to the provider that bears one a second: they stand in line."""


def calls() -> Iterator[Callable[[], object]]:
    """Calls without end: most ask a provider, a tenth may be answered by the cache, some stand in line."""
    for number in itertools.count():
        if number % SLOW == 0:
            yield lambda n=number: tasks.current_weather.delay(40 + n % 90_000 / 10_000, -74.0)  # type: ignore[misc]
        elif number % 10 == 0:
            yield lambda n=number: tasks.fetch_dob_violations.delay(f"1{1 + n % 400:05d}0001")  # type: ignore[misc]
        elif number % 2:
            yield lambda n=number: tasks.get_watermark.delay(f"source-{n % 1000}")  # type: ignore[misc]
        else:
            yield lambda n=number: tasks.geocode_mapbox.delay(f"{1 + n % 900} Broadway, New York")  # type: ignore[misc]


def main(rate: float, seconds: float) -> None:
    """Enqueue at *rate* for *seconds*."""
    taken, refused, last = 0, 0, deque[str](maxlen=REMEMBERED)
    started = time.monotonic()
    for call in calls():
        now = time.monotonic() - started
        if now > seconds:
            break
        if rate and (early := (taken + refused) / rate - now) > 0:
            time.sleep(early)
        try:
            last.append(str(call()))
        except NarrowsError:
            refused += 1
        else:
            taken += 1
    sys.stdout.write(json.dumps({"taken": taken, "refused": refused, "last": list(last)}) + "\n")


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
