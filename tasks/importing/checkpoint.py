"""How far an import is, and how the sink stands that it goes to: what Redis remembers of either."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tasks.arguments.moments import of_milliseconds

__all__ = ["MOVING", "PLANNED", "Checkpoint", "Chunk", "Standing"]

_TEXTS = (
    "mark",
    "since",
    "recall",
    "newest",
    "floor",
    "folder",
    "kind",
    "after",
    "truth_first",
    "truth_last",
)
_NUMBERS = ("base", "total", "limit", "skipped", "forgotten", "run")
_FLAGS = ("complete", "ended", "settled")

PLANNED = (
    *("base", "mark", "since", "recall", "newest", "floor"),
    *("total", "limit", "folder", "kind", "truth_first", "truth_last"),
)
MOVING = ("newest", "floor", "limit", "after", "complete", "skipped", "truth_last", "columns")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One file of an import."""

    name: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """How far an import is.

    Attributes:
        base: How many imports into the sink had ended when it began; another one since, and it is over.
        mark: The sink's watermark then.
        since: Rows are asked for that changed then or later; "" is all.
        recall: Rows that changed then or later are remembered; "" is all.
        newest: Up to when it has seen everything; "" when there was no row.
        floor: No later import goes further back than there, unless it is told to.
        total: Rows when it began.
        limit: Rows of a page; fewer than at first when so many were more than an answer may hold.
        folder: Where its files are, below the sink.
        kind: What they are.
        truth_first: When the data set had last changed, as the first answer said; *truth_last*: as the last.
        after: The ``:id`` of the last row that was seen.
        complete: All pages were seen.
        skipped: Rows that an earlier import had delivered.
        forgotten: Rows behind the floor beyond what is remembered.
        columns: Those that were met so far.
        ended: It counts, and the watermark has moved.
        settled: Its manifest is written, and whoever else keeps the watermark was told.
        run: Whose word counts.
    """

    base: int = 0
    mark: str = ""
    since: str = ""
    recall: str = ""
    newest: str = ""
    floor: str = ""
    total: int = 0
    limit: int = 0
    folder: str = ""
    kind: str = ""
    truth_first: str = ""
    truth_last: str = ""
    after: str = ""
    complete: bool = False
    skipped: int = 0
    forgotten: int = 0
    columns: tuple[str, ...] = ()
    ended: bool = False
    settled: bool = False
    run: int = 0
    chunks: tuple[Chunk, ...] = field(default=())

    @property
    def rows(self) -> int:
        """Rows delivered."""
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def until(self) -> str:
        """Where the next import goes on: no earlier than this one did, whatever was deleted meanwhile."""
        return max(self.mark, self.newest)

    def fields(self, names: tuple[str, ...]) -> list[Any]:
        """Those of *names*, each with its value as a hash has it."""
        found = {name: getattr(self, name) for name in names}
        found |= {name: int(found[name]) for name in _FLAGS if name in found}
        if "columns" in found:
            found["columns"] = json.dumps(self.columns)
        return [part for pair in found.items() for part in pair]

    @classmethod
    def read(cls, pairs: Mapping[Any, Any]) -> Checkpoint:
        """The checkpoint in a hash."""
        found = {name.decode(): value.decode() for name, value in pairs.items()}
        numbered = sorted((int(name[6:]), name) for name in found if name.startswith("chunk:"))
        named = [json.loads(found[name]) for _, name in numbered]
        read: dict[str, Any] = {name: found[name] for name in (*_TEXTS, *_NUMBERS, *_FLAGS) if name in found}
        read |= {name: int(read[name]) for name in _NUMBERS if name in read}
        read |= {name: read[name] == "1" for name in _FLAGS if name in read}
        columns = tuple(json.loads(found.get("columns", "[]")))
        return cls(**read, columns=columns, chunks=tuple(Chunk(name=name, rows=rows) for name, rows in named))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the imports into a sink came to, one after the other.

    Attributes:
        ends: How many have ended.
        mark: Where the next one goes on; "" when none has.
        recall: Delivered rows that changed then or later are remembered; "" is all.
        owed: The key of one that counts, and whose manifest nobody has seen written yet; "" for none.
    """

    ends: int = 0
    mark: str = ""
    recall: str = ""
    owed: str = ""

    @classmethod
    def read(cls, pairs: Mapping[Any, Any]) -> Standing:
        """The standing in a hash."""
        found: dict[str, Any] = {name.decode(): value.decode() for name, value in pairs.items()}
        if "recall" in found:
            found["recall"] = "" if found["recall"] == "-inf" else of_milliseconds(int(found["recall"]))
        return cls(**{**found, "ends": int(found.get("ends", 0))})
