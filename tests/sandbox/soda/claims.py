"""Which rows are about which tax lot, by looking at every row.

What fetched answers are held against: written from the datasets' columns
alone, without a query and without anything that Narrows does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["bbls_in"]

_BOROUGHS = {"MANHATTAN": 1, "BRONX": 2, "BROOKLYN": 3, "QUEENS": 4, "STATEN ISLAND": 5}

Row = Mapping[str, Any]


def bbls_in(rows: Mapping[str, Iterable[Row]]) -> dict[str, dict[str, list[Row]]]:
    """For each BBL that any row names, the rows that name it by dataset, in the order given.

    A row names a lot by its ``bbl`` or by borough, block and lot; rows without either,
    test records and numbers that no lot can have are nobody's.
    """
    found: dict[str, dict[str, list[Row]]] = {}
    for dataset, each in rows.items():
        for row in each:
            for bbl in sorted(_named_by(row)):
                found.setdefault(bbl, {}).setdefault(dataset, []).append(row)
    return found


def _named_by(row: Row) -> set[str]:
    named = set()
    whole = str(row.get("bbl") or "").partition(".")[0]
    if len(whole) == 10 and whole.isdigit() and whole[0] in "12345":
        named.add(whole)
    borough = _borough(row)
    block, lot = (str(row.get(part) or "").strip() for part in ("block", "lot"))
    if borough and block.isdigit() and lot.isdigit() and 0 < int(block) <= 99999 and 0 < int(lot) <= 9999:
        named.add(f"{borough}{int(block):05d}{int(lot):04d}")
    return named


def _borough(row: Row) -> int:
    for column in ("boroid", "boro", "borough"):
        value = str(row.get(column) or "").strip().upper()
        if value in {"1", "2", "3", "4", "5"}:
            return int(value)
        if value in _BOROUGHS:
            return _BOROUGHS[value]
    return 0
