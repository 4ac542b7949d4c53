"""The Lua files beside this module, as callables that send their digest.

A file may include others with a line ``include breaker limits record`` in its header; their
functions then stand before it.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, ResponseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.stores import Commands

__all__ = ["Script", "script", "server_clock"]

_FOLDER = Path(__file__).parent / "lua"
_INCLUDES = re.compile(r"^include ((?:\w+ ?)+)$", re.MULTILINE)


class Script:
    """One script, sent by its digest and whole when the server does not know it."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, redis: Commands, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """What the script returns; one round trip."""
        try:
            return redis.execute_command(*self.command(keys, args))
        except NoScriptError:
            return redis.execute_command("EVAL", self.text, len(keys), *keys, *args)

    def command(self, keys: Sequence[str], args: Sequence[Any]) -> tuple[Any, ...]:
        """What is sent when the server is expected to know the script."""
        return ("EVALSHA", self.digest, len(keys), *keys, *args)

    def settled(self, redis: Commands, reply: Any, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """*reply* to that command; asked again, whole, when the server did not know the script.

        Raises:
            ResponseError: The server refused.
        """
        if isinstance(reply, NoScriptError):
            return redis.execute_command("EVAL", self.text, len(keys), *keys, *args)
        if isinstance(reply, ResponseError):
            raise reply
        return reply


def server_clock() -> str:
    """What a script takes for "now" to look at its server's own clock."""
    return ""


@cache
def script(name: str) -> Script:
    """The script in ``lua/<name>.lua``, with what it includes."""
    text = _read(name)
    included = _INCLUDES.search(text)
    parts = [_read(part) for part in included.group(1).split()] if included else []
    return Script("\n".join([*parts, text]))


def _read(name: str) -> str:
    return (_FOLDER / f"{name}.lua").read_text(encoding="utf-8")
