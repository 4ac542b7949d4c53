"""The ledger: what is remembered of each submission of one provider.

A submission is the record of its call with a memory (``lua/submission.lua``). Begin marks it as sent before a
byte leaves, finish says what is known of an attempt; the provider's word, a poll and a person's decision are
written here. Undecided ones stay for good, decided ones 30 days.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID, uuid5

from redis.exceptions import RedisError

from worker.errors import StateUnavailable
from worker.keys import keys
from worker.remembered import FIELDS, fields_of, remembered
from worker.scripts import script, server_clock
from worker.submissions.submission import STATES

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from redis import Redis

    from worker.operation import Operation
    from worker.stores import Commands
    from worker.submissions.submission import Accepted, State, Submission

__all__ = [
    "Decision",
    "Ledger",
    "idempotency_key",
    "noted",
    "noted_of",
    "submission_id",
]

Decision = Literal["accepted", "rejected", "queued"]
"""What a person says of a submission in doubt; ``queued`` has it sent again."""

_NAMESPACE = UUID("0b6c2f5e-6f0a-4d43-8f1c-9d3f6f6f2f7a")

PAGE = 200
"""Submissions that are read together."""


class Ledger:
    """The submissions of one provider.

    Args:
        redis: A client of the state Redis.
        line: What sends scripts there; the client itself will do.
        now: Milliseconds since the epoch, for tests; ``""`` is the server's clock.
    """

    def __init__(
        self, redis: Redis, line: Commands, provider: str, *, now: Callable[[], int | str] = server_clock
    ) -> None:
        self._redis, self._line, self._now = redis, line, now
        self.provider, self.keys = provider, keys(provider)
        self._base = self.keys.submissions

    def get(self, submission_id: str) -> Submission | None:
        """The submission of that id, or the one that the call of that id repeats."""
        (fields, place) = self._asked([submission_id])[0]
        if twin := fields.get("twin"):
            submission_id, (fields, place) = twin, self._asked([twin])[0]
        return remembered(self.provider, submission_id, fields, is_open=place is not None)

    def named(self, operation: str, key: str) -> Submission | None:
        """The submission of that idempotency key."""
        name: Any = self._redis.get(f"{self._base}:key:{_print(operation, key)}")
        return self.get(name.decode()) if name else None

    def accepted(
        self, submission_id: str, by: Accepted, details: Mapping[str, Any]
    ) -> tuple[str, str | None]:
        """Its state and external id before the provider took it; one round trip. It may be said twice.

        One that was taken before, under another id, stays as it was.

        Raises:
            StateUnavailable: Redis does not answer; it may have heard all the same.
        """
        args = [
            *(self._now(), submission_id, self._base, by.external_id, by.external_status or ""),
            *(_json(details), "" if by.settled else "1"),
        ]
        try:
            before, known = script("accept")(self._line, [self.keys.call(submission_id)], args)
        except RedisError as gone:
            raise StateUnavailable from gone
        return before.decode(), known.decode() or None

    def open(self, most: int = PAGE, *, before: float | None = None) -> list[Submission]:
        """Accepted ones that may change yet, the one first that was accepted or asked about longest ago.

        With *before* (seconds since the epoch) only those that were accepted before, and not asked about
        since.
        """
        top: Any = "+inf" if before is None else f"({before * 1000:.0f}"
        while True:
            ids: Any = self._redis.zrangebyscore(f"{self._base}:open", "-inf", top, start=0, num=most)
            found = self._many(ids)
            for name, one in zip(ids, found, strict=True):
                if one is None:  # its record is gone: it would stand in front of the others for ever
                    self.observed(name.decode(), None)
            if any(found) or not found:
                return [one for one in found if one]

    def observed(self, submission_id: str, status: str | None, *, closed: bool = False) -> str | None:
        """Its status before, when *status* is another one; None when nothing changed.

        It was asked about just now, whatever was said; None is what says nothing of it.
        """
        args = [self._now(), submission_id, self._base, status or "", "1" if closed else ""]
        known = "" if status is None else "1"
        changed, old = script("observed")(self._line, [self.keys.call(submission_id)], [*args, known])
        return old.decode() if changed else None

    def resolve(
        self,
        submission_id: str,
        decision: Decision,
        *,
        by: str,
        external_id: str = "",
        is_open: bool = False,
        lives: bool = False,
        letters: Sequence[bytes] = (),
    ) -> str:
        """What became of a person's decision on what is in doubt; ``lua/resolve.lua`` has the words.

        *letters*, its dead letters as they lie there, leave with it. *lives* says that its call has not
        ended: only then it may be *queued* here, what has ended is sent again by :meth:`DeadLetters.replay`.

        Raises:
            RedisError: It may have been decided all the same; who says it again hears.
        """
        args = [
            *(self._now(), submission_id, self._base, decision, external_id, "1" if is_open else "", by),
            *("1" if lives else "", *letters),
        ]
        names = [self.keys.call(submission_id), self.keys.dlq, self.keys.audit]
        word: bytes = script("resolve")(self._redis, names, args)
        return word.decode()

    def lives(self, submission_id: str) -> bool:
        """Whether its call has not ended: it waits, stands in line, or runs."""
        state: Any = self._redis.hget(self.keys.call(submission_id), "state")
        return state not in {None, b"ended"}

    def spent(self, operation: str, key: str) -> int:
        """How many submissions of that idempotency key were called back before they were sent.

        Raises:
            RedisError: Redis does not answer.
        """
        return int(self._line.execute_command("GET", f"{self._base}:spent:{_print(operation, key)}") or 0)

    def digest(self, submission_id: str) -> str:
        """Of the arguments that it was submitted with; "" without an idempotency key."""
        digest: Any = self._redis.hget(self.keys.call(submission_id), "digest")
        return digest.decode() if digest else ""

    def counts(self) -> dict[str, int]:
        """How many are in each state, and ``open``; one round trip."""
        names = [*STATES, "open"]
        with self._redis.pipeline(transaction=False) as ask:
            for name in names:
                ask.zcard(f"{self._base}:{name}")
            return dict(zip(names, ask.execute(), strict=True))

    def oldest(self, state: State | str = "open") -> float | None:
        """Since when the first of that state is in it; of open ones, when it was asked about last.

        Of one that nobody asked about yet, when it was accepted. Seconds since the epoch; None when there is
        none.
        """
        first: Any = self._redis.zrange(f"{self._base}:{state}", 0, 0, withscores=True)
        return first[0][1] / 1000 if first else None

    def holders(self, external_ids: Collection[str], *, since: float) -> dict[str, str]:
        """Whose each of *external_ids* is, of those accepted *since* (seconds since the epoch).

        There is no index: it reads them all, a page in memory at a time.
        """
        found: dict[str, str] = {}
        start, lowest = 0, max(0.0, since) * 1000
        while True:
            ids: Any = self._redis.zrangebyscore(
                f"{self._base}:accepted", lowest, "+inf", start=start, num=PAGE
            )
            for one in self._many(ids):
                if one is not None and one.external_id and one.external_id in external_ids:
                    found[one.external_id] = one.id
            if len(ids) < PAGE:
                return found
            start += PAGE

    def listed(self, state: State | str, *, most: int | None = None) -> Iterator[Submission]:
        """Those in that state, the oldest first, a page in memory at a time."""
        start = 0
        while most is None or start < most:
            end = start + min(PAGE, PAGE if most is None else most - start)
            ids: Any = self._redis.zrange(f"{self._base}:{state}", start, end - 1)
            if not ids:
                return
            yield from (one for one in self._many(ids) if one)
            start = end

    def _many(self, ids: Sequence[bytes]) -> list[Submission | None]:
        names = [each.decode() for each in ids]
        return [
            remembered(self.provider, name, fields, is_open=place is not None)
            for name, (fields, place) in zip(names, self._asked(names), strict=True)
        ]

    def _asked(self, names: Sequence[str]) -> list[tuple[dict[str, str], float | None]]:
        """What each one's record remembers, and its score among the open ones; one round trip."""
        with self._redis.pipeline(transaction=False) as ask:
            for name in names:
                ask.hmget(self.keys.call(name), FIELDS)
                ask.zscore(f"{self._base}:open", name)
            replies = ask.execute()
        return [(fields_of(values), place) for values, place in zip(replies[::2], replies[1::2], strict=True)]


def idempotency_key(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """The caller's name for what these arguments submit, if it gave one."""
    key = operation.signature.bind(*args, **kwargs).arguments.get("idempotency_key")
    return key if isinstance(key, str) else None


def submission_id(task: str, key: str, spent: int = 0) -> str:
    """The id of what is submitted by *task* under that idempotency key, unless its caller chose another.

    Another one once *spent* submissions of that key were called back: their ids are known as revoked.
    """
    return str(uuid5(_NAMESPACE, f"{task}\n{key}\n{spent}" if spent else f"{task}\n{key}"))


def noted(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """What the ledger is to know of a submission from the start, as JSON; "" for an operation that only asks.

    Holds nothing that is private: of the arguments what the operation lets be seen, and a digest for whoever
    knows the idempotency key, by which other arguments under that key are told.

    Raises:
        ArgumentsInvalid: names the argument and what it takes.
    """
    submits = operation.submission
    if submits is None:
        return ""
    given = operation.parsed(tuple(args), kwargs)
    all_given = operation.signature.bind(*args, **kwargs)
    all_given.apply_defaults()
    bound = all_given.arguments
    key = bound.pop("idempotency_key", None)
    return _json(
        {
            "operation": operation.name,
            "resend": submits.resend,
            "print": _print(operation.name, key) if key else "",
            "digest": hmac.new(key.encode(), _json(bound).encode(), "sha256").hexdigest()[:32] if key else "",
            "details": _json(submits.details(*given.args, **given.kwargs)),
        }
    )


def noted_of(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """As :func:`noted`, of arguments that nobody has checked."""
    if operation.submission is None:
        return ""
    return noted(operation, *operation.checked(tuple(args), kwargs))


def _print(operation: str, key: str) -> str:
    return hashlib.sha256(f"{operation}\0{key}".encode()).hexdigest()[:32]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True, default=str)
