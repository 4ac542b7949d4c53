"""What a provider's module says of itself in its docstring: sources, quirks, and what nobody has checked."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from worker.provider import Provider

__all__ = ["FIELDS", "Source", "said", "source"]

FIELDS = {
    "docs": "Docs",
    "limits": "Limits",
    "kept": "Kept",
    "quirks": "Quirks",
    "unverified": "Unverified",
    "read_on": "Read on",
}
_FIELD = re.compile(rf"({'|'.join(FIELDS.values())}) +(\S.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The head of a provider's module; a field that it lacks is empty.

    Attributes:
        about: Its first line.
        docs: Where its owner publishes what it does.
        limits: Where its limits are published, and which are our own.
        kept: What is kept otherwise than all else that it answers.
        quirks: What surprises.
        unverified: What we lean on and have seen nowhere.
        read_on: The day on which all this was read, and what else is to be said of it.
    """

    about: str = ""
    docs: str = ""
    limits: str = ""
    kept: str = ""
    quirks: str = ""
    unverified: str = ""
    read_on: str = ""


def source(provider: Provider, functions: Iterable[object]) -> Source:
    """What the module says that declares *provider*; *functions* are those of its operations."""
    module = _module(provider, functions)
    return said(inspect.getdoc(module) or "") if module else Source()


def said(docstring: str) -> Source:
    """The fields of a module's docstring; a line that begins with a space belongs to the one before.

    Names stand between single backticks.
    """
    about, *lines = docstring.splitlines() or [""]
    found: dict[str, list[str]] = {}
    under: list[str] = []
    for line in lines:
        if field := _FIELD.fullmatch(line):
            under = found.setdefault(field[1], [])
            under.append(field[2].strip())
        elif line.startswith(" "):
            under.append(line.strip())
        else:
            under = []
    texts = {name: " ".join(" ".join(found.get(title, [])).split()) for name, title in FIELDS.items()}
    texts = {name: text.replace("``", "`") for name, text in texts.items()}
    return Source(about=about, **texts)


def _module(provider: Provider, functions: Iterable[object]) -> ModuleType | None:
    """The module that calls it PROVIDER, and has its name or its operations."""
    homes = {getattr(each, "__module__", "") for each in functions}
    declaring = [
        (name.rpartition(".")[2] != provider.name, name not in homes, name)
        for name, module in list(sys.modules.items())
        if vars(module).get("PROVIDER") is provider
    ]
    return sys.modules[min(declaring)[-1]] if declaring else None
