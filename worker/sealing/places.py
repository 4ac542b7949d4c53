"""Where sealed arguments lie in the state Redis, by the page: in records, dead letters and audit streams.

And in messages that no worker could take, whole as they came: those are counted only.

Others go on meanwhile. What is there all the time comes at least once; a record that changes its state may
come twice, or not at all when it goes where the walk has been: who needs each walks until nothing is new.
"""

from __future__ import annotations

import base64
import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.letters.letter import UNROUTABLE
from worker.sealing.sealer import key_ids
from worker.signing.binding import signed_text
from worker.submissions.submission import STATES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from redis import Redis

__all__ = ["PAGE", "Entry", "Letters", "Places", "Record", "unroutable"]

PAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The message in one call's record."""

    key: str
    message: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letters:
    """Some dead letters; none of them lies behind the index *last* by now."""

    last: int
    raws: list[bytes] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of the audit stream."""

    id: str
    fields: dict[bytes, bytes] = field(repr=False)


class Places:
    """All places of one provider."""

    def __init__(self, redis: Redis, provider: str) -> None:
        self._redis, self.keys = redis, keys(provider)
        submissions = [f"{self.keys.submissions}:{state}" for state in STATES]
        self._indexes = [index for index in self.keys.indexes if index != self.keys.released] + submissions

    def size(self) -> int:
        """How many there are, about."""
        with self._redis.pipeline(transaction=False) as ask:
            for index in self._indexes:
                ask.zcard(index)
            ask.llen(self.keys.dlq)
            ask.xlen(self.keys.audit)
            return sum(map(int, ask.execute()))

    def records(self) -> Iterator[list[Record]]:
        """Those that have a message."""
        for index in self._indexes:
            for ids in self._ids(index):
                with self._redis.pipeline(transaction=False) as ask:
                    names = [self.keys.call(task_id) for task_id in ids]
                    for name in names:
                        ask.hget(name, "message")
                    found = zip(names, ask.execute(), strict=True)
                yield [Record(key=name, message=message) for name, message in found if message]

    def letters(self) -> Iterator[Letters]:
        """The newest first: letters only move towards the front, so that none is skipped."""
        end = int(self._redis.llen(self.keys.dlq))
        while end > 0:
            start = max(0, end - PAGE)
            raws: Any = self._redis.lrange(self.keys.dlq, start, end - 1)
            yield Letters(last=end - 1, raws=raws)
            end = start

    def audit(self) -> Iterator[list[Entry]]:
        """The oldest first."""
        start = "-"
        while page := self._entries(start):
            yield page
            start = f"({page[-1].id}"

    def _entries(self, start: str) -> list[Entry]:
        found: Any = self._redis.xrange(self.keys.audit, start, "+", count=PAGE)
        return [Entry(id=entry_id.decode(), fields=fields) for entry_id, fields in found]

    def _ids(self, index: str) -> Iterator[list[str]]:
        """The ids in *index* by their score; who leaves it does not move the others."""
        score, same = "-inf", 0
        while True:
            page: Any = self._redis.zrangebyscore(index, score, "+inf", start=same, num=PAGE, withscores=True)
            if not page:
                return
            yield [task_id.decode() for task_id, _ in page]
            last = page[-1][1]
            tied = sum(each == last for _, each in page)
            same = tied + (same if repr(last) == score else 0)
            score = repr(last)


def unroutable(redis: Redis) -> Mapping[str, Counter[str]]:
    """How many messages that no worker could take are sealed under each key's id, by their queue."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for letter in DeadLetters(redis, UNROUTABLE):
        found[str(letter.get("queue"))].update({one for text in _texts(letter) for one in key_ids(text)})
    return found


def _texts(letter: Mapping[str, Any]) -> Iterator[str]:
    """The body of the message, and the one inside of it where the envelope could not be read either."""
    try:
        body = signed_text(letter.get("content_type"), base64.b64decode(letter["message"]))
        text = body.decode(errors="replace")
        yield text
        yield base64.b64decode(json.loads(text)["body"]).decode(errors="replace")
    except (LookupError, RecursionError, TypeError, ValueError):
        return
