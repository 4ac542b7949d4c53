"""Exceptions as they may be logged: every kind and place, but only our own words.

A foreign exception's message may hold a row, an address, a header or a query; its type and the lines it
passed through tell an operator as much. Narrows' own errors promise to hold none of it (worker/errors.py),
so theirs are printed. Source lines, local variables and notes are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from config.masking import masked

__all__ = ["WITHHELD", "code_of", "rendered", "summary"]

WITHHELD = "<message withheld>"

_OURS = ("worker.errors", "NarrowsError")
_ROOT = f"{Path(__file__).resolve().parents[1]}/"
_MOST_FRAMES = 30
_MOST_LINKS = 8


def rendered(error: BaseException, trace: TracebackType | None = None) -> str:
    """*error*, the places it passed, and what caused it, outermost first.

    Args:
        error: Any exception.
        trace: Its traceback, for one that has come from another process and lost its own.
    """
    lines: list[str] = []
    link: BaseException | None = error
    seen: set[int] = set()
    said = ""
    while link is not None and id(link) not in seen and len(seen) < _MOST_LINKS:
        seen.add(id(link))
        lines.append(f"{said}{summary(link)}")
        lines += _places(link.__traceback__ or trace)
        trace = None
        if isinstance(link, BaseExceptionGroup):
            lines += [f"  holding {summary(held)}" for held in link.exceptions[:_MOST_LINKS]]
        said = "caused by " if link.__cause__ else "while handling "
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(lines)


def summary(error: BaseException) -> str:
    """The error's type, and its message when it is one of ours."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return f"{name}: {masked(str(error)) if _is_ours(kind) else WITHHELD}"


def code_of(error: BaseException) -> str | None:
    """The code of one of our own errors; None for a foreign one."""
    code = getattr(error, "code", None)
    return code if _is_ours(type(error)) and isinstance(code, str) else None


def _is_ours(kind: type) -> bool:
    """By name, since config imports nothing of ours; ``code`` alone is also SQLAlchemy's and SystemExit's."""
    return any((base.__module__, base.__name__) == _OURS for base in kind.__mro__)


def _places(trace: TracebackType | None) -> Iterator[str]:
    """The innermost places; works on billiard's stand-ins for tracebacks too."""
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"  {_short(code.co_filename)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    if len(places) > _MOST_FRAMES:
        yield f"  … {len(places) - _MOST_FRAMES} more"
    yield from places[-_MOST_FRAMES:]


def _short(path: str) -> str:
    """The path below the checkout or the packages: the rest says how this machine is set up."""
    for mark in ("/site-packages/", _ROOT, "/lib/"):
        if mark in path:
            return path.rpartition(mark)[2]
    return path
