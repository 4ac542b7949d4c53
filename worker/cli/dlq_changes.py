"""Changes to a call's arguments as a command line has them: ``bbl=1012650001``, ``payload.zip:=null``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import typer

__all__ = ["by_name", "changed", "document", "given"]


def by_name(operation: Any, args: list[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments under their parameters' names.

    Raises:
        typer.BadParameter: They fit no parameters, so they have to be written anew.
    """
    try:
        return dict(operation.signature.bind_partial(*args, **kwargs).arguments)
    except TypeError as wrong:
        text = f"the letter's arguments fit no parameters ({wrong}): give all anew, with --args or --kwargs"
        raise typer.BadParameter(text, param_hint="--set") from None


def changed(operation: Any, named: Mapping[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """*named* with each of *changes*.

    ``a.b=text`` puts text where text is or nothing, and JSON where something else is; ``a.b:=JSON`` puts JSON
    always. Parts of a list are numbered from 0.

    Raises:
        typer.BadParameter: There is no such parameter, or no such place in it.
    """
    made = deepcopy(dict(named))
    for change in changes:
        path, equals, text = change.partition("=")
        forced = path.endswith(":")
        first, *rest = path.removesuffix(":").split(".")
        if not equals or first not in operation.signature.parameters:
            takes = ", ".join(operation.signature.parameters)
            raise typer.BadParameter(
                f"{path!r}: write NAME=VALUE, where NAME begins with one of: {takes}", param_hint="--set"
            )
        _put(made, [first, *rest], text, forced=forced)
    return made


def given(operation: Any, named: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by place and by name, from those by name."""
    bound = operation.signature.bind_partial()
    for name in operation.signature.parameters:
        if name in named:
            bound.arguments[name] = named[name]
    return list(bound.args), dict(bound.kwargs)


def document(text: str, kind: type[list[Any] | dict[str, Any]], option: str) -> Any:
    """What *text* says in JSON, which is a *kind*.

    Raises:
        typer.BadParameter: It is no JSON, or says something else; quotes nothing.
    """
    words = "a list, such as [1]" if kind is list else 'an object, such as {"limit": 5}'
    try:
        said = _json(text)
    except ValueError as wrong:
        place = f" ({wrong.msg}, line {wrong.lineno})" if isinstance(wrong, json.JSONDecodeError) else ""
        raise typer.BadParameter(f"takes JSON{place}: {words}", param_hint=option) from None
    if not isinstance(said, kind):
        raise typer.BadParameter(f"takes {words}", param_hint=option)
    return said


def _json(text: str) -> Any:
    """What *text* says in JSON, which has no NaN: others who read the letter would stumble over it."""
    return json.loads(text, parse_constant=_no_number)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no JSON")


def _put(inside: Any, path: list[str], text: str, *, forced: bool) -> None:
    *way, last = path
    for step in way:
        inside = _part(inside, step, path)
    key = _key(inside, last, path)
    present = inside[key] if isinstance(inside, list) else inside.get(key)
    inside[key] = _value(text, present, ".".join(path), forced=forced)


def _part(inside: Any, step: str, path: list[str]) -> Any:
    key = _key(inside, step, path)
    part = inside[key] if isinstance(inside, list) else inside.setdefault(key, {})
    if part is None:
        part = inside[key] = {}
    return part


def _key(inside: Any, step: str, path: list[str]) -> Any:
    if isinstance(inside, dict):
        return step
    if isinstance(inside, list) and step.isdecimal() and int(step) < len(inside):
        return int(step)
    raise typer.BadParameter(f"{'.'.join(path)!r}: there is no {step!r} in it", param_hint="--set")


def _value(text: str, present: Any, path: str, *, forced: bool) -> Any:
    if not forced and (present is None or isinstance(present, str)):
        return text
    try:
        return _json(text)
    except ValueError:
        if not forced:
            return text
        raise typer.BadParameter(f"{path}: takes JSON after :=", param_hint="--set") from None
