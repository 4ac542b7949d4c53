"""Values that nobody expects, and JSON that is nearly what was expected.

Most mistakes of a reader lie close to a right answer: a part of it that is missing, of another kind, or one
level deeper. So a tree is changed in one to three of its own places, rather than made up.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

__all__ = ["CANARY", "INFINITE", "NUMBER", "changed", "documents", "odd", "written"]

CANARY = "a canary sings"
"""Stands in what is made up, and must not in an error. The space keeps it from being a provider's code."""

NUMBER = 733_104_771_927_351
"""The same as a number."""

INFINITE = "\x00 1e999 \x00"
"""Where this text stands, :func:`written` writes a number that no float holds."""

Path: TypeAlias = tuple[str | int, ...]
Change: TypeAlias = Callable[[Any, Any], Any]
"""From a node, and two others that might stand there, to what does."""

_DEEP: Any = []
for _ in range(60):
    _DEEP = [_DEEP]

TEXTS = (
    "", " ", CANARY, f"{CANARY}\r\nX-Smuggled: 1", "\x00", "\ud800", "\udc00" + CANARY, "\u202e\u200b", "²",
    "١٢٣", "0", "-1", "1e5", "NaN", "true", "null", "[]", "../..", "%00", "'; --", "${jndi:x}", "9" * 400,
    "9999-99-99", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-W05-6", "24:00",
    "\U0001f6a2" * 300, CANARY * 400, "://", "http://[", "a@b", "+1", "spotify:track:", "İ" * 90, "ß" * 120,
)  # fmt: skip
NUMBERS = (0, -1, 1, NUMBER, -NUMBER, 2**63, 10**400, 0.5, -0.0, 1e308, 5e-324, 2**31, 253402300800)
OTHERS: tuple[Any, ...] = (
    None,
    True,
    False,
    [],
    {},
    [[]],
    [None],
    {"": ""},
    {"a": None},
    [CANARY],
    {CANARY: CANARY},
    _DEEP,
)

odd: SearchStrategy[Any] = st.one_of(
    st.sampled_from(TEXTS),
    st.sampled_from(NUMBERS),
    st.sampled_from(OTHERS),
    st.text(max_size=12),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
)
"""A JSON value."""

documents: SearchStrategy[Any] = st.recursive(
    odd,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.just(CANARY), inner, max_size=3)
    ),
    max_leaves=6,
)
"""JSON of any shape."""

WORTH = 400
"""Nodes of a tree that are looked at."""

_GONE = object()


@st.composite
def changed(draw: DrawFn, tree: Any, *, most: int = 3) -> Any:
    """*tree*, with one to *most* changes."""
    for _ in range(draw(st.integers(1, most))):
        places = list(_places(tree))
        place = places[draw(st.integers(0, len(places) - 1))]
        change = CHANGES[draw(st.sampled_from(sorted(CHANGES)))]
        others = draw(odd), _at(tree, places[draw(st.integers(0, len(places) - 1))])
        tree = _with(tree, place, partial(_put, change, others))
        tree = {} if tree is _GONE else tree
    return tree


def written(tree: Any) -> bytes:
    """*tree* as JSON."""
    text = json.dumps(tree, ensure_ascii=True)
    return text.replace(json.dumps(INFINITE), "1e999").encode()


def _places(tree: Any) -> Iterator[Path]:
    """The way to each node, those near the root and in the first items of lists before the others."""
    level: list[tuple[Path, Any]] = [((), tree)]
    seen = 0
    while level and seen < WORTH:
        inner: list[tuple[Path, Any]] = []
        for path, node in level:
            seen += 1
            yield path
            if isinstance(node, dict):
                inner += (((*path, key), value) for key, value in node.items())
            elif isinstance(node, list):
                inner += (((*path, index), value) for index, value in enumerate(node[:3]))
        level = inner


def _put(change: Change, others: tuple[Any, Any], node: Any) -> Any:
    return change(node, others)


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def _with(tree: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(tree)
    first, *rest = path
    inner = _with(tree[first], tuple(rest), change)
    if isinstance(tree, dict):
        pairs = ((key, inner if key == first else value) for key, value in tree.items())
        return {key: value for key, value in pairs if value is not _GONE}
    items = (inner if index == first else value for index, value in enumerate(tree))
    return [value for value in items if value is not _GONE]


def _retyped(node: Any, _: Any) -> Any:
    """The same in another kind: numbers as texts, texts as numbers where they are, one for a list of one."""
    if isinstance(node, bool) or node is None:
        return str(node)
    if isinstance(node, int | float):
        return str(node)[:4000] if abs(node) < 10**300 else "1" * 300
    if isinstance(node, str):
        return float(node) if node.isascii() and node.isdigit() and len(node) < 300 else [*node[:50]]
    if isinstance(node, list):
        return node[0] if node else {}
    return list(node.items()) and [list(pair) for pair in node.items()]


def _renamed(node: Any, _: Any) -> Any:
    if not isinstance(node, dict) or not node:
        return {"x": node}
    first, *rest = node
    return {first.swapcase() + "_": node[first], **{name: node[name] for name in rest}}


def _shuffled(node: Any, _: Any) -> Any:
    if isinstance(node, list):
        return random.Random(1).sample(node, len(node))
    return dict(reversed(node.items())) if isinstance(node, dict) else node


CHANGES: dict[str, Change] = {
    "dropped": lambda _node, _: _GONE,
    "emptied": lambda node, _: type(node)() if node is not None else [],
    "nested": lambda node, _: {"value": node},
    "listed": lambda node, _: [node],
    "null": lambda _node, _: None,
    "odd": lambda _node, others: others[0],
    "infinite": lambda _node, _: INFINITE,
    "renamed": _renamed,
    "retyped": _retyped,
    "shuffled": _shuffled,
    "swapped": lambda _node, others: others[1],
    "twice": lambda node, _: [*node, *node] if isinstance(node, list) else [node, node],
    "longer": lambda node, others: (
        [*node, others[0]] if isinstance(node, list) else f"{str(node)[:200]}{CANARY}"
    ),
}
