"""The settings that seal arguments: keys, newest first, and the tasks whose arguments are sealed."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from config.lists import listed

__all__ = ["SealedTasks", "SealingKeys"]

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")
_PATTERN = re.compile(r"\*|\w+\.(?:\w+|\*)")


def _listed(given: Any) -> Any:
    """The texts in a setting; what is none is pydantic's affair."""
    return listed(given) if isinstance(given, str) else given


def _keys(given: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Each key in its one spelling, none twice."""
    found: dict[str, None] = {}
    for number, key in enumerate(given, 1):
        if not _KEY.fullmatch(text := key.get_secret_value()):
            raise ValueError(
                f"key {number} is none: it takes 32 bytes in URL-safe base64; `narrows seal key` makes one"
            )
        found[base64.urlsafe_b64encode(base64.urlsafe_b64decode(text)).decode()] = None
    return tuple(map(SecretStr, found))


def _patterns(given: tuple[str, ...]) -> tuple[str, ...]:
    """Names of tasks as they are, of whole providers, or all."""
    for one in given:
        if not _PATTERN.fullmatch(one):
            raise ValueError(f"{one!r} names no task: takes provider.task, provider.* or *")
    return given


SealingKeys = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_keys)]
SealedTasks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_patterns)]
