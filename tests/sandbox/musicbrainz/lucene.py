"""Lucene's query language, as far as clients of MusicBrainz use it: fields, phrases, words, AND.

A character that means something and has no backslash before it is refused, also within a phrase: stricter
than the language, in which only a quote or a backslash ends or bends one.

Read on  2026-11-21, from PROVIDERS.md section 6 and Lucene's own description of its classic query parser
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SPECIAL", "Clause", "QueryInvalid", "parsed"]

SPECIAL = frozenset('+-&|!(){}[]^"~*?:\\/')


class QueryInvalid(ValueError):
    """It is no query."""


class Clause(NamedTuple):
    """What one field is to hold; "" is any field."""

    field: str
    text: str


def parsed(query: str) -> list[Clause]:
    """The clauses of *query*, all of which are to hold."""
    rest, found = query.strip(), []
    while rest:
        field, rest = _field(rest)
        text, rest = _phrase(rest[1:]) if rest[:1] == '"' else _word(rest)
        if not text:
            raise QueryInvalid("nothing is looked for")
        found.append(Clause(field, text))
        rest = rest.strip()
        if rest:
            joint, _, rest = rest.partition(" ")
            rest = rest.strip()
            if joint != "AND" or not rest:
                raise QueryInvalid("clauses are joined with AND")
    if not found:
        raise QueryInvalid("nothing is looked for")
    return found


def _field(text: str) -> tuple[str, str]:
    name, colon, rest = text.partition(":")
    return (name, rest) if colon and name.isalpha() and name.islower() else ("", text)


def _phrase(text: str) -> tuple[str, str]:
    read, rest = _read(text, until='"')
    if rest[:1] != '"':
        raise QueryInvalid("a phrase has no end")
    return read, rest[1:]


def _word(text: str) -> tuple[str, str]:
    return _read(text, until=" ")


def _read(text: str, *, until: str) -> tuple[str, str]:
    """*text* without its backslashes up to *until*, and what follows."""
    read, place = "", 0
    while place < len(text) and text[place] != until:
        bent = text[place] == "\\"
        place += bent
        if place >= len(text):
            raise QueryInvalid("a backslash bends nothing")
        if text[place] in SPECIAL and not bent:
            raise QueryInvalid("a character has a meaning here")
        read += text[place]
        place += 1
    return read, text[place:]
