"""What Redis knows of an import: how far it is, and which rows of the overlap were delivered.

Each run that enters gets a number, and only the latest may write: a worker that stood still while another
took its task over finds so at its next word, and is dropped. Of several imports that went on from the same
watermark one counts, the first to end; so whoever seems to be gone may be passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tasks.arguments.moments import milliseconds
from tasks.importing.checkpoint import MOVING, PLANNED, Checkpoint, Chunk, Standing
from tasks.importing.pages import Row, changed_at, digest
from worker.errors import CallInFlight, DuplicateDelivery, StateUnavailable
from worker.keys import keys

if TYPE_CHECKING:
    from redis import Redis

    from worker.scripts import Script

__all__ = ["INLINE", "MOST_REMEMBERED", "Desk"]

MOST_REMEMBERED = 200_000
"""Rows that are known again, of each data set and sink, the newest of them: about 20 MB of Redis."""

KEPT = 30 * 86_400_000
"""Milliseconds after its last word that an import is known."""

HELD = 600_000
"""Milliseconds after its last word that it keeps others from going on in its place, unless its call has
ended. A page and its file take a fraction of that; a retry may take some minutes."""

PAUSE, LONGEST_PAUSE = 5.0, 60.0
"""Seconds after which those ask again, each time twice as many."""

PORTION = 2000
"""Rows that are carried over from one import to the next at once."""

INLINE = "inline "
"""Begins the id of an import that is no call on record: nobody can tell whether it still goes on."""


class Desk:
    """Redis's word on one import.

    Args:
        redis: The state Redis.
        provider: Whose data it is.
        task_id: The call that imports.
        asked: What else it is to import; the same call with other arguments is another import.
        target: Data set and sink: what several imports go on with, one after the other; "" for one that
            stands for itself.
        most: Rows that are remembered.
    """

    def __init__(
        self,
        redis: Redis,
        provider: str,
        *,
        task_id: str,
        target: str,
        asked: str = "",
        most: int = MOST_REMEMBERED,
    ) -> None:
        self._keys = at = keys(provider)
        self._redis, self._most = redis, most
        self._id = task_id if target else ""
        self._here = at.importing(f"{task_id} {target} {asked}")
        self._rows = f"{self._here}:rows"
        self._target, self._delivered = at.imported(target), f"{at.imported(target)}:rows"
        self._held = f"{at.imported(target)}:by"

    def known(self, key: str = "") -> Checkpoint | None:
        """How far it is, or the one of that *key*; None when it has not begun."""
        with _reached():
            pairs = self._redis.hgetall(key or self._here)
        return Checkpoint.read(pairs) if b"folder" in pairs else None

    def standing(self) -> Standing:
        """How the sink stands."""
        if not self._id:
            return Standing()
        with _reached():
            return Standing.read(self._redis.hgetall(self._target))

    def free(self) -> None:
        """Nothing; CallInFlight when another import goes on from the same watermark just now."""
        with _reached():
            holder = self._holder()
            if holder not in {"", self._id} and not self._gone(holder):
                raise self._waiting()

    def enter(self, plan: Checkpoint) -> Checkpoint | None:
        """Take the import over, as it stands or as *plan* has it; None when another has ended behind it.

        Raises:
            CallInFlight: Another import goes on from the same watermark just now, or has just ended.
        """
        names = [self._here, self._target, self._held]
        with _reached():
            holder = self._holder()
            args = [KEPT, self._id, HELD, holder if self._gone(holder) else "", *plan.fields(PLANNED)]
            found = _script("import_enter")(self._redis, names, args)
            if found == b"held":
                raise self._waiting()
        if found == b"over":
            return None
        return Checkpoint.read(dict(zip(found[::2], found[1::2], strict=True)))

    def _holder(self) -> str:
        """Which import goes on from the watermark just now; "" for none."""
        found = self._redis.get(self._held) if self._id else None
        return found.decode() if isinstance(found, bytes) else ""

    def _gone(self, holder: str) -> bool:
        """Whether the call of that id has ended, and so will not go on with its import."""
        if not holder or holder.startswith(INLINE):
            return False
        return self._redis.hget(self._keys.call(holder), "state") in (None, b"ended")

    def _waiting(self) -> CallInFlight:
        with self._redis.pipeline() as several:
            several.hincrby(self._here, "waits", 1)
            several.pexpire(self._here, KEPT)
            waits, _ = several.execute()
        wait = min(PAUSE * 2.0 ** min(waits - 1, 10), LONGEST_PAUSE)
        return CallInFlight("another import of this data set writes there just now", wait=wait)

    def unseen(self, rows: Sequence[Row]) -> list[Row]:
        """Those of *rows* that no earlier import into this sink has delivered."""
        if not rows or not self._id:
            return list(rows)
        with _reached():
            told = self._redis.execute_command("ZMSCORE", self._delivered, *map(digest, rows))
        return [row for row, seen in zip(rows, told, strict=True) if seen is None]

    def commit(self, then: Checkpoint, rows: Sequence[Row] = (), chunk: Chunk | None = None) -> Checkpoint:
        """The import as *then* has it, after a page of *rows*, whose file, if it made one, is safe.

        Raises:
            DuplicateDelivery: Another run has taken over.
        """
        fields = then.fields(MOVING)
        if chunk is not None:
            fields += [f"chunk:{len(then.chunks)}", json.dumps([chunk.name, chunk.rows])]
        recent = [row for row in rows if changed_at(row) >= then.recall] if self._id else []
        flat = [part for row in recent for part in (_score(changed_at(row)), digest(row))]
        args = [then.run, KEPT, self._id, HELD, self._most, _score(then.floor), len(fields), *fields, *flat]
        with _reached():
            forgotten = _script("import_commit")(self._redis, [self._here, self._rows, self._held], args)
        if forgotten is None:
            raise DuplicateDelivery
        return replace(then, forgotten=int(forgotten), chunks=(*then.chunks, chunk) if chunk else then.chunks)

    def end(self, at: Checkpoint) -> Checkpoint:
        """The import, ended, so that it counts; as it was when another has ended behind it.

        Raises:
            DuplicateDelivery: Another run has taken over.
        """
        recall = _score(max(at.recall, self.standing().recall))
        names = [self._here, self._rows, self._target, self._delivered, self._held]
        args = [at.run, self._id, at.until, recall, _score(at.floor), self._most]
        with _reached():
            if self._id:
                self._carry(at, recall)
            told = _script("import_end")(self._redis, names, args)
        if told is None:
            raise DuplicateDelivery
        return replace(at, ended=told != b"over")

    def _carry(self, at: Checkpoint, recall: str) -> None:
        """Have the rows known that earlier imports delivered, beside its own."""
        names, more, carried = [self._here, self._rows, self._delivered], 1, 0
        while more:
            args = [at.run, KEPT, self._most, recall, carried, PORTION]
            more, carried = _script("import_carry")(self._redis, names, args), carried + PORTION

    def settle(self, key: str = "") -> None:
        """Nobody needs to write its manifest any more, or that of the one of that *key*."""
        with _reached():
            _script("import_settle")(self._redis, [key or self._here, self._target], [KEPT])


def _score(moment: str) -> str:
    return str(milliseconds(moment)) if moment else "-inf"


@contextmanager
def _reached() -> Iterator[None]:
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as gone:
        raise StateUnavailable from gone


def _script(name: str) -> Script:
    """The script of that name; a producer that never imports loads no Redis client for it."""
    from worker.scripts import script

    return script(name)
