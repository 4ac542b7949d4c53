"""SoQL's text in words: strings, numbers, names and marks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tests.sandbox.soda.errors import Clause, malformed

__all__ = ["Token", "tokens"]

_TOKEN = re.compile(
    r"""\s+
      | (?P<string> '(?:[^']|'')*' )
      | (?P<number> \d+(?:\.\d*)?(?:[eE][+-]?\d+)? | \.\d+ )
      | (?P<name>   :?@?[A-Za-z_]\w* | `[^`]+` )
      | (?P<mark>   :: | :\* | \|\| | <= | >= | != | <> | == | [=<>(),*-] )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """One word; ``kind`` is string, number, name, mark or end."""

    kind: str
    text: str
    at: int

    @property
    def word(self) -> str:
        """The text without regard to case."""
        return self.text.lower()


def tokens(clause: Clause) -> list[Token]:
    """The words of *clause*, an end after the last; raises QueryRefused at what is none."""
    found, at = [], 0
    while at < len(clause.text):
        match = _TOKEN.match(clause.text, at)
        if match is None:
            raise malformed(f"unexpected {clause.text[at]!r}", clause, at)
        if match.lastgroup is not None:
            found.append(Token(match.lastgroup, match.group(), at))
        at = match.end()
    return [*found, Token("end", "", len(clause.text))]
