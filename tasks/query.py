"""A query for the records of some lots, read page by page and split by lot.

One query asks for as many lots as a URL holds, so that a hundred lots cost two requests for each
data set and page and not a hundred. What comes back is given to its lot by the row's own columns:
a row that is of no lot asked for is dropped.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from tasks import soql
from tasks.arguments.bbl import BBL
from tasks.datasets import Dataset
from worker.errors import ResponseUnreadable
from worker.operation import Steps
from worker.request import Answer, Request

__all__ = ["MOST", "Found", "Query", "Row", "is_rows", "read"]

MOST = 50_000
"""Records of one query. Beyond it the offset is slow, and the result too large for its reader."""

CROWD = 400
"""Lots of which no URL holds more, in the shortest way that they are asked for."""

VERSION = "x-soda2-truth-last-modified"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which records: of these lots, in this data set, where *window* holds."""

    dataset: Dataset
    bbls: tuple[BBL, ...]
    window: str = ""

    def request(self, *, limit: int, offset: int = 0, fresh: bool = False) -> Request:
        """The request for the page of *limit* rows that starts at *offset*."""
        where = soql.all_of(self.dataset.where(self.bbls), self.window)
        page = soql.params(where, order=self.dataset.key, limit=limit, offset=offset)
        return Request(path=self.dataset.path, params=page, label=self.dataset.name, fresh=fresh)

    @property
    def length(self) -> int:
        """Bytes of its longest URL, the one with the last offset."""
        last = self.request(limit=soql.PAGE, offset=MOST)
        return soql.url_length(last.path, last.params)

    def fitting(self) -> list[Query]:
        """This query in parts that fit a URL each; neighbours stay together and share their block."""
        lots, parts = sorted(self.bbls), list[Query]()
        while lots:
            fits = self._how_many_fit(lots[:CROWD])
            parts.append(self._of(lots[:fits]))
            lots = lots[fits:]
        return parts

    def _how_many_fit(self, lots: list[BBL]) -> int:
        """How many of *lots*, from the first, one URL holds; it grows with each, so halving finds it."""
        more = bisect_right(range(2, len(lots) + 1), soql.LONGEST, key=lambda n: self._of(lots[:n]).length)
        return 1 + more

    def _of(self, lots: list[BBL]) -> Query:
        return replace(self, bbls=tuple(lots))


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a query brought: each lot's rows, and the answers that they stood in."""

    rows: dict[BBL, list[Row]]
    answers: list[Answer]

    @property
    def source(self) -> dict[str, Any]:
        """Where the oldest part came from, and its age in seconds."""
        oldest = max(self.answers, key=lambda answer: (_OLDER.index(answer.source), answer.age))
        return {"from": oldest.source, "age": max(answer.age for answer in self.answers)}

    @property
    def torn(self) -> bool:
        """Whether the data changed between two pages, so that rows may be missing or doubled."""
        return len({answer.headers.get(VERSION) for answer in self.answers} - {None}) > 1


_OLDER = ("live", "cache", "stale")


def read(query: Query, *, limit: int | None = None, fresh: bool = False) -> Steps[Found]:
    """The query's rows by lot, page after page until a short one or *limit* rows.

    Pages of different versions of the data set are read once more, anew.

    Raises:
        ResponseUnreadable: an answer is no list of rows, or there is no end to them.
    """
    found = yield from _pages(query, limit, fresh=fresh)
    if found.torn:
        found = yield from _pages(query, limit, fresh=True)
    return found


def _pages(query: Query, limit: int | None, *, fresh: bool) -> Steps[Found]:
    size = min(limit or soql.PAGE, soql.PAGE)
    found = Found(rows={bbl: [] for bbl in query.bbls}, answers=[])
    for offset in range(0, MOST + 1, size):
        answer = yield query.request(limit=size, offset=offset, fresh=fresh)
        found.answers.append(answer)
        page = _rows(answer)
        for row in page:
            if (owner := query.dataset.owner(row)) in found.rows:
                found.rows[owner].append(row)
        kept = sum(map(len, found.rows.values()))
        if len(page) < size or (limit is not None and kept >= limit):
            return found
    raise ResponseUnreadable(f"{query.dataset.name}: more than {MOST} records for one query")


def is_rows(data: Any) -> TypeGuard[list[Row]]:
    """Whether an answer's body is a list of records."""
    return isinstance(data, list) and all(isinstance(row, dict) for row in data)


def _rows(answer: Answer) -> list[Row]:
    if not is_rows(answer.data):
        raise ResponseUnreadable("the answer is not a list of records", status=answer.status)
    return answer.data
