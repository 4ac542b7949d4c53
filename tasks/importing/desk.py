"""What Redis knows of an import: how far it is, and which rows of the overlap were delivered.

Each run that enters gets a number, and only the latest may write: a worker that stood still while another
took its task over finds so at its next word, and is dropped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tasks.importing.pages import Row, changed_at, digest
from worker.errors import CallInFlight, DuplicateDelivery, StateUnavailable
from worker.keys import keys

if TYPE_CHECKING:
    from redis import Redis

    from worker.scripts import Script

__all__ = ["MOST_REMEMBERED", "Checkpoint", "Chunk", "Desk"]

MOST_REMEMBERED = 200_000
"""Rows of the overlap that are known again, of each data set and sink: about 12 MB of Redis."""

KEPT = 30 * 86_400_000
"""Milliseconds after its last word that an import is known."""

HELD, HELD_PAUSE = 600_000, 5.0
"""Milliseconds after its last word that it keeps others from going on in its place, and the seconds after
which those ask again. A page and its file take a fraction of that; a retry may take some minutes."""

_TEXTS = ("base", "since", "recall", "newest", "folder", "after")
_NUMBERS = ("total", "skipped", "forgotten", "run")
_FLAGS = ("complete", "ended")
_PLANNED = ("base", "since", "recall", "newest", "total", "folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One file of an import."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far an import is.

    Attributes:
        base: The sink's watermark when it began.
        since: Rows are asked for that changed then or later; "" is all.
        recall: Nothing before it can have been delivered: rows from here on are remembered; "" is none.
        newest: Where the next import goes on; "" when there was no row.
        total: Rows when it began.
        folder: Where its files are, below the sink.
        after: The ``:id`` of the last row that was seen.
        complete: All pages were seen.
        skipped: Rows that an earlier import had delivered.
        forgotten: Rows of the overlap beyond what is remembered.
        ended: The manifest is written, and the watermark moved.
        run: Whose word counts.
    """

    base: str = ""
    since: str = ""
    recall: str = ""
    newest: str = ""
    total: int = 0
    folder: str = ""
    after: str = ""
    complete: bool = False
    skipped: int = 0
    forgotten: int = 0
    ended: bool = False
    run: int = 0
    chunks: tuple[Chunk, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Rows delivered."""
        return sum(chunk.rows for chunk in self.chunks)

    @classmethod
    def read(cls, pairs: Mapping[Any, Any]) -> Checkpoint:
        """The checkpoint in a hash."""
        found = {name.decode(): value.decode() for name, value in pairs.items()}
        numbered = sorted((int(name[6:]), name) for name in found if name.startswith("chunk:"))
        named = [json.loads(found[name]) for _, name in numbered]
        read: dict[str, Any] = {name: found[name] for name in (*_TEXTS, *_NUMBERS, *_FLAGS) if name in found}
        read |= {name: int(read[name]) for name in _NUMBERS if name in read}
        read |= {name: read[name] == "1" for name in _FLAGS if name in read}
        return cls(**read, chunks=tuple(Chunk(name=name, rows=rows) for name, rows in named))


class Desk:
    """Redis's word on one import.

    Args:
        redis: The state Redis.
        provider: Whose data it is.
        task_id: The import.
        target: Data set and sink: what several imports go on with, one after the other; "" for one that
            stands for itself.
        most: Rows that are remembered.
    """

    def __init__(
        self, redis: Redis, provider: str, *, task_id: str, target: str, most: int = MOST_REMEMBERED
    ) -> None:
        at = keys(provider)
        self._redis, self._most = redis, most
        self._id = task_id if target else ""
        self._here, self._pending = at.importing(task_id), f"{at.importing(task_id)}:rows"
        self._mark, self._delivered = at.imported(target), f"{at.imported(target)}:rows"
        self._held = f"{at.imported(target)}:by"

    def known(self) -> Checkpoint | None:
        """How far it is; None when it has not begun."""
        with _reached():
            pairs = self._redis.hgetall(self._here)
        return Checkpoint.read(pairs) if pairs else None

    def watermark(self) -> str:
        """Where the last import into the same sink ended; "" when there was none."""
        with _reached():
            found = self._redis.get(self._mark)
        return found.decode() if isinstance(found, bytes) else ""

    def enter(self, plan: Checkpoint) -> Checkpoint | None:
        """Take the import over, as it stands or as *plan* has it; None when another has ended behind it.

        Raises:
            CallInFlight: Another import goes on from the same watermark just now.
        """
        flat = [part for name in _PLANNED for part in (name, getattr(plan, name))]
        names = [self._here, self._mark, self._held]
        with _reached():
            found = _script("import_enter")(self._redis, names, [KEPT, self._id, HELD, *flat])
        if found == b"held":
            raise CallInFlight("another import of this data set writes there just now", wait=HELD_PAUSE)
        return None if found == b"over" else _checkpoint(found)

    def unseen(self, rows: Sequence[Row]) -> list[Row]:
        """Those of *rows* that no earlier import into this sink has delivered."""
        if not rows or not self._id:
            return list(rows)
        with _reached():
            told = self._redis.execute_command("SMISMEMBER", self._delivered, *map(digest, rows))
        return [row for row, seen in zip(rows, told, strict=True) if not seen]

    def commit(
        self, at: Checkpoint, rows: Sequence[Row], chunk: Chunk | None, *, skipped: int, complete: bool
    ) -> Checkpoint:
        """The import after a page of *rows*, whose file, if it made one, is safe.

        Raises:
            DuplicateDelivery: Another run has taken over.
        """
        after = rows[-1][":id"] if rows else at.after
        fields: dict[str, Any] = {"after": after, "complete": int(complete)}
        if chunk is not None:
            fields[f"chunk:{len(at.chunks)}"] = json.dumps([chunk.name, chunk.rows])
        recent = [digest(row) for row in rows if changed_at(row) >= at.recall] if at.recall else []
        flat = [part for pair in fields.items() for part in pair]
        args = [at.run, KEPT, self._id, HELD, self._most, skipped, len(flat), *flat, *recent]
        with _reached():
            forgotten = _script("import_commit")(self._redis, [self._here, self._pending, self._held], args)
        if forgotten is None:
            raise DuplicateDelivery
        return replace(
            at,
            after=after,
            complete=complete,
            skipped=at.skipped + skipped,
            forgotten=int(forgotten),
            chunks=(*at.chunks, chunk) if chunk else at.chunks,
        )

    def end(self, at: Checkpoint) -> None:
        """Call it ended; the next one into this sink begins where it did.

        Raises:
            DuplicateDelivery: Another run has taken over.
        """
        names = [self._here, self._pending, self._mark, self._delivered, self._held]
        args = [at.run, self._id, at.newest if self._id else ""]
        with _reached():
            if not _script("import_end")(self._redis, names, args):
                raise DuplicateDelivery


def _checkpoint(flat: Sequence[bytes]) -> Checkpoint:
    return Checkpoint.read(dict(zip(flat[::2], flat[1::2], strict=True)))


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
