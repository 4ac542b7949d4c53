"""Values in nested JSON by dotted paths (``contact.phone``, ``0.token``), read and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["mapped", "placed", "value_at"]


def value_at(document: Any, path: str) -> Any:
    """What lies at *path*; None when nothing does, and the document itself for no path."""
    for part in path.split(".") if path else ():
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def placed(document: Mapping[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of *document* that holds *value* at *path*."""
    first, _, rest = path.partition(".")
    inner = document.get(first)
    held = placed(inner if isinstance(inner, Mapping) else {}, rest, value) if rest else value
    return {**document, first: held}


def mapped(document: Mapping[str, Any], field_map: Mapping[str, str]) -> dict[str, Any]:
    """A new document with each of our fields under the name that it has there; absent ones stay absent."""
    made: dict[str, Any] = {}
    for ours, theirs in field_map.items():
        value = value_at(document, ours)
        if value is not None:
            made = placed(made, theirs, value)
    return made
