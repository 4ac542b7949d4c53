"""Whether a command line is one, asked of the program itself without running it.

misused("narrows dlq list nyc_open_data --since 1h")     ""
misused("narrows dlq lst")                                "narrows dlq lst: there is no 'lst'"
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import typer

from worker.cli.root import root

__all__ = ["misused", "narrows", "targets"]

ROOT = Path(__file__).resolve().parents[1]


def misused(line: str) -> str:
    """What is wrong with *line*; nothing when it is right, or when nobody here knows its program."""
    words = shlex.split(line)
    judge = _JUDGES.get(words[0])
    return judge(line, words[1:]) if judge else ""


@cache
def narrows() -> Any:
    """The command itself. Any: some versions of typer bring a click of their own."""
    return typer.main.get_command(root)


@cache
def targets() -> set[str]:
    """What ``make`` can be asked for."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z-]+):.*##", text, re.MULTILINE))


class _Parser(argparse.ArgumentParser):
    """Says what is wrong instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        """Raise it as a ValueError."""
        raise ValueError(message)


def _narrows(line: str, words: list[str]) -> str:
    command = narrows()
    while inner := getattr(command, "commands", None):
        word = words.pop(0) if words else ""
        if word not in inner:
            return f"{line}: there is no {word!r}"
        command = inner[word]
    options = {name: each for each in command.params if _is(each, "option") for name in each.opts}
    places = sum(1 if each.nargs > 0 else 99 for each in command.params if _is(each, "argument"))
    return _misfit(line, words, options, places)


def _is(parameter: Any, kind: str) -> bool:
    return bool(parameter.param_type_name == kind)


def _misfit(line: str, words: list[str], options: dict[str, Any], places: int) -> str:
    """What does not fit; arguments may be left out where a command is only named."""
    given, left = 0, iter(words)
    for word in left:
        if not word.startswith("-"):
            given += 1
        elif word not in options and word not in {"--help", "-h"}:
            return f"{line}: no option {word}"
        elif word in options and not options[word].is_flag and next(left, None) is None:
            return f"{line}: {word} without its value"
    return f"{line}: too many arguments" if given > places else ""


def _celery(line: str, words: list[str]) -> str:
    """Celery's own parser; what it would do with the values is not looked at."""
    import click
    from celery.bin.celery import celery

    try:
        group = click.Context(celery)
        _, rest, _ = celery.make_parser(group).parse_args(words)
        inner = celery.get_command(group, rest[0]) if rest else None
        if inner is None:
            return f"{line}: celery has no {' '.join(rest)!r}"
        if inner.name == "flower":
            return _flower(line, rest[1:])
        _, rest, _ = inner.make_parser(click.Context(inner)).parse_args(rest[1:])
    except click.UsageError as wrong:
        return f"{line}: {wrong.format_message()}"
    return f"{line}: too many arguments" if rest and inner.name in {"worker", "beat"} else ""


def _flower(line: str, words: Iterable[str]) -> str:
    """Its options are Tornado's, and it ignores unknown ones."""
    import flower.options  # noqa: F401 - defines them
    from tornado.options import options

    known = {str(name).replace("_", "-") for name in options}
    given = [word.lstrip("-").partition("=")[0].replace("_", "-") for word in words]
    return "; ".join(f"{line}: no option {name}" for name in given if name not in known)


def _make(line: str, words: list[str]) -> str:
    asked = [word for word in words if "=" not in word]
    return "; ".join(f"{line}: there is no {word!r}" for word in asked if word not in targets())


def _python(line: str, words: list[str]) -> str:
    """A module that is there; a program in its own words stands on its own."""
    if words[0] != "-m":
        return "" if words[0] == "-c" else f"{line}: neither -m nor -c"
    place = ROOT.joinpath(*words[1].split("."))
    here = place.with_suffix(".py").is_file() or (place / "__main__.py").is_file()
    return "" if here else f"{line}: there is no {words[1]}"


def _docker(line: str, words: list[str]) -> str:
    """The part of ``docker compose`` that is used here; there may be no Docker to ask."""
    if words[:1] != ["compose"]:
        return f"{line}: only compose is used here"
    compose = _Parser(prog="docker compose")
    compose.add_argument("--file", "-f", action="append", default=[], type=_file)
    compose.add_argument("--profile", action="append", default=[], choices=["flower", "monitoring"])
    verbs = compose.add_subparsers(required=True, parser_class=_Parser)
    up = verbs.add_parser("up")
    up.add_argument("--detach", action="store_true")
    up.add_argument("--build", action="store_true")
    up.add_argument("--scale", action="append", default=[], type=_scaled)
    up.add_argument("services", nargs="*", type=_service)
    execute = verbs.add_parser("exec")
    execute.add_argument("service", type=_service)
    execute.add_argument("command", nargs=argparse.REMAINDER)
    for name in ("logs", "stop", "pull", "restart", "config", "ps", "down", "build"):
        verbs.add_parser(name).add_argument("services", nargs="*", type=_service)
    try:
        found = compose.parse_args(words[1:])
    except ValueError as wrong:
        return f"{line}: {wrong}"
    inside: list[str] = getattr(found, "command", [])
    return misused(shlex.join(inside)) if inside else ""


def _kubectl(line: str, words: list[str]) -> str:
    """``kubectl VERB …``: what it names of the checkout is there."""
    named = [word for word in words if word.startswith(("deploy/", "config/"))]
    missing = [word for word in named if not (ROOT / word).exists()]
    if words and words[0].startswith("--namespace="):
        words = words[1:]
    verbs = {"apply", "create", "get", "kustomize", "rollout", "scale", "exec", "logs", "describe"}
    if not words or words[0] not in verbs:
        return f"{line}: there is no {' '.join(words[:1])!r}"
    return "; ".join(f"{line}: there is no {word}" for word in missing)


def _file(name: str) -> str:
    if not (ROOT / name).is_file():
        raise argparse.ArgumentTypeError(f"there is no {name}")
    return name


def _service(name: str) -> str:
    from ruamel.yaml import YAML

    services: dict[str, Any] = {}
    for file in ("docker-compose.yml", "docker-compose.integration.yml"):
        text = (ROOT / file).read_text(encoding="utf-8")
        services |= YAML(typ="safe", pure=True).load(text)["services"]
    if name not in services:
        raise argparse.ArgumentTypeError(f"there is no service {name}")
    return name


def _scaled(text: str) -> str:
    service, _, number = text.partition("=")
    if not number.isdigit():
        raise argparse.ArgumentTypeError(f"{text} is not SERVICE=NUMBER")
    _service(service)
    return text


_JUDGES: dict[str, Callable[[str, list[str]], str]] = {
    "narrows": _narrows,
    "celery": _celery,
    "make": _make,
    "python": _python,
    "docker": _docker,
    "kubectl": _kubectl,
}
