"""The questions of an import, and what their answers hold.

Docs     https://dev.socrata.com/docs/system-fields.html  https://dev.socrata.com/docs/paging.html
Quirks   a full replacement gives every row a new ``:updated_at``; a row without values is ``{}`` beside its
         system fields; counts are text; ``:id`` may be compared and ordered, in an order of the server's own
         (soql-reference, SoQLTypeClasses)
Read on  2026-11-21
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tasks import soql
from tasks.arguments.moments import moment, read_moment
from worker.errors import ResponseUnreadable
from worker.request import Answer, Request

__all__ = [
    "TRUTH",
    "Count",
    "Row",
    "changed_at",
    "columns_of",
    "count",
    "counted",
    "digest",
    "known_until",
    "page",
    "rows_of",
]

TRUTH, REPLICA = "x-soda2-truth-last-modified", "x-soda2-secondary-last-modified"
FIELDS = "x-soda2-fields"

ID, CHANGED, VERSION = ":id", ":updated_at", ":version"
DIGITS = 16
WIDTH = len("2026-01-31T08:30:00.000Z")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many rows there are, and when the newest of them changed; "" when there are none."""

    total: int
    newest: str


def count(dataset: str, since: str) -> Request:
    """Asks for the :class:`Count` of the rows that changed at *since* or later; "" is all."""
    select = {"$select": f"count(*) as total,max({CHANGED}) as newest"}
    where = {"$where": _changed(since)} if since else {}
    return Request(path=_path(dataset), params={**select, **where}, label="import_count", kept=False)


def page(dataset: str, since: str, after: str, *, limit: int) -> Request:
    """Asks for the next *limit* rows behind the one whose ``:id`` is *after*."""
    where = soql.all_of(_changed(since), f"{ID} > {soql.text(after)}" if after else "")
    params = {"$select": ":*,*", "$order": ID, "$limit": str(limit), **({"$where": where} if where else {})}
    return Request(path=_path(dataset), params=params, label="import_page", kept=False)


def counted(answer: Answer) -> Count:
    """What *answer* says to :func:`count`.

    Raises:
        ResponseUnreadable: It says something else.
    """
    row = answer.data[0] if isinstance(answer.data, list) and len(answer.data) == 1 else None
    said = row if isinstance(row, dict) else {}
    total, newest = str(said.get("total")), read_moment(said.get("newest"))
    if not (total.isascii() and total.isdigit() and len(total) < DIGITS):
        raise ResponseUnreadable("the answer is no count of rows", status=answer.status)
    if newest is None and int(total):
        raise ResponseUnreadable("the answer does not say when the rows changed", status=answer.status)
    return Count(total=int(total), newest=newest or "")


def rows_of(answer: Answer, *, after: str) -> list[Row]:
    """The rows in *answer*, each with its ``:id``.

    Raises:
        ResponseUnreadable: They are no rows, or no later ones than the page before.
    """
    rows = answer.data
    if not isinstance(rows, list) or not all(isinstance(row, dict) and _named(row) for row in rows):
        raise ResponseUnreadable("the answer is not a list of records with ids", status=answer.status)
    if after and any(row[ID] == after for row in rows):
        raise ResponseUnreadable("the page is not behind the one before", status=answer.status)
    return rows


def known_until(answer: Answer) -> str:
    """Up to when the replica that answered knows what changed; "" when it does not say."""
    from email.utils import parsedate_to_datetime

    try:
        return moment(parsedate_to_datetime(answer.headers.get(REPLICA, "")))
    except (ValueError, TypeError, IndexError, OverflowError):  # as :mod:`email` has it for what is no date
        return ""


def columns_of(answer: Answer) -> set[str]:
    """The columns that *answer* may have values in, also where all of them are null."""
    try:
        said = json.loads(answer.headers.get(FIELDS, ""))
    except (ValueError, RecursionError):
        said = None
    named = [name for name in said if isinstance(name, str)] if isinstance(said, list) else []
    columns = {*named, *(name for row in answer.data for name in row)}
    return {name.encode(errors="replace").decode() for name in columns}


def changed_at(row: Row) -> str:
    """When *row* changed, as :func:`tasks.arguments.moments.moment` writes it; "" when it does not say."""
    said = row.get(CHANGED)
    if isinstance(said, str) and len(said) == WIDTH and said[-1] == "Z":
        return said
    return read_moment(said) or ""


def digest(row: Row) -> bytes:
    """Twelve bytes that stand for this version of *row*."""
    version = row.get(VERSION) or row.get(CHANGED) or ""
    return blake2b(f"{row[ID]}\0{version}".encode(errors="replace"), digest_size=12).digest()


def _named(row: Row) -> bool:
    return isinstance(row.get(ID), str) and row[ID] != ""


def _changed(since: str) -> str:
    return f"{CHANGED} >= {soql.text(since)}" if since else ""


def _path(dataset: str) -> str:
    return f"/resource/{dataset}.json"
