"""SoQL: the conditions and query parameters that Socrata's API reads.

Docs     https://dev.socrata.com/docs/queries/  https://dev.socrata.com/docs/datatypes/
Limits   a URL beyond about 8 KB is refused; without ``$limit`` 1000 rows come, silently
Quirks   a quote inside text is doubled; comparison is case sensitive; OR binds weaker than AND,
         LIKE weaker than ``||``, and ``||`` takes columns of any type (soql-reference,
         RecursiveDescentParser.scala and SoQLFunctions.scala); without ``$order`` pages overlap
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from urllib.parse import urlencode

__all__ = [
    "LONGEST",
    "PAGE",
    "all_of",
    "any_of",
    "during",
    "ends_with",
    "one_of",
    "params",
    "text",
    "url_length",
]

PAGE = 1000
"""Rows asked for at once."""

LONGEST = 7_100
"""Bytes of an encoded path and query; with its host a URL stays below 7 KB."""


def text(value: str) -> str:
    """*value* as a literal. A literal of digits also compares with a number column."""
    return "'" + value.replace("'", "''") + "'"


def one_of(column: str, values: Iterable[str]) -> str:
    """True where *column* is one of *values*."""
    literals = [text(value) for value in values]
    return f"{column}={literals[0]}" if len(literals) == 1 else f"{column} in({','.join(literals)})"


def ends_with(column: str, digits: str) -> str:
    """True where *column*, padded with zeros on the left, ends with *digits*: whatever its own padding.

    The letter keeps the literal from being read as a number, which ``||`` would also take.
    """
    return f"'x{'0' * (len(digits) - 1)}'||{column} like '%{digits}'"


def during(column: str, first: date, last: date) -> str:
    """True from the start of *first* until *last* begins; floating timestamps know no zone."""
    return f"{column} >= '{first}T00:00:00.000' AND {column} < '{last}T00:00:00.000'"


def all_of(*terms: str) -> str:
    """True where every one of *terms* is; a term with OR in it is put in brackets."""
    return " AND ".join(f"({term})" if " OR " in term else term for term in terms if term)


def any_of(terms: Iterable[str]) -> str:
    """True where one of *terms* is. They stand unbracketed: AND binds tighter, and bytes are scarce."""
    return " OR ".join(terms)


def params(where: str, *, order: str, limit: int, offset: int = 0) -> dict[str, str]:
    """The query for one page; ``:id`` settles what *order* leaves open."""
    return {"$where": where, "$order": f"{order},:id", "$limit": str(limit), "$offset": str(offset)}


def url_length(path: str, query: Mapping[str, str]) -> int:
    """Bytes of *path* and *query* on the wire."""
    return len(path) + 1 + len(urlencode(query))
