"""A SODA query: its parameters, compiled against one table.

``$select $where $order $group $limit $offset $q`` and ``?column=value``;
what the sandbox does not play is answered 501, so that no test passes by luck.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.sandbox.soda import errors
from tests.sandbox.soda.aggregates import AGGREGATES, aggregate
from tests.sandbox.soda.errors import Clause, QueryRefused
from tests.sandbox.soda.expressions import Expression, Row, compiled, equality
from tests.sandbox.soda.nodes import Call, Column, Node, Star
from tests.sandbox.soda.syntax import Syntax
from tests.sandbox.soda.values import Kind, written

__all__ = ["DEFAULT_LIMIT", "Query"]

DEFAULT_LIMIT = 1000
_IGNORED = {"$$app_token", "$$exclude_system_fields", "$$read_from_nbe", "$$version"}
_PLAYED = {"$select", "$where", "$order", "$group", "$limit", "$offset", "$q"}


def _nothing(_: Row) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the answer; ``over`` takes all rows of a group."""

    name: str
    kind: Kind | None
    of: Callable[[Row], Any] = _nothing
    over: Callable[[Sequence[Row]], Any] | None = None


class Query:
    """What to answer, ready to run; made in one go or refused with QueryRefused.

    Attributes:
        outputs: The columns asked for, or None when rows go out as they are.
        ordered: Whether rows come in a defined order.
    """

    def __init__(self, params: Mapping[str, str], columns: Mapping[str, Kind], *, dataset: str) -> None:
        self._columns = columns
        self._dataset = dataset
        self._check_names(params)
        self.limit = self._whole(params, "$limit", DEFAULT_LIMIT)
        self.offset = self._whole(params, "$offset", 0)
        self._tests = self._filters(params)
        self._group = self._grouping(params)
        self.outputs = self._outputs(params)
        self._orderings = self._ordering(params)
        self.ordered = bool(self._orderings)

    def matching(self, rows: Sequence[Row]) -> list[Row]:
        """The rows that pass every test, in order if there is one and they are listed."""
        tests = self._tests
        found = [row for row in rows if all(test(row) is True for test in tests)]
        return found if self.aggregated else self._sorted(found)

    def answer(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """What goes out for *rows*: nulls left out, numbers as text."""
        outputs = self.outputs or ()
        if self.aggregated:
            groups = [self._summary(group) for group in self._groups(rows)]
            return [_shown((o.name, group.get(o.name)) for o in outputs) for group in self._sorted(groups)]
        return [_shown((o.name, o.of(row)) for o in outputs) for row in rows]

    @property
    def aggregated(self) -> bool:
        """Whether rows are counted or grouped instead of listed."""
        return bool(self._group) or any(output.over for output in self.outputs or ())

    def _groups(self, rows: Sequence[Row]) -> list[list[Row]]:
        if not self._group:
            return [list(rows)]
        groups: dict[tuple[Any, ...], list[Row]] = {}
        for row in rows:
            groups.setdefault(tuple(each.of(row) for each in self._group.values()), []).append(row)
        return list(groups.values())

    def _summary(self, group: Sequence[Row]) -> Row:
        """One row for a whole group, still typed, under the outputs' names and the columns' own."""
        first = group[0] if group else {}
        made = {o.name: o.over(group) if o.over else o.of(first) for o in self.outputs or ()}
        return {**first, **made}

    def _sorted(self, rows: list[Row]) -> list[Row]:
        for of, descending in reversed(self._orderings):
            known = [row for row in rows if of(row) is not None]
            known.sort(key=_key(of), reverse=descending)
            rows = known + [row for row in rows if of(row) is None]
        return rows

    # Reading the parameters --------------------------------------------------------------------

    def _check_names(self, params: Mapping[str, str]) -> None:
        for name in params:
            if name in {"$query", "$having"}:
                raise QueryRefused({"message": f"{name} is not played here", "error": True}, status=501)
            if name.startswith("$") and name not in _PLAYED | _IGNORED:
                raise errors.malformed(f"unrecognized argument {name}", self._clause("", ""), 0)

    def _whole(self, params: Mapping[str, str], name: str, default: int) -> int:
        text = params.get(name, str(default))
        if not (text.isascii() and text.isdigit()):
            raise errors.malformed(
                f"{name} is no whole number", self._clause(text, f"{name[1:].upper()} "), 0
            )
        return int(text)

    def _clause(self, text: str, before: str) -> Clause:
        return Clause(text, before=before, dataset=self._dataset)

    def _filters(self, params: Mapping[str, str]) -> list[Callable[[Row], Any]]:
        tests = []
        for name, value in params.items():
            if not name.startswith("$"):
                quoted = value.replace("'", "''")
                clause = self._clause(f"`{name}` = '{quoted}'", "SELECT * WHERE ")
                tests.append(equality(name.lower(), value, clause, self._columns).of)
        if "$where" in params:
            clause = self._clause(params["$where"], "SELECT * WHERE ")
            where = compiled(Syntax(clause).expression(), clause, self._columns)
            if where.kind != "checkbox":
                raise errors.mismatch("where", where.kind or "null", clause, 0)
            tests.append(where.of)
        if "$q" in params:
            tests.append(_containing(params["$q"].lower()))
        return tests

    def _grouping(self, params: Mapping[str, str]) -> dict[Node, Expression]:
        if "$group" not in params:
            return {}
        clause = self._clause(params["$group"], "SELECT * GROUP BY ")
        nodes = Syntax(clause).expressions()
        return {_unplaced(node): compiled(node, clause, self._columns) for node in nodes}

    def _outputs(self, params: Mapping[str, str]) -> list[Output] | None:
        if params.get("$select", "*").strip() == "*" and not self._group:
            return None
        clause = self._clause(params.get("$select", "*"), "SELECT ")
        found: list[Output] = []
        for selection in Syntax(clause).selections():
            if isinstance(selection.node, Star):
                found += [self._plain(name) for name in self._star(selection.node.name)]
            else:
                found.append(self._output(selection.node, selection.alias, clause))
        self._check_grouped(found, clause)
        return found

    def _star(self, mark: str) -> list[str]:
        return [name for name in self._columns if name.startswith(":") == (mark == ":*")]

    def _plain(self, name: str) -> Output:
        return Output(name, self._columns[name], lambda row: row.get(name))

    def _output(self, node: Node, alias: str | None, clause: Clause) -> Output:
        name = alias or _name_of(node)
        if isinstance(node, Call) and node.name in AGGREGATES:
            kind, over = aggregate(node, clause, self._columns)
            return Output(name, kind, over=over)
        if isinstance(node, Column) and node.name in self._columns:
            return Output(name, self._columns[node.name], lambda row: row.get(node.name))
        expression = compiled(node, clause, self._columns)
        return Output(name, expression.kind, expression.of)

    def _check_grouped(self, outputs: Sequence[Output], clause: Clause) -> None:
        if not self._group and not any(output.over for output in outputs):
            return
        grouped = {_name_of(node) for node in self._group}
        for output in outputs:
            if output.over is None and output.name not in grouped:
                raise errors.not_grouped(output.name, clause, 0)

    def _ordering(self, params: Mapping[str, str]) -> list[tuple[Callable[[Row], Any], bool]]:
        if "$order" not in params:
            return []
        clause = self._clause(params["$order"], "SELECT * ORDER BY ")
        aliases = {output.name: output.kind or "text" for output in self.outputs or ()}
        found = []
        for ordering in Syntax(clause).orderings():
            columns = {**self._columns, **aliases} if self.aggregated else self._columns
            found.append((compiled(ordering.node, clause, columns).of, ordering.descending))
        return found


def _name_of(node: Node) -> str:
    if isinstance(node, Column | Star):
        return node.name if isinstance(node, Column) else ""
    if isinstance(node, Call):
        inner = [name for name in map(_name_of, node.args) if name]
        return "_".join([node.name.strip(":|- ").replace(" ", "_"), *inner]).strip("_")
    return "literal"


def _unplaced(node: Node) -> Node:
    return Column(node.name, 0) if isinstance(node, Column) else node


def _shown(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    return {name: written(value) for name, value in pairs if value is not None}


def _key(of: Callable[[Row], Any]) -> Callable[[Row], Any]:
    return lambda row: str(value) if isinstance(value := of(row), dict) else value


def _containing(text: str) -> Callable[[Row], bool]:
    return lambda row: any(isinstance(value, str) and text in value.lower() for value in row.values())
