"""The variables of the process that are ours: checked by name, with secrets read from files.

A misspelt variable would be ignored in silence, so a name with our prefix that is no setting is a
problem, told with the nearest name that is one.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

__all__ = ["DELIMITER", "PREFIX", "Environment", "nearest", "read", "variable"]

PREFIX = "NARROWS_"
DELIMITER = "__"
_FROM_FILE = "_FILE"
_LONGEST_SECRET = 64 * 1024
_ANY = "*"
_OPTIONS = "options"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What was found: *values* by lower-case name without our prefix, and what is wrong with it."""

    values: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read(environ: Mapping[str, str], model: type[BaseModel]) -> Environment:
    """The settings of *model* that *environ* gives; an empty value counts as none."""
    found = Environment()
    known = set(_leaves(model))
    given = {name: value for name, value in environ.items() if name.upper().startswith(PREFIX) and value}
    for name in sorted(given):
        path = tuple(name[len(PREFIX) :].lower().split(DELIMITER))
        if _is_known(path, known):
            _take(found, name, path, given[name])
        elif name.upper().endswith(_FROM_FILE) and _is_known(_without_file(path), known):
            _take_file(found, name, _without_file(path), given[name])
        else:
            found.problems.append(_unknown(name, path, known))
    return found


def variable(path: tuple[str | int, ...]) -> str:
    """The variable that holds the setting at *path*."""
    return PREFIX + DELIMITER.join(str(part) for part in path).upper()


def nearest(word: str, known: list[str]) -> str:
    """A question after the nearest of *known*, or nothing when none is near."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _leaves(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every setting; ``*`` stands for a provider's name."""
    for name, about in model.model_fields.items():
        inner = _inner(about.annotation)
        if inner is None:
            yield (*above, name)
        else:
            nested, keyed = inner
            yield from _leaves(nested, (*above, name, _ANY) if keyed else (*above, name))


def _inner(annotation: Any) -> tuple[type[BaseModel], bool] | None:
    """The model in *annotation* and whether it lies in a mapping; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, False
    last = get_args(annotation)[-1:]
    if last and isinstance(last[0], type) and issubclass(last[0], BaseModel):
        return last[0], True
    return None


def _is_known(path: tuple[str, ...], known: set[tuple[str, ...]]) -> bool:
    if path in known:
        return True
    if len(path) == 4 and path[2] == _OPTIONS and path[3]:  # noqa: PLR2004 - providers, name, options, option
        path = path[:3]
    return len(path) == 3 and bool(path[1]) and (path[0], _ANY, path[2]) in known  # noqa: PLR2004 - providers, name, field


def _without_file(path: tuple[str, ...]) -> tuple[str, ...]:
    return (*path[:-1], path[-1].removesuffix(_FROM_FILE.lower()))


def _unknown(name: str, path: tuple[str, ...], known: set[tuple[str, ...]]) -> str:
    here = path[1] if len(path) > 1 and path[1] else "<provider>"
    names = [variable(tuple(here if part == _ANY else part for part in leaf)) for leaf in sorted(known)]
    return f"{name} is not a setting{nearest(name.upper(), names)}"


def _take(found: Environment, name: str, path: tuple[str, ...], value: str) -> None:
    key = DELIMITER.join(path)
    if key in found.values:
        found.problems.append(
            f"{name} is given twice; keep one of {variable(path)} and {variable(path)}_FILE"
        )
    found.values[key] = value


def _take_file(found: Environment, name: str, path: tuple[str, ...], place: str) -> None:
    try:
        with Path(place).open(encoding="utf-8") as file:
            value = file.read(_LONGEST_SECRET).strip()
    except (OSError, UnicodeDecodeError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not UTF-8 text"
        found.problems.append(f"{name} names a file that cannot be read: {why}")
        return
    if not value:
        found.problems.append(f"{name} names a file that is empty")
        return
    _take(found, name, path, value)
