"""An import's files: JSON lines or Parquet, each whole when it is there, and the manifest that names them.

JSON lines hold the rows as the API gave them, one on each line. In Parquet every column is text, as the API
writes all but a few anyway; what is neither text nor null stands there as JSON. Each file has all columns
that the API named or gave so far, also those that are null in all its rows: a folder reads as one table.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from worker.errors import ConfigurationError, SinkFailed
from worker.storage import StorageFailed

if TYPE_CHECKING:
    from tasks.importing.pages import Row
    from worker.storage import Storage

__all__ = ["Files"]


class Files:
    """Where an import's files go.

    Args:
        storage: The place that NARROWS_IMPORT_TO names.
        sink: The folder below it.
        kind: ``jsonl`` or ``parquet``.
        has: What finds a library here, or None.
    """

    def __init__(
        self, storage: Storage, sink: str, *, kind: str, has: Callable[[str], object] = find_spec
    ) -> None:
        self._storage, self._sink, self.kind, self._has = storage, sink, kind, has

    def ready(self) -> None:
        """Nothing; ConfigurationError when this worker cannot write such files."""
        if self.kind == "parquet" and self._has("pyarrow") is None:
            raise ConfigurationError("Parquet needs pyarrow on the workers: install narrows[parquet]")

    def place(self, folder: str) -> str:
        """Where *folder* is, as an address."""
        return f"{self._storage.place}/{self._sink}/{folder}"

    def keep(self, folder: str, number: int, rows: Sequence[Row], columns: Sequence[str] = ()) -> str:
        """The name of the file that holds *rows*, once it was read back whole; Parquet has all *columns*.

        The same rows again are the same file; other rows in their place never write over it.

        Raises:
            SinkFailed: Nobody knows whether it is there.
        """
        content = _parquet(rows, columns) if self.kind == "parquet" else _lines(rows)
        name = f"part-{number:06}-{_print(rows)}.{self.kind}"
        self._keep(f"{folder}/{name}", content)
        return name

    def seal(self, folder: str, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, by which the import counts."""
        self._keep(
            f"{folder}/manifest.json", json.dumps(manifest, indent=2, ensure_ascii=False).encode() + b"\n"
        )

    def _keep(self, name: str, content: bytes) -> None:
        try:
            self._storage.keep(f"{self._sink}/{name}", content)
        except StorageFailed as why:
            raise SinkFailed(str(why)) from None


def _lines(rows: Sequence[Row]) -> bytes:
    return b"".join(_json(row).encode("utf-8", errors="replace") + b"\n" for row in rows)


def _parquet(rows: Sequence[Row], columns: Sequence[str]) -> bytes:
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    names = sorted({*columns, *(name for row in rows for name in row)})
    arrays = {_text(name): pa.array([_text(row.get(name)) for row in rows], pa.string()) for name in names}
    into = io.BytesIO()
    parquet.write_table(pa.table(arrays), into, compression="zstd")
    return into.getvalue()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return (value if isinstance(value, str) else _json(value)).encode(errors="replace").decode()


def _print(rows: Sequence[Row]) -> str:
    """Eight digits of what the rows are, whatever they are written as."""
    return hashlib.sha256(_lines(rows)).hexdigest()[:8]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
