"""How the commands speak: tables for people, JSON for programs, complaints on standard error."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = [
    "cell",
    "complain",
    "console",
    "counting",
    "following",
    "iso",
    "show_json",
    "span",
    "table",
    "working",
]

NONE = "-"
_WIDE = 250
"""Columns when nobody looks: a pipe's reader wants whole words."""
_UNITS = ((86_400, "d"), (3600, "h"), (60, "m"), (1, "s"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def console(*, stderr: bool = False) -> Console:
    """Where people read: as wide as the terminal, wide when it is none."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(stderr=stderr, width=None if stream.isatty() else _WIDE, highlight=False)


def show_json(data: Any) -> None:
    """Print *data* as one JSON document."""
    sys.stdout.write(json.dumps(data, indent=2) + "\n")
    sys.stdout.flush()  # a program at the other end of a pipe waits for it while we go on


def complain(*lines: str) -> None:
    """Tell on standard error what is wrong, a line each."""
    for line in lines:
        sys.stderr.write(f"narrows: {_CONTROL.sub('?', line)}\n")


def table(*columns: str, numbers: Sequence[str] = (), whole: Sequence[str] = ()) -> Table:
    """An empty table; *numbers* names the columns that stand to the right, *whole* those that never wrap."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, collapse_padding=True)
    for name in columns:
        side: Literal["left", "right"] = "right" if name in numbers else "left"
        made.add_column(name, justify=side, overflow="fold", no_wrap=name in whole)
    return made


def cell(value: object, style: str = "") -> Text:
    """*value* as it is, whatever brackets or control characters are in it; a dash for nothing."""
    from rich.text import Text

    text = NONE if value is None or value == "" else str(value)
    return Text(_CONTROL.sub("?", text), style=style)


def span(seconds: float) -> str:
    """A length of time as a person says it, in its two largest units: ``4 m 12 s``."""
    if seconds < 10:  # noqa: PLR2004 - where a tenth still matters
        return f"{max(seconds, 0.0):.1f} s"
    left, parts = round(seconds), []
    for size, unit in _UNITS:
        amount, left = divmod(left, size)
        if amount:
            parts.append(f"{amount} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def iso(seconds: float | None) -> str | None:
    """A moment as ISO 8601 in UTC; None for none, or for one beyond the calendar."""
    from worker.letters.deadletter import iso as written

    if seconds is None:
        return None
    try:
        return written(seconds)
    except (ValueError, OverflowError):
        return None


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show on a terminal that something is under way; nothing elsewhere."""
    with console(stderr=True).status(what) if sys.stderr.isatty() else _nothing():
        yield


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A progress bar on a terminal; what it gives is called with the number of things just done."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.advance(task, done)


@contextmanager
def following(what: str) -> Iterator[Callable[[int, int], None]]:
    """As :func:`counting` for what somebody else does; called with what is done so far, and all there is."""
    from rich.progress import Progress

    with Progress(console=console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def _nothing() -> Iterator[None]:
    yield
