"""Dead letters: calls that were given up, as JSON in the list ``dlq:<provider>``, oldest first."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from worker.keys import keys
from worker.letters import audit as letter_audit
from worker.letters.call import Calls, LetterCall, Unfit
from worker.letters.letter import UNROUTABLE, DeadLetter, id_of, iso, letter_of, verdict
from worker.letters.pages import Sightings, pages
from worker.scripts import script, server_clock
from worker.sealing.sealer import Sealer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from celery import Celery
    from redis import Redis

    from worker.letters.audit import Audited

__all__ = ["DeadLetter", "DeadLetters", "Unfit", "iso", "letter_of", "verdict"]

PAGE = 500
"""Letters read at a time, so that a long list costs constant memory."""

FEW = 20
"""The same of unroutable ones, each of which may hold a megabyte."""

DISCARD = "discard"
"""What stands in the audit stream for letters that are thrown away."""

MOVED = 100
"""Letters that one script moves, so that none holds Redis for long."""


class DeadLetters:
    """The dead letters of one provider.

    A letter is known by its exact bytes. Every move is one script for at most a hundred letters, so nothing
    is lost or doubled by whoever is killed, or by two who move the same ones.

    Args:
        redis: A client of the state Redis.
        app: Whose tasks the letters name; this process's own when None.
        sealer: What opens sealed arguments; without one, letters that have some stay where they are.
        now: Milliseconds since the epoch, for tests; ``""`` is the server's clock.
    """

    def __init__(
        self,
        redis: Redis,
        provider: str,
        *,
        app: Celery | None = None,
        sealer: Sealer | None = None,
        now: Callable[[], int | str] = server_clock,
    ) -> None:
        self._redis, self.provider, self._app = redis, provider, app
        self._sealer, self._now = sealer or Sealer(), now
        self._keys, self._seen = keys(provider), Sightings()

    def __len__(self) -> int:
        return int(self._redis.llen(self._keys.dlq))

    def __contains__(self, raw: bytes) -> bool:
        """Whether this very letter lies there."""
        return self._redis.execute_command("LPOS", self._keys.dlq, raw) is not None

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Each letter, oldest first, a page at a time; what is none is ``unreadable``."""
        for page in self.pages(PAGE):
            yield from map(letter_of, page)

    def find(self, letter_id: str) -> dict[str, Any] | None:
        """The letter of that id, or None."""
        return next((letter for letter in self if letter.get("id") == letter_id), None)

    def pages(self, size: int = MOVED) -> Iterator[list[bytes]]:
        """All letters as they lie there, oldest first; none is skipped when others leave meanwhile.

        Some may come twice when many leave at once, or one was edited.
        """
        most = min(size, FEW) if self.provider == UNROUTABLE else size
        return pages(self._redis, self._keys.dlq, most, self._seen)

    def replay(self, raws: Sequence[bytes], *, by: str, resolved: bool = False) -> list[str]:
        """What became of each letter, for at most a hundred of them in one step.

        ``parked``: its call stands in the replay lane, and the letter is gone. ``accepted``: the provider has
        the submission, and the letter is gone. The others stay: ``known``: its call lives, or another
        submission has its idempotency key. ``in_doubt``: a person decides, and has not *resolved* that it be
        sent again. ``unknown_task``, ``invalid``: :meth:`refusal` says why. ``gone`` is not there.

        Raises:
            RedisError: The letters of the step under way were moved, all or none; those before it were.
        """
        words: list[str] = []
        for start in range(0, len(raws), MOVED):
            words += self._replay(raws[start : start + MOVED], by, resolved=resolved)
        return words

    def refusal(self, raw: bytes) -> str | None:
        """Why this letter cannot be made into a call here; None when it can."""
        try:
            self._calls.made(letter_of(raw))
        except Unfit as why:
            return str(why)
        return None

    def remove(self, raws: Sequence[bytes], *, by: str, action: str) -> int:
        """How many of these letters were there; they are not any more. *action* stands in the audit stream.

        To ``discard`` one also forgets a submission that was never sent: its key may be used again.

        Raises:
            RedisError: The letters of the hundred under way were removed, all or none; those before were.
        """
        gone = 0
        for start in range(0, len(raws), MOVED):
            page = raws[start : start + MOVED]
            flat = [value for raw in page for value in (raw, id_of(letter_of(raw)))]
            records = (self._keys.call(""), self._keys.submissions) if action == DISCARD else ("", "")
            args = [self._now(), by, action, self._seen.near(page), *records, *flat]
            gone += int(script("letters_remove")(self._redis, [self._keys.dlq, self._keys.audit], args))
        return gone

    def edit(
        self, raw: bytes, args: Sequence[Any], kwargs: Mapping[str, Any], *, by: str
    ) -> dict[str, Any] | None:
        """The letter with these arguments instead, which lies in its place; None when that very one is gone.

        The audit stream keeps the old arguments and the new ones, sealed where the task's should be.

        Raises:
            ArgumentsInvalid: The task does not take them.
            NarrowsError: The old ones are sealed, and no key here opens them.
        """
        letter = letter_of(raw)
        changed = self._calls.changed(letter, args, kwargs)
        text = json.dumps(changed, separators=(",", ":"))
        versions = [json.dumps(self._calls.version(each)) for each in (letter, changed)]
        given = [self._now(), by, self._seen.near([raw]), raw, changed["id"], text, *versions]
        done = script("letters_edit")(self._redis, [self._keys.dlq, self._keys.audit], given)
        return changed if done else None

    def opened(self, letter: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """The arguments of *letter* in clear.

        Raises:
            Unfit: There are none that can be read.
            NarrowsError: They are sealed, and no key here opens them.
        """
        return self._calls.opened(letter)

    def audit(self, most: int = 100) -> list[Audited]:
        """What was done to them, the newest *most*, oldest first; one round trip."""
        return letter_audit.entries(self._redis, self._keys.audit, most)

    @cached_property
    def _calls(self) -> Calls:
        if self._app is None:
            from worker.application import app

            self._app = app
        return Calls(self._app, self.provider, self._sealer)

    def _replay(self, page: Sequence[bytes], by: str, *, resolved: bool) -> list[str]:
        words, calls = [""] * len(page), dict[int, LetterCall]()
        for place, raw in enumerate(page):
            try:
                calls[place] = self._calls.made(letter_of(raw))
            except Unfit as why:
                words[place] = why.word
        if calls:
            moved = self._move([(page[place], call) for place, call in calls.items()], by, resolved=resolved)
            for place, word in zip(calls, moved, strict=True):
                words[place] = word
        return words

    def _move(self, calls: Sequence[tuple[bytes, LetterCall]], by: str, *, resolved: bool) -> list[str]:
        at = self._keys
        names = [*at.indexes, at.lot, at.dlq, at.audit]
        flat = [
            value
            for raw, call in calls
            for value in (raw, call.task_id, call.message, call.noted, "1" if call.doubtful else "")
        ]
        near = self._seen.near(raw for raw, _ in calls)
        args = [self._now(), at.call(""), at.submissions, by, near, "1" if resolved else "", *flat]
        words: list[bytes] = script("letters_replay")(self._redis, names, args)
        return [word.decode() for word in words]
