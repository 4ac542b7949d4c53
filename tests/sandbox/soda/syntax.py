"""SoQL's expressions as a tree.

Grammar, loosest binding first::

    or       and ("OR" and)*
    and      not ("AND" not)*
    not      "NOT" not | test
    test     concat [ ("=" | "==" | "!=" | "<>" | "<" | "<=" | ">" | ">=") concat
                    | ["NOT"] ("IN" "(" or, ... ")" | "BETWEEN" concat "AND" concat | "LIKE" concat)
                    | "IS" ["NOT"] "NULL" ]
    concat   cast ("||" cast)*
    cast     unary ("::" name)*
    unary    "-" unary | string | number | "true" | "false" | "null" | column
                       | name "(" ["*" | or, ...] ")" | "(" or ")"

Strings stand in single quotes, a quote inside is doubled. Names know no case.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from tests.sandbox.soda.errors import Clause, QueryRefused, malformed
from tests.sandbox.soda.nodes import Call, Column, Literal, Node, Ordering, Selection, Star
from tests.sandbox.soda.tokens import Token, tokens

__all__ = ["Syntax"]

_COMPARISONS = {"=": "=", "==": "=", "!=": "!=", "<>": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_CONSTANTS = {"true": True, "false": False, "null": None}
_RESERVED = {"and", "or", "not", "in", "between", "like", "is", "as", "asc", "desc"}

T = TypeVar("T")


class Syntax:
    """Reads one clause; every method raises QueryRefused where the text is no SoQL."""

    def __init__(self, clause: Clause) -> None:
        self._clause = clause
        self._tokens = tokens(clause)
        self._next = 0

    def expression(self) -> Node:
        """The whole clause as one expression (``$where``)."""
        return self._whole(self._or)

    def expressions(self) -> list[Node]:
        """The clause as a list of expressions (``$group``)."""
        return self._whole(lambda: self._list(self._or))

    def selections(self) -> list[Selection]:
        """The clause as ``$select`` reads."""
        return self._whole(lambda: self._list(self._selection))

    def orderings(self) -> list[Ordering]:
        """The clause as ``$order`` reads."""
        return self._whole(lambda: self._list(self._ordering))

    # Lists -------------------------------------------------------------------------------------

    def _whole(self, read: Callable[[], T]) -> T:
        try:
            found = read()
        except RecursionError:
            raise malformed("nested too deeply", self._clause, 0) from None
        if self._peek().kind != "end":
            raise self._refusal("end of input")
        return found

    def _list(self, read: Callable[[], T]) -> list[T]:
        found = [read()]
        while self._take(","):
            found.append(read())
        return found

    def _selection(self) -> Selection:
        token = self._peek()
        if self._take("*", ":*"):
            return Selection(Star(token.text, token.at), None)
        node = self._or()
        if self._take("as"):
            return Selection(node, self._name())
        return Selection(node, None)

    def _ordering(self) -> Ordering:
        node = self._or()
        descending = self._take("desc") is not None
        if not descending:
            self._take("asc")
        return Ordering(node, descending)

    # Expressions -------------------------------------------------------------------------------

    def _or(self) -> Node:
        return self._chain(("or",), self._and)

    def _and(self) -> Node:
        return self._chain(("and",), self._not)

    def _not(self) -> Node:
        if (token := self._take("not")) is not None:
            return Call("not", (self._not(),), token.at)
        return self._test()

    def _test(self) -> Node:
        left = self._concat()
        if (token := self._take(*_COMPARISONS)) is not None:
            return Call(_COMPARISONS[token.text], (left, self._concat()), token.at)
        if (token := self._take("is")) is not None:
            negated = self._take("not") is not None
            self._expect("null")
            return Call("is not null" if negated else "is null", (left,), token.at)
        negation = self._take("not")
        test = self._membership(left)
        if test is None:
            if negation is not None:
                raise self._refusal("IN, BETWEEN or LIKE")
            return left
        return Call("not", (test,), negation.at) if negation is not None else test

    def _membership(self, left: Node) -> Node | None:
        if (token := self._take("in")) is not None:
            self._expect("(")
            options = self._list(self._or)
            self._expect(")")
            return Call("in", (left, *options), token.at)
        if (token := self._take("between")) is not None:
            low = self._concat()
            self._expect("and")
            return Call("between", (left, low, self._concat()), token.at)
        if (token := self._take("like")) is not None:
            return Call("like", (left, self._concat()), token.at)
        return None

    def _concat(self) -> Node:
        return self._chain(("||",), self._cast)

    def _cast(self) -> Node:
        node = self._unary()
        while (token := self._take("::")) is not None:
            node = Call(f"::{self._name()}", (node,), token.at)
        return node

    def _unary(self) -> Node:
        token = self._peek()
        if self._take("-"):
            return Call("-", (self._unary(),), token.at)
        if self._take("("):
            node = self._or()
            self._expect(")")
            return node
        if (literal := self._literal(token)) is not None:
            self._next += 1
            return literal
        return self._named(token)

    def _literal(self, token: Token) -> Literal | None:
        if token.kind == "string":
            return Literal(token.text[1:-1].replace("''", "'"), token.at)
        if token.kind == "number":
            return Literal(Decimal(token.text), token.at)
        if token.kind == "name" and token.word in _CONSTANTS:
            return Literal(_CONSTANTS[token.word], token.at)
        return None

    def _named(self, token: Token) -> Node:
        name = self._name()
        if not self._take("("):
            return Column(name, token.at)
        star = self._peek()
        if self._take("*"):
            self._expect(")")
            return Call(name, (Star("*", star.at),), token.at)
        args: list[Node] = [] if self._peek().text == ")" else self._list(self._or)
        self._expect(")")
        return Call(name, tuple(args), token.at)

    def _chain(self, words: tuple[str, ...], read: Callable[[], Node]) -> Node:
        node = read()
        while (token := self._take(*words)) is not None:
            node = Call(token.word, (node, read()), token.at)
        return node

    # Tokens ------------------------------------------------------------------------------------

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *words: str) -> Token | None:
        token = self._peek()
        if token.kind in {"name", "mark"} and token.word in words:
            self._next += 1
            return token
        return None

    def _expect(self, word: str) -> None:
        if not self._take(word):
            raise self._refusal(word.upper())

    def _name(self) -> str:
        token = self._peek()
        if token.kind != "name" or token.word in _RESERVED:
            raise self._refusal("a name")
        self._next += 1
        return token.word.strip("`").replace("-", "_")

    def _refusal(self, wanted: str) -> QueryRefused:
        token = self._peek()
        return malformed(f"expected {wanted}, got {token.text or 'end of input'!r}", self._clause, token.at)
