"""A list of dead letters read page by page, while others take letters out of it.

A list is only added to at its end, and whatever leaves lets those behind it move towards the front. So an
index says only where a letter is at the most, and what comes next is found by what was read last.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from redis import Redis

__all__ = ["Sightings", "pages"]

REMEMBERED = 10_000
"""Letters whose place is remembered; the others are looked for in the whole list."""


class Sightings:
    """Where letters were seen last: none is behind that by now."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def note(self, raws: Iterable[bytes], start: int) -> None:
        """These are there, from index *start* on."""
        for index, raw in enumerate(raws, start):
            self._seen[_print(raw)] = index
        for known in list(islice(self._seen, max(0, len(self._seen) - REMEMBERED))):
            del self._seen[known]

    def near(self, raws: Iterable[bytes]) -> int:
        """The last index at which one of *raws* may be; -1 when it is not known of each."""
        places = [self._seen.get(_print(raw), -1) for raw in raws]
        return -1 if -1 in places else max(places, default=-1)


def pages(redis: Redis, key: str, size: int, seen: Sightings) -> Iterator[list[bytes]]:
    """All letters of the list *key*, oldest first, at most *size* at a time.

    None is skipped, whoever takes letters out meanwhile. When many leave at once between two pages, or one
    is edited, some may come twice.
    """
    last: list[bytes] = []  # the page before
    older: list[bytes] = []  # of each page before that the last letter that was not taken out at once
    end = 0  # what was read is before this index
    while True:
        low = max(0, end - len(last) - 1)
        window: Any = redis.lrange(key, low, end + size - 1)
        known = _last_known(window[: end - low], {*last, *older[-1:]})
        if known < 0 and low > 0:
            last, end = [], _after(redis, key, older)
            continue
        fresh = window[known + 1 : known + 1 + size]
        if not fresh:
            return
        seen.note(fresh, low + known + 1)
        end = low + known + 1 + len(fresh)
        if known >= 0:
            older.append(window[known])
        last = fresh
        yield fresh


def _last_known(window: Sequence[bytes], known: set[bytes]) -> int:
    return max((place for place, raw in enumerate(window) if raw in known), default=-1)


def _after(redis: Redis, key: str, older: list[bytes]) -> int:
    """The index behind the last of *older* that is still there, 0 when none is; those that are not go."""
    while older:
        place: Any = redis.execute_command("LPOS", key, older[-1])
        if place is not None:
            return int(place) + 1
        older.pop()
    return 0


def _print(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=16).digest()
