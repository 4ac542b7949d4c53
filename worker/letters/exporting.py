"""Exports dead letters: out of Redis, into objects of gzipped JSON lines.

1. Gather up to 5,000 letters, oldest first, as they lie in the list: what is sealed stays sealed.
2. Write the object, and read it back.
3. Only then remove those letters from the list.

Killed before the third, the letters are still in the list, and the next export writes the same letters under
the same name: it is made of their times and of the digest of what is in it.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from worker.keys import keys
from worker.lease import Lease
from worker.letters.deadletter import DeadLetters
from worker.letters.filter import failed_at
from worker.letters.letter import id_of, letter_of
from worker.letters.unroutable import UNROUTABLE
from worker.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from redis import Redis

    from worker.storage import Storage

__all__ = ["Exported", "Exporter", "lines", "name_of", "overdue"]

MOST = 5000
"""Letters in an object."""

HEAVY = 16_000_000
"""Bytes of letters after which an object is closed: it is built in memory."""

WIDE = 20_000
"""Letters looked at after which an object is closed: to take few out from far apart is slow, in one step."""

PAGE, UNROUTABLE_PAGE = 500, 20
"""Letters read at a time; unroutable ones may hold a megabyte each."""

LEASE = 90.0
"""Seconds: longer than a storage may take for an object."""

LOOKED_AT = 86_400.0
"""Seconds in which a person may look at an exhausted letter before it leaves."""

ACTION = "export"

REFUSED = ("upstream_rejected", "validation_error")
"""Codes of letters whose submission the provider, or we, did refuse: that is decided."""


@dataclass(slots=True, kw_only=True)
class Exported:
    """What an export did, or, with nothing to write to, would do.

    Attributes:
        looked: Letters looked at; *letters* of them were meant.
        removed: Less than *letters* when some left meanwhile, or were kept.
        size: Bytes of the *objects*.
        end: ``done``; ``busy``: another export is at it; ``time`` was up.
    """

    provider: str
    looked: int = 0
    letters: int = 0
    removed: int = 0
    objects: int = 0
    size: int = 0
    end: str = "done"


class Exporter:
    """Exports one provider's letters.

    Args:
        redis: A client of the state Redis.
        storage: Where they go; None only counts.
        by: Who exports, for the audit stream.
        keep: Leave them in the list, too.
        lasts: Seconds after which no object is begun.
        told: Hears how many letters were just looked at.
    """

    def __init__(
        self,
        redis: Redis,
        provider: str,
        *,
        storage: Storage | None,
        by: str,
        keep: bool = False,
        lasts: float = float("inf"),
        told: Callable[[int], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis, self._at, self._storage = redis, keys(provider), storage
        self._letters = DeadLetters(redis, provider)
        self._page = UNROUTABLE_PAGE if provider == UNROUTABLE else PAGE
        # two exports would write some letters twice
        self._lease = Lease(redis, self._at.exporting, seconds=LEASE)
        self._by, self._keep, self._told = by, keep, told
        self._clock, self._until = clock, clock() + lasts
        self._done = Exported(provider=provider)

    def run(self, wanted: Callable[[Mapping[str, Any]], bool]) -> Exported:
        """What was done with the letters that are *wanted*.

        Raises:
            StorageFailed: What had not been confirmed is still in the list.
            RedisError: The same; what was confirmed may be in the list, too, and is written over next time.
        """
        try:
            for raws in self._bundles(wanted):
                if self._stopped():
                    break
                self._export(raws)
        finally:
            with suppress(RedisError):
                self._lease.drop()
        return self._done

    def _stopped(self) -> bool:
        if self._clock() >= self._until:
            self._done.end = "time"
        elif self._storage is not None and not self._lease.take():
            self._done.end = "busy"
        return self._done.end != "done"

    def _export(self, raws: list[bytes]) -> None:
        done, name, content = self._done, name_of(self._done.provider, raws), lines(raws)
        packed = gzip.compress(content, 6, mtime=0)
        if self._storage is not None:
            self._storage.keep(name, packed)
            if not self._keep:
                done.removed += self._remove(raws)
        done.letters += len(raws)
        done.objects += 1
        done.size += len(packed)

    def _remove(self, raws: Sequence[bytes]) -> int:
        """How many of an object's letters have left now, all in one step.

        Half of them left behind by a kill would come into the next object, too, under another name.
        """
        ids = (id_of(letter_of(raw)) for raw in raws)
        flat = [value for pair in zip(raws, ids, strict=True) for value in pair]
        names = [self._at.dlq, self._at.audit]
        near = self._done.looked + self._page - self._done.removed  # none of them is behind that
        return int(script("letters_remove")(self._redis, names, ["", self._by, ACTION, near, "", "", *flat]))

    def _bundles(self, wanted: Callable[[Mapping[str, Any]], bool]) -> Iterator[list[bytes]]:
        """The letters of one object after the other."""
        bundle: dict[bytes, None] = {}  # some may come twice when others take letters out meanwhile
        size = first = 0
        for page in self._letters.pages(self._page):
            for raw in page:
                if not wanted(letter_of(raw)):
                    continue
                wide = self._done.looked - first >= WIDE
                if bundle and (wide or len(bundle) == MOST or size + len(raw) > HEAVY):
                    yield list(bundle)
                    bundle, size = {}, 0
                if not bundle:
                    first = self._done.looked
                bundle[raw] = None
                size += len(raw)
            self._done.looked += len(page)
            self._told(len(page))
        if bundle:
            yield list(bundle)


def _none(task: Any) -> bool:  # noqa: ARG001
    return False


def overdue(
    *, now: float, after: float, submits: Callable[[Any], bool] = _none
) -> Callable[[Mapping[str, Any]], bool]:
    """Which letters nobody will replay any more: those that failed *after* seconds ago, or are exhausted.

    Never one of a submission that is not decided, in doubt or not sent yet: it stays until a person has.

    Args:
        now: Seconds since the epoch.
        after: Seconds.
        submits: Whether the task of that name does.
    """

    def wanted(letter: Mapping[str, Any]) -> bool:
        failed, code = failed_at(letter), letter.get("code")
        if failed is None or code == "in_doubt" or (code not in REFUSED and submits(letter.get("task"))):
            return False
        return failed < now - (min(after, LOOKED_AT) if letter.get("code") == "exhausted" else after)

    return wanted


def lines(raws: Sequence[bytes]) -> bytes:
    """One letter on each line; what is no letter as ``{"unreadable": base64}``."""
    return b"".join(_line(raw) + b"\n" for raw in raws)


def name_of(provider: str, raws: Sequence[bytes]) -> str:
    """``acme/20261120T100030Z-20261121T081500Z-<digest>.jsonl.gz``: the same for the same letters."""
    moments = [moment for raw in raws if (moment := failed_at(letter_of(raw))) is not None]
    span = f"{_stamp(min(moments))}-{_stamp(max(moments))}" if moments else "undated"
    return f"{provider}/{span}-{hashlib.sha256(lines(raws)).hexdigest()[:16]}.jsonl.gz"


def _line(raw: bytes) -> bytes:
    if b"\n" not in raw and "unreadable" not in letter_of(raw):
        return raw
    return json.dumps({"unreadable": base64.b64encode(raw).decode()}).encode()


def _stamp(seconds: float) -> str:
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(seconds))
