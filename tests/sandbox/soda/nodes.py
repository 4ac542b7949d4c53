"""The tree that SoQL's text becomes; ``at`` is where in the text a node stood."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

__all__ = ["Call", "Column", "Literal", "Node", "Ordering", "Selection", "Star"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column by its name."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the text."""

    value: str | Decimal | bool | None
    at: int


@dataclass(frozen=True, slots=True)
class Call:
    """A function or an operator: ``upper``, ``and``, ``=``, ``in``, ``is null``, ``::number``, ..."""

    name: str
    args: tuple[Node, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Star:
    """All columns; the system's own when ``name`` is ``:*``."""

    name: str
    at: int


Node = Column | Literal | Call | Star


@dataclass(frozen=True, slots=True)
class Selection:
    """One item of ``$select``."""

    node: Node
    alias: str | None


@dataclass(frozen=True, slots=True)
class Ordering:
    """One item of ``$order``."""

    node: Node
    descending: bool
