"""A dataset's rows, read once: typed for queries, written for answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from tests.sandbox.soda.datasets import Dataset
from tests.sandbox.soda.expressions import Row
from tests.sandbox.soda.values import Kind, read, written

__all__ = ["SYSTEM_COLUMNS", "Table"]

SYSTEM_COLUMNS: dict[str, Kind] = {
    ":id": "text",
    ":version": "text",
    ":created_at": "fixed_timestamp",
    ":updated_at": "fixed_timestamp",
}


class Table:
    """Rows of one dataset.

    Attributes:
        rows: Typed values by column; a null is absent.
        columns: Kinds by column, the system's own included.
        version: Changes with the rows.
    """

    def __init__(self, dataset: Dataset, rows: Iterable[Mapping[str, Any]], *, modified: str) -> None:
        self.dataset = dataset
        self.columns: dict[str, Kind] = {**dataset.columns, **SYSTEM_COLUMNS}
        self.rows: list[Row] = []
        self._texts: dict[int, str] = {}
        digest = hashlib.sha256(dataset.id.encode())
        for number, raw in enumerate(rows):
            row = self._typed(raw, number, modified)
            digest.update(repr(row).encode())
            self.rows.append(row)
        self.version = digest.hexdigest()[:16]

    def text(self, row: Row) -> str:
        """*row* as JSON, without system columns; made once."""
        key = id(row)
        if (known := self._texts.get(key)) is None:
            shown = {name: written(value) for name, value in row.items() if not name.startswith(":")}
            known = self._texts[key] = json.dumps(shown, ensure_ascii=False, separators=(",", ":"))
        return known

    def _typed(self, raw: Mapping[str, Any], number: int, modified: str) -> Row:
        if unknown := sorted(set(raw) - set(self.columns)):
            raise ValueError(f"{self.dataset.id} has no columns {', '.join(unknown)}")
        code = hashlib.sha256(f"{self.dataset.id}{number}".encode()).hexdigest()
        system = {
            ":id": f"row-{code[:4]}.{code[4:8]}~{number:06d}",
            ":version": f"rv-{code[8:12]}.{code[12:16]}",
            ":created_at": modified,
            ":updated_at": modified,
        }
        return {
            name: value
            for name, kind in self.columns.items()
            if (value := read(raw.get(name, system.get(name)), kind)) is not None
        }
