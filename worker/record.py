"""The call's record, the truth of which the broker's message is only a wake-up.

The broker loses a message with the worker that popped it, and doubles what was in flight when a
connection breaks. So a call is written here before it is published, claimed by begin, ended by
finish, and published again by the reconciler when nobody runs it. ``lua/record.lua`` has its fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from redis.exceptions import RedisError

from worker.errors import ArgumentsInvalid, EnqueueFailed, StateUnavailable
from worker.gate import LINGER
from worker.keys import keys
from worker.message import LANES
from worker.scripts import script, server_clock
from worker.stores import Unreached

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from redis import Redis

    from worker.claim import Claim
    from worker.gate import Gate
    from worker.stores import Commands

__all__ = ["Found", "KeyUsed", "Records", "Release", "Released"]

HORIZON = 250
"""Milliseconds by which calls are released ahead of their moment: what looking, publishing and beginning may
take without the provider's time being wasted. Each call waits for its moment in the slot."""

RELEASED_AT_ONCE = 50

FEW_QUEUED = 50
"""Published calls of which it is looked at whether one goes before another."""

BATCH = 200
"""Calls of each kind that one sweep takes, so that no script holds Redis for long."""

DENIED = 86_400_000
"""Milliseconds for which a call is known that its caller was told is not enqueued: the broker may have its
message all the same, and take long to hand it out."""

_OPEN = "it may run all the same; the same task_id, or idempotency key, enqueues it once"

FATAL_LOSSES = 3
FATAL_PUBLISHES = 8
"""Workers that a call may take down in a row, and copies that may vanish unclaimed, each after twice the
wait of the last (43 minutes for 8), before it is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A call that nobody runs.

    Attributes:
        kind: ``lost`` with its worker, ``unclaimed``, ``poison``, or ``doubt``: lost when it may have left.
        token: Of the claim on a call that is poison or in doubt; 0 for the others.
    """

    task_id: str
    message: bytes = field(repr=False)
    kind: str
    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A call whose turn has come; an *expired* one is not to be run any more."""

    task_id: str
    message: bytes = field(repr=False)
    expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One look at a line.

    Attributes:
        word: What holds the first in line, ``follow`` when another worker looks; "" when nobody stands there.
        again: Seconds until it is worth looking again.
    """

    word: str
    again: float
    calls: Sequence[Released]


class KeyUsed(ArgumentsInvalid):
    """An idempotency key stands for something else.

    Attributes:
        place: Of the call among those that were enqueued together.
    """

    def __init__(self, place: int = 0) -> None:
        text = "was used for other arguments; what is submitted anew takes a new one"
        super().__init__(f"idempotency_key: {text}")
        self.place = place


class Records:
    """The records of one provider's calls.

    Args:
        redis: A client of the state Redis.
        line: What sends scripts there; the client itself will do.
        room: Messages of the provider that may lie in the broker before calls stand in line; 0 is no bound.
        now: Milliseconds since the epoch, for tests; ``""`` is the server's clock.
    """

    def __init__(
        self,
        redis: Redis,
        line: Commands,
        provider: str,
        *,
        room: int = 0,
        now: Callable[[], int | str] = server_clock,
    ) -> None:
        self._redis, self._line, self._room, self._now = redis, line, room, now
        self.keys = keys(provider)
        self._indexes = self.keys.indexes

    def write(
        self,
        task_id: str,
        message: str,
        due: int | None = None,
        *,
        lane: str = LANES[0],
        expires: int | None = None,
        behind: bool = True,
        noted: str = "",
    ) -> bool:
        """Whether the call's message is to be published now.

        Not so when it is to wait for *due*, nor when others stand in line and it is parked *behind* them, nor
        when a call of that id is there already. One round trip. It is not run after *expires*; both are ms
        since the epoch. Of a submission, *noted* is what the ledger is to know.

        Raises:
            ArgumentsInvalid: The submission's idempotency key stands for something else.
            EnqueueFailed: Redis does not answer; says whether the call may have been taken all the same.
        """
        try:
            (state,) = self._enqueue(
                [task_id, message, noted],
                lane=lane,
                due=due,
                expires=expires,
                park="behind" if behind else "never",
            )
        except Unreached:
            raise EnqueueFailed("the state Redis does not answer; nothing was enqueued") from None
        except RedisError as gone:
            text = f"the state Redis does not answer ({type(gone).__name__})"
            done = _OPEN if noted else self.undone(task_id)  # a submission's record may be the first one's
            raise EnqueueFailed(f"{text}; {done}") from None
        if state == b"conflict":
            raise KeyUsed
        return state == b"queued"

    def park(self, calls: Sequence[tuple[str, ...]], *, lane: str, expires: int | None = None) -> int:
        """How many of *calls* are new; all of them stand in line now. One round trip.

        Each is a task id, a message, and for a submission what is noted of it.

        Raises:
            KeyUsed: The first whose idempotency key stands for something else. The others stand in line.
            RedisError: Any of them may have been written; the same ids write none twice.
        """
        flat = [value for call in calls for value in (*call, "")[:3]]
        states = self._enqueue(flat, lane=lane, expires=expires, park="always")
        if b"conflict" in states:
            raise KeyUsed(states.index(b"conflict"))
        return states.count(b"parked")

    def _enqueue(
        self,
        calls: Sequence[str],
        *,
        lane: str,
        due: int | None = None,
        expires: int | None = None,
        park: Literal["always", "behind", "never"],
    ) -> list[bytes]:
        given = ["" if moment is None else moment for moment in (due, expires)]
        args = [
            self._now(),
            self.keys.call(""),
            lane,
            park,
            *given,
            self._room,
            self.keys.submissions,
            *calls,
        ]
        states: list[bytes] = script("enqueue")(self._line, [*self._indexes, self.keys.lot], args)
        return states

    def undone(self, task_id: str, *, keyed: bool = False) -> str:
        """What became of a call that could not be enqueued whole: taken back, or in the open.

        One with an idempotency key is not taken back: somebody may have heard meanwhile that it is there.
        """
        if keyed:
            return _OPEN
        try:
            state, message = self.cancel(task_id, linger=DENIED)
        except StateUnavailable:
            return _OPEN
        return "nothing was enqueued" if message or not state else _OPEN

    def cancel(self, task_id: str, *, linger: int = LINGER) -> tuple[str, bytes]:
        """The state that the call was in, ``""`` for none; no copy of it will start for *linger* ms.

        With it the message of a call that will not run, so that who waits for it can be told.
        """
        try:
            names = [*self._indexes, self.keys.lot, self.keys.call(task_id)]
            state, message = script("cancel")(self._line, names, [task_id, linger, self.keys.submissions])
        except RedisError as gone:
            raise StateUnavailable from gone
        return state.decode(), message

    def get(self, task_id: str) -> dict[str, str]:
        """The record's fields as text, empty when there is none."""
        fields: Any = self._redis.hgetall(self.keys.call(task_id))
        return {_name(name): _name(value) for name, value in fields.items()}

    def ahead(self, task_id: str) -> bool:
        """Whether calls wait whose lane goes before that of this one. One round trip.

        Raises:
            StateUnavailable: Redis does not answer.
        """
        names = [self.keys.queued, self.keys.lot, self.keys.call(task_id)]
        try:
            return bool(script("ahead")(self._line, names, [self.keys.call(""), FEW_QUEUED]))
        except RedisError as gone:
            raise StateUnavailable from gone

    def release(self, gate: Gate, worker: str, slots: int) -> Release:
        """The calls whose turn has come, taken so that no other worker takes them too. One round trip.

        Args:
            gate: The provider's.
            worker: Who asks; of several only one is answered for a second.
            slots: Calls of the provider that *worker* runs at once; 0 when it does not serve it.
        """
        at = self.keys
        names = [
            *(at.breaker, at.leases, at.probes, at.queued, at.waiting, at.parked, at.slow, at.released),
            *(at.lot, at.workers, at.budget),
            *gate.limits,
        ]
        args = [self._now(), gate.policy, at.call(""), worker, slots, HORIZON, RELEASED_AT_ONCE]
        word, again, *flat = script("release")(self._line, names, args)
        return Release(
            word=word.decode(),
            again=again / 1000,
            calls=[
                Released(task_id=_name(flat[n]), message=flat[n + 1], expired=flat[n + 2] == b"expired")
                for n in range(0, len(flat), 3)
            ],
        )

    def orphans(self, *, grace: float, depth: int) -> list[Found]:
        """Calls that somebody must publish again, taken so that no other worker takes them too.

        Args:
            grace: Seconds that a published message may take to be claimed.
            depth: Messages in the provider's queue.
        """
        at = self.keys
        args = [self._now(), at.call(""), BATCH, round(grace * 1000), depth, FATAL_LOSSES, FATAL_PUBLISHES]
        names = [at.queued, at.running, at.lot, at.leases, at.released]
        flat: list[Any] = script("reconcile")(self._line, names, args)
        return [
            Found(task_id=_name(flat[n]), message=flat[n + 1], kind=flat[n + 2].decode(), token=flat[n + 3])
            for n in range(0, len(flat), 4)
        ]

    def extend(self, claims: Iterable[Claim], *, lease: float) -> int:
        """How many of *claims* are still ours; each of those lives *lease* seconds longer."""
        pairs = [value for claim in claims for value in (claim.task_id, claim.token)]
        args = [self._now(), round(lease * 1000), self.keys.call(""), *pairs]
        return int(script("extend")(self._line, [self.keys.running], args))


def _name(found: bytes) -> str:
    """What Redis has there; it may be anything when somebody else wrote it."""
    return found.decode(errors="replace")
