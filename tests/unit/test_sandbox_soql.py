"""SoQL as the sandbox reads it, held against SQLite where the two agree."""

from __future__ import annotations

import sqlite3
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sandbox.soda.errors import CastFailed, QueryRefused
from tests.sandbox.soda.query import Query
from tests.sandbox.soda.values import Kind, read, written

COLUMNS: dict[str, Kind] = {
    "name": "text",
    "size": "number",
    "made": "floating_timestamp",
    "open": "checkbox",
    "place": "location",
}
ROWS: list[dict[str, Any]] = [
    {"name": "O'Brien", "size": "10", "made": "2026-01-31T00:00:00.000", "open": True},
    {"name": "smith", "size": "9.50", "made": "2025-12-31T23:59:59.000", "open": False},
    {"name": "Smith_1", "size": "100", "place": {"latitude": "40.1"}},
    {"size": "-1"},
]


def names(where: str, rows: list[dict[str, Any]] | None = None) -> list[int]:
    """The places of the rows that *where* selects."""
    typed = [
        {key: read(value, COLUMNS[key]) for key, value in row.items()}
        for row in (ROWS if rows is None else rows)
    ]
    found = Query({"$where": where}, COLUMNS, dataset="test.1").matching(typed)
    return [index for index, row in enumerate(typed) if any(row is each for each in found)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("name = 'O''Brien'", [0]),
        ("name = 'SMITH'", []),
        ("upper(name) = 'SMITH' or lower(name) like 'smith__'", [1, 2]),
        ("name like 'Smith%' and not size < 50", [2]),
        ("name not like '%i%'", []),
        ("starts_with(name, 'S') or contains(name, 'mit')", [1, 2]),
        ("name || '!' = 'smith!'", [1]),
        ("name in ('smith', 'O''Brien')", [0, 1]),
        ("name not in ('smith')", [0, 2]),
        ("name is null", [3]),
        ("name IS NOT NULL AND place is null", [0, 1]),
        ("size > 9.5", [0, 2]),
        ("size >= '9.5'", [0, 1, 2]),
        ("size between -1 and 10", [0, 1, 3]),
        ("size not between 0 and 50", [2, 3]),
        ("size::text = '9.50'", [1]),
        ("size <> 10 and size != 100", [1, 3]),
        ("made > '2026-01-01'", [0]),
        ("made = '2026-01-31T00:00:00.000'", [0]),
        ("'2026-01-31'::floating_timestamp = made", [0]),
        ("date_trunc_y(made) = '2025-01-01'", [1]),
        ("open", [0]),
        ("not open or open = true", [0, 1]),
        ("`name` = 'smith' AND (size = 9.5 OR size = 9)", [1]),
        ("NAME = 'smith'", [1]),
        ("name = null", []),
        ("name in ('smith', null)", [1]),
        ("not (name in ('smith', null))", []),
    ],
)
def test_an_expression_selects_what_it_says(where: str, expected: list[int]) -> None:
    """Quotes are doubled, text knows case, null is unknown, literals take the column's type."""
    assert expected == names(where)


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("name = 5", "type-mismatch"),
        ("size = 'many'", "type-mismatch"),
        ("made > 'yesterday'", "type-mismatch"),
        ("name = size", "type-mismatch"),
        ("upper(size) = 'A'", "type-mismatch"),
        ("place = 'here'", "type-mismatch"),
        ("name", "type-mismatch"),
        ("nmae = 'x'", "no-such-column"),
        ("soundex(name) = 'x'", "no-such-function"),
        ("name::colour = 'x'", "no-such-function"),
    ],
)
def test_an_expression_that_means_nothing_is_refused_before_any_row_is_read(where: str, code: str) -> None:
    """Types are checked against columns, so an empty table refuses it too."""
    with pytest.raises(QueryRefused) as refused:
        names(where, rows=[])

    assert refused.value.body["errorCode"] == f"query.soql.{code}"


def test_a_cast_fails_on_the_row_that_does_not_take_it() -> None:
    """Rows that do are no help."""
    assert names("name::number > 1", rows=[{"name": "2"}]) == [0]
    with pytest.raises(CastFailed):
        names("name::number > 1", rows=[{"name": "2"}, {"name": "two"}])


def test_deep_nesting_is_refused_and_breaks_nothing() -> None:
    """A parser that recurses says no before it falls over."""
    with pytest.raises(QueryRefused):
        names("(" * 100_000 + "open" + ")" * 100_000)


_LITERALS = st.text("ab'%_ ", max_size=3).map(lambda text: "'" + text.replace("'", "''") + "'")
_TESTS = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from("xy"), st.sampled_from(["=", "<>", "<", ">="]), _LITERALS),
    st.builds("{} in ({}, {})".format, st.sampled_from("xy"), _LITERALS, _LITERALS),
    st.builds("{} not between {} and {}".format, st.sampled_from("xy"), _LITERALS, _LITERALS),
    st.builds("{} is {}null".format, st.sampled_from("xy"), st.sampled_from(["", "not "])),
)
_EXPRESSIONS = st.recursive(
    _TESTS,
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)
_CELLS = st.none() | st.text("ab'%_ ", max_size=3)


@settings(deadline=None)  # the first example makes SQLite load
@given(where=_EXPRESSIONS, cells=st.lists(st.tuples(_CELLS, _CELLS), max_size=6))
def test_logic_over_nulls_agrees_with_sqlite(where: str, cells: list[tuple[str | None, str | None]]) -> None:
    """Whatever the expression, the rows selected are those that SQLite selects."""
    table = sqlite3.connect(":memory:")
    table.execute("CREATE TABLE rows (x, y)")
    table.executemany("INSERT INTO rows VALUES (?, ?)", cells)
    expected = [n for (n,) in table.execute(f"SELECT rowid - 1 FROM rows WHERE {where} ORDER BY rowid")]  # noqa: S608
    table.close()

    rows = [
        {"n": n, **{k: v for k, v in zip("xy", pair, strict=True) if v is not None}}
        for n, pair in enumerate(cells)
    ]
    found = Query({"$where": where}, {"x": "text", "y": "text"}, dataset="test.1").matching(rows)

    assert expected == [row["n"] for row in found]


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)))
def test_every_way_of_writing_a_date_is_the_same_day(day: date) -> None:
    """Exports, SODA and text columns write one day in four ways."""
    shapes = (f"{day}", f"{day}T00:00:00", f"{day:%m/%d/%Y}", f"{day:%Y%m%d}")

    assert {f"{day}T00:00:00.000"} == {read(shape, "floating_timestamp") for shape in shapes}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_a_number_is_written_as_it_was_read(number: Any) -> None:
    """Trailing zeros stay, as in ``1000010010.00000000``."""
    assert format(number, "f") == written(read(format(number, "f"), "number"))
