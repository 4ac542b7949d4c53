"""One message for many calls: what is the same in all of them is written once.

Celery takes a third of a millisecond to make a message, though the calls of a batch differ in their ids and
arguments only. So it makes one, with a slot wherever two of them would differ, and each call fills the slots.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

from kombu.utils.json import JSONEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Template", "slot"]

_SLOT = re.compile(r'"\\u0001(\w+)"')
_encoded = JSONEncoder().encode


def slot(name: str) -> str:
    """The text that stands for *name* until it is known. No header holds a control character."""
    return f"\x01{name}"


class Template:
    """Writes what :func:`worker.message.frozen` writes.

    Args:
        text: A frozen message with a slot for each argument of :meth:`filled`, and for ``at``.
        expires: Milliseconds since the epoch after which its calls are not run; None for whenever.
    """

    __slots__ = ("_form", "expires")

    def __init__(self, text: str, *, expires: int | None = None) -> None:
        self._form = _SLOT.sub(r"%(\1)s", text.replace("%", "%%"))
        self.expires = expires

    def filled(
        self, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], argsrepr: str, kwargsrepr: str
    ) -> str:
        """The message of one call, as JSON."""
        return self._form % {
            "task_id": f'"{task_id}"',
            "args": _encoded(args),
            "kwargs": _encoded(kwargs) if kwargs else "{}",
            "argsrepr": _encoded(argsrepr),
            "kwargsrepr": _encoded(kwargsrepr),
            "at": time.time(),
        }
