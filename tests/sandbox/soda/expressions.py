"""SoQL's expressions as functions from a row to a value.

Types are checked before any row is read, as Socrata does: a string literal
takes the type it is compared with, a column never does. Null is unknown: a
comparison with it is neither true nor false, and only true selects a row.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, get_args

from tests.sandbox.soda import errors
from tests.sandbox.soda.errors import CastFailed, Clause
from tests.sandbox.soda.nodes import Call, Column, Literal, Node, Star
from tests.sandbox.soda.values import Kind, read, written

__all__ = ["Expression", "Row", "compiled", "equality"]

Row = Mapping[str, Any]
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)} | {"boolean": "checkbox"}


@dataclass(frozen=True, slots=True)
class Expression:
    """A value for each row. ``kind`` is None for null; ``literal`` may still change its kind."""

    kind: Kind | None
    of: Callable[[Row], Any]
    literal: bool = False


_Function = Callable[..., Any]
_STAMP: tuple[Kind, ...] = ("floating_timestamp",)
_FUNCTIONS: dict[str, tuple[tuple[Kind, ...], Kind, _Function]] = {
    "upper": (("text",), "text", str.upper),
    "lower": (("text",), "text", str.lower),
    "length": (("text",), "number", lambda text: Decimal(len(text))),
    "starts_with": (("text", "text"), "checkbox", str.startswith),
    "contains": (("text", "text"), "checkbox", lambda text, part: part in text),
    "like": (("text", "text"), "checkbox", lambda text, pattern: _like(pattern)(text) is not None),
    "||": (("text", "text"), "text", operator.add),
    "-": (("number",), "number", operator.neg),
    "date_trunc_y": (_STAMP, "floating_timestamp", lambda at: at[:4] + "-01-01T00:00:00.000"),
    "date_trunc_ym": (_STAMP, "floating_timestamp", lambda at: at[:7] + "-01T00:00:00.000"),
    "date_trunc_ymd": (_STAMP, "floating_timestamp", lambda at: at[:10] + "T00:00:00.000"),
}


def compiled(node: Node, clause: Clause, columns: Mapping[str, Kind]) -> Expression:
    """*node* as an expression over rows with *columns*; raises QueryRefused."""
    if isinstance(node, Column):
        if node.name not in columns:
            raise errors.no_such_column(node.name, clause, node.at)
        return Expression(columns[node.name], operator.methodcaller("get", node.name))
    if isinstance(node, Literal):
        return _constant(node.value, literal=True)
    if isinstance(node, Star):
        raise errors.malformed("unexpected '*'", clause, node.at)
    return _Compiler(clause, columns).call(node)


def equality(column: str, value: str, clause: Clause, columns: Mapping[str, Kind]) -> Expression:
    """``?column=value`` as an expression; raises QueryRefused."""
    return compiled(Call("=", (Column(column, 0), Literal(value, 0)), 0), clause, columns)


class _Compiler:
    """Compiles calls within one clause."""

    def __init__(self, clause: Clause, columns: Mapping[str, Kind]) -> None:
        self._clause = clause
        self._columns = columns

    def call(self, node: Call) -> Expression:
        args = [compiled(arg, self._clause, self._columns) for arg in node.args]
        if node.name in {"and", "or", "not"}:
            return self._logic(node, [self._coerced(arg, "checkbox", node).of for arg in args])
        if node.name in {"is null", "is not null"}:
            return _test(lambda row: (args[0].of(row) is None) == (node.name == "is null"))
        if node.name in {*_COMPARE, "in", "between"}:
            return self._comparison(node, args)
        if node.name.startswith("::"):
            return self._cast(node, args[0])
        if node.name in _FUNCTIONS:
            return self._function(node, args)
        raise errors.no_such_function(node.name, self._clause, node.at)

    def _logic(self, node: Call, of: list[Callable[[Row], Any]]) -> Expression:
        if node.name == "not":
            return _test(lambda row: None if (value := of[0](row)) is None else not value)
        decisive = node.name == "or"

        def decided(row: Row) -> Any:
            left = of[0](row)
            if left is decisive:
                return decisive
            right = of[1](row)
            if right is decisive:
                return decisive
            return None if left is None or right is None else not decisive

        return _test(decided)

    def _comparison(self, node: Call, args: list[Expression]) -> Expression:
        kind = next((arg.kind for arg in args if not arg.literal and arg.kind), args[0].kind)
        if kind == "location":
            raise errors.mismatch(node.name, kind, self._clause, node.at)
        of = [self._coerced(arg, kind, node).of for arg in args]
        if node.name == "in":
            return _test(_member(of[0], of[1:]))
        if node.name == "between":
            return _test(_compare(lambda value, low, high: low <= value <= high, of))
        return _test(_compare(_COMPARE[node.name], of))

    def _coerced(self, arg: Expression, kind: Kind | None, node: Call) -> Expression:
        """*arg* as *kind*: itself, or its literal read anew."""
        if arg.kind in {kind, None}:
            return arg
        value = arg.of({}) if arg.literal else None
        if isinstance(value, str) and kind is not None:
            try:
                return _constant(read(value, kind))
            except ValueError:
                pass
        raise errors.mismatch(node.name, arg.kind, self._clause, node.at)

    def _cast(self, node: Call, arg: Expression) -> Expression:
        kind = _KINDS.get(node.name[2:])
        if kind is None:
            raise errors.no_such_function(node.name, self._clause, node.at)

        def cast(row: Row) -> Any:
            value = arg.of(row)
            try:
                return None if value is None else read(written(value), kind)
            except ValueError:
                raise CastFailed from None

        return Expression(kind, cast)

    def _function(self, node: Call, args: list[Expression]) -> Expression:
        kinds, kind, function = _FUNCTIONS[node.name]
        if len(args) != len(kinds):
            raise errors.no_such_function(f"{node.name}/{len(args)}", self._clause, node.at)
        of = [self._coerced(arg, wanted, node).of for arg, wanted in zip(args, kinds, strict=True)]
        return Expression(kind, _compare(function, of))


def _constant(value: Any, *, literal: bool = False) -> Expression:
    kind: Kind | None = None
    if isinstance(value, bool):
        kind = "checkbox"
    elif isinstance(value, Decimal):
        kind = "number"
    elif isinstance(value, str):
        kind = "text"
    return Expression(kind, lambda _: value, literal=literal)


def _test(of: Callable[[Row], Any]) -> Expression:
    return Expression("checkbox", of)


def _compare(function: _Function, of: list[Callable[[Row], Any]]) -> Callable[[Row], Any]:
    """*function* of the values, or null when one of them is."""

    def applied(row: Row) -> Any:
        values = [each(row) for each in of]
        return None if None in values else function(*values)

    return applied


def _member(of: Callable[[Row], Any], options: list[Callable[[Row], Any]]) -> Callable[[Row], bool | None]:
    def found(row: Row) -> bool | None:
        value = of(row)
        if value is None:
            return None
        values = [option(row) for option in options]
        return True if value in values else None if None in values else False

    return found


def _like(pattern: str) -> Callable[[str], re.Match[str] | None]:
    shape = "".join({"%": ".*", "_": "."}.get(char, re.escape(char)) for char in pattern)
    return re.compile(shape, re.DOTALL).fullmatch
