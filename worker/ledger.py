"""The ledger: what is remembered of each submission of one provider.

A submission is the record of its call with a memory (``lua/submission.lua``). Begin marks it as sent before a
byte leaves, finish says what is known of an attempt; the provider's word, a poll and a person's decision are
written here. Undecided ones stay for good, decided ones 30 days.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, get_args
from uuid import UUID, uuid5

from redis.exceptions import RedisError

from worker.errors import StateUnavailable
from worker.keys import keys
from worker.scripts import script, server_clock
from worker.submission import STATES, Resend, Submission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from redis import Redis

    from worker.operation import Operation
    from worker.stores import Commands
    from worker.submission import Accepted, State

__all__ = ["Ledger", "idempotency_key", "noted", "noted_of", "submission_id"]

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
        fields = self._fields(submission_id)
        if twin := fields.get("twin"):
            submission_id, fields = twin, self._fields(twin)
        return self._read(submission_id, fields)

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
        """Accepted ones that may change yet, the one first that was asked about longest ago.

        With *before* (seconds since the epoch) only those that were not asked about since.
        """
        top: Any = "+inf" if before is None else f"({before * 1000:.0f}"
        ids: Any = self._redis.zrangebyscore(f"{self._base}:open", "-inf", top, start=0, num=most)
        return [one for one in self._many(ids) if one]

    def observed(self, submission_id: str, status: str | None, *, closed: bool = False) -> str | None:
        """Its status before, when *status* is another one; None when nothing changed.

        It was asked about just now, whatever was said; None is what says nothing of it.
        """
        args = [self._now(), submission_id, self._base, status or "", "1" if closed else ""]
        known = "" if status is None else "1"
        changed, old = script("observed")(self._line, [self.keys.call(submission_id)], [*args, known])
        return old.decode() if changed else None

    def counts(self) -> dict[str, int]:
        """How many are in each state, and ``open``; one round trip."""
        names = [*STATES, "open"]
        with self._redis.pipeline(transaction=False) as ask:
            for name in names:
                ask.zcard(f"{self._base}:{name}")
            return dict(zip(names, ask.execute(), strict=True))

    def oldest(self, state: State | str = "open") -> float | None:
        """Since when the first of that state is in it; of open ones, when it was asked about last.

        Seconds since the epoch; None when there is none.
        """
        first: Any = self._redis.zrange(f"{self._base}:{state}", 0, 0, withscores=True)
        return first[0][1] / 1000 if first else None

    def listed(self, state: State, *, most: int | None = None) -> Iterator[Submission]:
        """Those in that state, the oldest first, a page in memory at a time."""
        start = 0
        while most is None or start < most:
            end = start + min(PAGE, PAGE if most is None else most - start)
            ids: Any = self._redis.zrange(f"{self._base}:{state}", start, end - 1)
            if not ids:
                return
            yield from (one for one in self._many(ids) if one)
            start = end

    def _fields(self, submission_id: str) -> dict[str, str]:
        fields: Any = self._redis.hgetall(self.keys.call(submission_id))
        return _text(fields)

    def _many(self, ids: Sequence[bytes]) -> list[Submission | None]:
        with self._redis.pipeline(transaction=False) as ask:
            for each in ids:
                ask.hgetall(self.keys.call(each.decode()))
            return [
                self._read(each.decode(), _text(fields))
                for each, fields in zip(ids, ask.execute(), strict=True)
            ]

    def _read(self, submission_id: str, fields: Mapping[str, str]) -> Submission | None:
        state = fields.get("submission")
        if state not in STATES:
            return None
        resend = fields.get("resend", "never")
        return Submission(
            id=submission_id,
            provider=self.provider,
            operation=fields.get("operation", ""),
            state=state,
            resend=resend if resend in get_args(Resend) else "never",  # type: ignore[arg-type]
            since=_seconds(fields, "submission_at"),
            created_at=_seconds(fields, "created_at"),
            sent_at=_seconds(fields, "sent_at"),
            polled_at=_seconds(fields, "polled_at"),
            external_id=fields.get("external_id") or None,
            external_status=fields.get("external_status") or None,
            details=json.loads(fields.get("details") or "{}"),
        )


def idempotency_key(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str | None:
    """The caller's name for what these arguments submit, if it gave one."""
    key = operation.signature.bind(*args, **kwargs).arguments.get("idempotency_key")
    return key if isinstance(key, str) else None


def submission_id(task: str, key: str) -> str:
    """The id of what is submitted by *task* under that idempotency key, unless its caller chose another."""
    return str(uuid5(_NAMESPACE, f"{task}\n{key}"))


def noted(operation: Operation, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """What the ledger is to know of a submission from the start, as JSON; "" for an operation that only asks.

    Holds nothing that is private: of the arguments only digests, and what the operation lets be seen.

    Raises:
        ArgumentsInvalid: names the argument and what it takes.
    """
    submits = operation.submission
    if submits is None:
        return ""
    given = operation.parsed(tuple(args), kwargs)
    bound = operation.signature.bind(*args, **kwargs).arguments
    key = bound.pop("idempotency_key", None)
    return _json(
        {
            "operation": operation.name,
            "resend": submits.resend,
            "print": _print(operation.name, key) if key else "",
            "digest": hashlib.sha256(_json(bound).encode()).hexdigest()[:32],
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


def _text(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def _seconds(fields: Mapping[str, str], name: str) -> float:
    return float(fields.get(name) or 0) / 1000
