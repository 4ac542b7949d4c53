"""One provider's dead letters on their way back, a step at a time.

1. Take the lease, so that no two runs are at one provider.
2. Replay the oldest retryable letter alone, and wait for what becomes of it.
3. It came through: the others follow, oldest first, a page at a time, into the replay lane, until as many
   stand there as the provider takes in an hour. The releaser lets them out at its pace; nothing is published
   here.

Breaker, quota and line are looked at before each page. A letter leaves the list and its call joins the line
in one step, so a run that is killed loses nothing, and the next one goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from math import ceil, inf
from typing import TYPE_CHECKING, Literal, Protocol

from redis.exceptions import RedisError

from worker.letters.canary import Canary, Sight, may_be_replayed
from worker.letters.filter import failed_at
from worker.letters.letter import letter_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.lease import Lease
    from worker.standing import Standing

__all__ = ["BY", "End", "Letters", "Replay", "room"]

BY = "beat"
"""Who replays, in the audit stream."""

PAGE = 100
LOOK = 0.25
"""Seconds between two looks at a canary."""

CANARIES = 3
"""Letters that are tried first, when the provider answers that it does not want this very one."""

HOUR = 3600.0
UNRATED = 10_000
"""Replays that may stand in line for a provider without a rate."""

End = Literal[
    "done", "busy", "breaker", "quota", "line", "canary_waits", "canary_failed", "time", "redis", "error"
]


class Letters(Protocol):
    """One provider's dead letters (:class:`worker.letters.deadletter.DeadLetters`)."""

    def __len__(self) -> int:
        """How many there are."""

    def pages(self, size: int = PAGE) -> Iterator[list[bytes]]:
        """All of them as they lie there, oldest first."""

    def replay(self, raws: Sequence[bytes], *, by: str) -> list[str]:
        """What became of each: ``parked``, or why it was not."""


class Replay:
    """A run over one provider's letters.

    Args:
        letters: Where they are.
        canary: What is known of the one that goes first.
        lease: On the provider.
        standing: How the provider stands now.
        floor: The share of a day's quota that is left to live calls.
        patience: Seconds for which a canary is waited for; the next run looks at it again.

    Attributes:
        end: Why it ended: ``done`` with all that may be replayed; ``busy``: another run is at it;
            ``breaker``, ``quota``: not now; ``line``: as many stand in line as should; ``canary_waits``,
            ``canary_failed``; ``time``: it was stopped; ``redis`` did not answer; ``error``: its
            letters, or we, are broken, which the log tells.
        outcomes: Letters by what became of them, and the canary's.
    """

    def __init__(
        self,
        *,
        letters: Letters,
        canary: Canary,
        lease: Lease,
        standing: Callable[[], Standing],
        floor: float,
        patience: float,
        clock: Callable[[], float],
    ) -> None:
        self._letters, self._canary, self._lease = letters, canary, lease
        self._standing, self._floor = standing, floor
        self._patience, self._clock = patience, clock
        self._queue = _Retryable(letters)
        self.end: End = "time"
        self.outcomes: Counter[str] = Counter()

    def steps(self) -> Generator[float, None, None]:
        """Each step is short; it gives the seconds until the next one is of use. May be closed at any."""
        if not len(self._letters):
            self.end = "done"
        elif not self._lease.take():
            self.end = "busy"
        else:
            try:
                self.end = yield from self._through()
            finally:
                with suppress(RedisError):
                    self._lease.drop()

    def _through(self) -> Generator[float, None, End]:
        for _ in range(CANARIES):
            sight = self._seen(self._canary.look())
            if sight.word in {"none", "failed", "rejected"}:
                stopped = yield from self._send_first()
                if stopped:
                    return stopped
            if sight.word != "passed":
                sight = yield from self._outcome()
            if sight.word == "passed":
                return (yield from self._send_rest(sight.since))
            if sight.word == "waits":
                return "canary_waits"
            if sight.word == "failed":
                return "canary_failed"
        return "canary_failed"

    def _send_first(self) -> Generator[float, None, End | None]:
        """Nothing when a canary was sent, otherwise why none was."""
        while self._queue.read():
            stopped = self._stopped()
            if stopped:
                return stopped
            for raw in self._queue.take(1):
                if self._move([raw]) == ["parked"]:
                    self._canary.sent(letter_of(raw))
                    return None
            yield 0.0
        return "done"

    def _outcome(self) -> Generator[float, None, Sight]:
        """What became of the canary, as far as one waits for it."""
        until = self._clock() + self._patience
        while True:
            sight = self._seen(self._canary.look())
            if sight.word != "waits" or self._clock() >= until or not self._lease.take():
                return sight
            yield LOOK

    def _send_rest(self, since: float) -> Generator[float, None, End]:
        """All that failed before *since*: those that fail again meanwhile have their turn another time."""
        while self._queue.read():
            stopped = self._stopped()
            if stopped:
                return stopped
            wanted = self._queue.take(self._room, since)
            if wanted:
                self._move(wanted)
            yield 0.0
        return "done"

    def _stopped(self) -> End | None:
        """Why no letter may be moved now; otherwise :attr:`_room` says how many may. Two round trips."""
        if not self._lease.take():
            return "busy"
        self._room, why = (PAGE, None) if self._queue.empty else room(self._standing(), self._floor)
        return why

    def _move(self, raws: Sequence[bytes]) -> list[str]:
        words = self._letters.replay(raws, by=BY)
        self.outcomes.update(words)
        return words

    def _seen(self, sight: Sight) -> Sight:
        if sight.news:
            self.outcomes[f"canary_{sight.word}"] += 1
        return sight


def room(standing: Standing, floor: float) -> tuple[int, End | None]:
    """How many letters may be replayed now, and why none may."""
    if standing.breaker != "closed":
        return 0, "breaker"
    rate = standing.declared.rate
    hourly = (
        HOUR * rate.per_second * (standing.factor or 1.0) * len(standing.credentials) if rate else UNRATED
    )
    free = max(1, int(hourly)) - standing.lanes["replay"] - standing.slow
    if standing.quota_left is not None:
        kept = ceil(floor * (standing.quota_limit or 0))
        spare = standing.quota_left - kept - standing.parked - standing.under_way
        if spare <= 0:
            return 0, "quota"
        free = min(free, spare)
    return (free, None) if free > 0 else (0, "line")


class _Retryable:
    """The letters that may be replayed, read a page at a time and only once.

    However many others lie before them, a page costs no more for it.
    """

    def __init__(self, letters: Letters) -> None:
        self._pages = letters.pages(PAGE)
        self._page: list[bytes] = []

    @property
    def empty(self) -> bool:
        """Whether none is at hand."""
        return not self._page

    def read(self) -> bool:
        """Whether there are more; reads the next page, in which there may be none, when none is at hand."""
        if self._page:
            return True
        page = next(self._pages, None)
        if page is None:
            return False
        self._page = [raw for raw in page if may_be_replayed(letter_of(raw))]
        return True

    def take(self, most: int, before: float = inf) -> list[bytes]:
        """At most so many of those at hand, without any that failed later."""
        taken, self._page = self._page[:most], self._page[most:]
        return [raw for raw in taken if (failed_at(letter_of(raw)) or 0.0) < before]
