"""A second opinion on conditions: SQLite reads the part of SoQL that we write in the same way."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["columns_named", "rows_where"]


def rows_where(
    rows: Sequence[Mapping[str, Any]], columns: Iterable[str], where: str
) -> list[Mapping[str, Any]]:
    """Those of *rows* for which *where* is true; an absent column is null."""
    names = sorted(columns)
    quoted = ", ".join(f'"{name}"' for name in names)
    with sqlite3.connect(":memory:") as table:
        table.execute(f"CREATE TABLE rows ({quoted})")
        marks = ", ".join("?" * len(names))
        values = [[_plain(row.get(name)) for name in names] for row in rows]
        table.executemany(f"INSERT INTO rows VALUES ({marks})", values)  # noqa: S608 - our own names
        found = table.execute(f"SELECT rowid FROM rows WHERE {where} ORDER BY rowid").fetchall()  # noqa: S608
    table.close()
    return [rows[number - 1] for (number,) in found]


def columns_named(where: str) -> set[str]:
    """Every column that *where* names."""
    words = re.findall(r"[a-z_][a-z0-9_]*", re.sub(r"'(?:[^']|'')*'", "", where))
    return set(words) - {"in", "like"}


def _plain(value: Any) -> str | None:
    return None if value is None else str(value)
