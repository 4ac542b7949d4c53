"""SoQL's functions over many rows: ``count(*)``, ``count(x)``, ``min``, ``max``, ``sum``, ``avg``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.sandbox.soda import errors
from tests.sandbox.soda.errors import Clause
from tests.sandbox.soda.expressions import Row, compiled
from tests.sandbox.soda.nodes import Call, Star
from tests.sandbox.soda.values import Kind

__all__ = ["AGGREGATES", "aggregate"]

AGGREGATES: dict[str, Callable[[list[Any]], Any]] = {
    "count": lambda values: Decimal(len(values)),
    "min": lambda values: min(values, default=None),
    "max": lambda values: max(values, default=None),
    "sum": lambda values: sum(values, Decimal(0)) if values else None,
    "avg": lambda values: sum(values, Decimal(0)) / len(values) if values else None,
}


def aggregate(
    node: Call, clause: Clause, columns: Mapping[str, Kind]
) -> tuple[Kind | None, Callable[[Sequence[Row]], Any]]:
    """The kind of *node*'s value, and the function that makes it of a group's rows."""
    if len(node.args) != 1:
        raise errors.no_such_function(f"{node.name}/{len(node.args)}", clause, node.at)
    if isinstance(node.args[0], Star):
        if node.name != "count":
            raise errors.malformed("unexpected '*'", clause, node.args[0].at)
        return "number", lambda rows: Decimal(len(rows))
    inner = compiled(node.args[0], clause, columns)
    if node.name in {"sum", "avg"} and inner.kind != "number":
        raise errors.mismatch(node.name, inner.kind or "null", clause, node.at)
    over = AGGREGATES[node.name]

    def values(rows: Sequence[Row]) -> Any:
        return over([value for row in rows if (value := inner.of(row)) is not None])

    return ("number" if node.name == "count" else inner.kind), values
