"""The canary: one dead letter that is replayed alone, before the others follow.

What became of it is seen without any clock: its record ends in the same step that writes its next dead
letter, and that one has been replayed once more often. What is seen is kept, so that a run that was killed
goes on where it was, and one that came too early is answered by the next.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from worker.keys import keys
from worker.letters.filter import failed_at
from worker.letters.letter import letter_of, replays_of

if TYPE_CHECKING:
    from redis import Redis

__all__ = ["Canary", "Sight", "Word", "may_be_replayed"]

HOLDS = 1800.0
"""Seconds for which a canary that came through speaks for the others: half the time to the next run."""

KEPT = 86_400
"""Seconds for which a canary that waits in line is remembered."""

PERSONS = frozenset({"exhausted", "in_doubt", "worker_lost"})
"""Codes about which a person decides, whatever the letter says."""

SKEW = 300.0
"""Seconds by which a worker's clock may be behind Redis's, and its letters be older than they look."""

MOST = 10_000
"""The newest letters among which it is looked for."""

PAGE = 100

Word = Literal["none", "waits", "passed", "failed", "rejected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What became of the canary.

    Attributes:
        word: ``none`` was sent lately; it ``waits`` or runs; it ``passed``; it ``failed`` as it had before;
            it was ``rejected``: its provider answers, but not to this call.
        since: When it was first seen to have passed, by Redis's clock: what fails later has another turn.
        news: Whether this is the first sight of it.
    """

    word: Word
    since: float = 0.0
    news: bool = False


class Canary:
    """The canary of one provider."""

    def __init__(self, redis: Redis, provider: str) -> None:
        self._redis, self._at = redis, keys(provider)

    def sent(self, letter: Mapping[str, Any]) -> None:
        """Remember that *letter* stands in line; killed before, the next run sends another."""
        fields: dict[Any, Any] = {"id": str(letter.get("id")), "replays": replays_of(letter)}
        now = self._now()
        with self._redis.pipeline() as do:
            do.delete(self._at.canary)
            do.hset(self._at.canary, mapping={**fields, "sent_at": int(now * 1000)})
            do.expire(self._at.canary, KEPT)
            do.execute()

    def look(self) -> Sight:
        """What became of it; four round trips, or more when many letters have come or gone since."""
        fields: Any = self._redis.hgetall(self._at.canary)
        if b"id" not in fields:
            return Sight(word="none")
        now = self._now()
        if passed := float(fields.get(b"passed_at", 0)) / 1000:
            return Sight(word="passed", since=passed) if now - passed < HOLDS else Sight(word="none")
        letter_id = fields[b"id"].decode()
        state = self._redis.hget(self._at.call(letter_id), "state")
        if state not in {None, b"ended"}:
            return Sight(word="waits")
        back = self._back(letter_id, int(fields[b"replays"]), int(fields[b"sent_at"]) / 1000 - SKEW)
        if back is not None:
            self._redis.delete(self._at.canary)
            ill = may_be_replayed(back) or str(back.get("code")) in PERSONS
            return Sight(word="failed" if ill else "rejected", news=True)
        if self._handled(letter_id, int(fields[b"sent_at"])):
            self._redis.delete(self._at.canary)
            return Sight(word="failed", news=True)
        self._redis.hset(self._at.canary, "passed_at", round(now * 1000))
        return Sight(word="passed", since=now, news=True)

    def _back(self, letter_id: str, replays: int, since: float) -> dict[str, Any] | None:
        """Its next letter, if there is one."""
        for letter in self._newest(since):
            if letter.get("id") == letter_id and replays_of(letter) > replays:
                return letter
        return None

    def _handled(self, letter_id: str, since: int) -> bool:
        """Whether a person threw its next letter away, or changed it: then there was one.

        What stands in line again is judged by what becomes of it.
        """
        start = str(since)
        while True:
            page: Any = self._redis.xrange(self._at.audit, start, count=PAGE)
            for _, fields in page:
                if fields.get(b"action") != b"replay" and letter_id in json.loads(fields.get(b"ids", b"[]")):
                    return True
            if len(page) < PAGE:
                return False
            start = f"({page[-1][0].decode()}"

    def _newest(self, since: float) -> Iterator[dict[str, Any]]:
        """Letters that failed after *since*, newest first."""
        for start in range(0, MOST, PAGE):
            page = self._redis.lrange(self._at.dlq, -start - PAGE, -start - 1)
            for raw in reversed(page):
                letter = letter_of(raw)
                if (failed_at(letter) or since) < since:
                    return
                yield letter
            if len(page) < PAGE:
                return

    def _now(self) -> float:
        seconds, micros = self._redis.time()
        return float(seconds) + float(micros) / 1_000_000


def may_be_replayed(letter: Mapping[str, Any]) -> bool:
    """Whether a replay without a person may help."""
    return letter.get("retryable") is True and str(letter.get("code")) not in PERSONS
