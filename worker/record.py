"""The call's record, the truth of which the broker's message is only a wake-up.

The broker loses a message with the worker that popped it, and doubles what was in flight when a
connection breaks. So a call is written here before it is published, claimed by begin, ended by
finish, and published again by the reconciler when nobody runs it. ``lua/record.lua`` has its fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from worker.errors import EnqueueFailed, StateUnavailable
from worker.gate import LINGER
from worker.keys import keys
from worker.scripts import script
from worker.stores import Unreached

if TYPE_CHECKING:
    from collections.abc import Iterable

    from redis import Redis

    from worker.claim import Claim
    from worker.stores import Commands

__all__ = ["Found", "Records"]

BATCH = 200
"""Calls of each kind that one sweep takes, so that no script holds Redis for long."""

FATAL_LOSSES = 3
FATAL_PUBLISHES = 8
"""Workers that a call may take down in a row, and copies that may vanish unclaimed, each after twice the
wait of the last (43 minutes for 8), before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A call that nobody runs.

    Attributes:
        kind: ``lost`` with its worker, ``due`` after its wait, ``unclaimed``, or ``poison``.
        token: Of the claim on a poison call; 0 for the others.
    """

    task_id: str
    message: bytes
    kind: str
    token: int


class Records:
    """The records of one provider's calls.

    Args:
        redis: A client of the state Redis.
        line: What sends scripts there; the client itself will do.
    """

    def __init__(self, redis: Redis, line: Commands, provider: str) -> None:
        self._redis, self._line = redis, line
        self.keys = keys(provider)
        self._indexes = self.keys.indexes

    def write(self, task_id: str, message: str, due: int | None = None) -> bool:
        """Whether the call's message is to be published now.

        Not so when it is to wait for *due* (ms since the epoch), nor when a call of that id is there already.
        One round trip.

        Raises:
            EnqueueFailed: Redis does not answer; says whether the call may have been taken all the same.
        """
        args = ["", task_id, message, due if due is not None else ""]
        try:
            state = script("enqueue")(self._line, [*self._indexes, self.keys.call(task_id)], args)
        except Unreached:
            raise EnqueueFailed("the state Redis does not answer; nothing was enqueued") from None
        except RedisError as gone:
            text = f"the state Redis does not answer ({type(gone).__name__})"
            raise EnqueueFailed(f"{text}; {self.undone(task_id)}") from None
        return bool(state == b"queued")

    def undone(self, task_id: str) -> str:
        """What became of a call that could not be enqueued whole: taken back, or in the open."""
        try:
            self.cancel(task_id)
        except StateUnavailable:
            return "it may run all the same; the same task_id enqueues it once"
        return "nothing was enqueued"

    def cancel(self, task_id: str) -> tuple[str, bytes]:
        """The state that the call was in, ``""`` for none; no copy of it will start from now on.

        With it the message of a call that will not run, so that who waits for it can be told.
        """
        try:
            names = [*self._indexes, self.keys.call(task_id)]
            state, message = script("cancel")(self._line, names, [task_id, LINGER])
        except RedisError as gone:
            raise StateUnavailable from gone
        return state.decode(), message

    def get(self, task_id: str) -> dict[str, str]:
        """The record's fields as text, empty when there is none."""
        fields: Any = self._redis.hgetall(self.keys.call(task_id))
        return {name.decode(): value.decode() for name, value in fields.items()}

    def orphans(self, *, grace: float, depth: int, due: int = BATCH) -> list[Found]:
        """Calls that somebody must publish again, taken so that no other worker takes them too.

        Args:
            grace: Seconds that a published message may take to be claimed.
            depth: Messages in the provider's queue.
            due: Calls at most whose wait is over: more than the provider can take would only come back.
        """
        args = ["", self.keys.call(""), BATCH, round(grace * 1000), depth, FATAL_LOSSES, FATAL_PUBLISHES, due]
        flat: list[Any] = script("reconcile")(
            self._line, [*self._indexes, self.keys.limits, self.keys.leases], args
        )
        return [
            Found(task_id=flat[n].decode(), message=flat[n + 1], kind=flat[n + 2].decode(), token=flat[n + 3])
            for n in range(0, len(flat), 4)
        ]

    def extend(self, claims: Iterable[Claim], *, lease: float) -> int:
        """How many of *claims* are still ours; each of those lives *lease* seconds longer."""
        pairs = [value for claim in claims for value in (claim.task_id, claim.token)]
        args = ["", round(lease * 1000), self.keys.call(""), *pairs]
        return int(script("extend")(self._line, [self.keys.running], args))
