"""Who does not want to be written to: known by a digest, asked before a message leaves.

A provider says so once (``suppressed`` among its signs), and the fleet remembers for good, or until a person
lifts it. The digest keeps a recipient out of plain sight, no more: whoever can try all numbers finds it.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from worker.errors import StateUnavailable

if TYPE_CHECKING:
    from typing import Any

    from worker.keys import Keys
    from worker.stores import Commands

__all__ = ["Suppressed"]

_NUMBER = re.compile(r"\+[0-9().-]+")


class Suppressed:
    """The recipients that a provider has told us not to write to. Each method is one round trip."""

    def __init__(self, redis: Commands, keys: Keys) -> None:
        self._redis, self._key = redis, keys.suppressed

    def since(self, recipient: str) -> float | None:
        """Since when *recipient* is not written to, in seconds since the epoch; None when they may be."""
        score = self._ask("ZSCORE", self._key, _digest(recipient))
        return None if score is None else float(score)

    def add(self, recipient: str, *, now: float) -> None:
        """Write to *recipient* no more."""
        self._ask("ZADD", self._key, "NX", now, _digest(recipient))

    def lift(self, recipient: str) -> bool:
        """Write to *recipient* again; whether they were suppressed."""
        return bool(self._ask("ZREM", self._key, _digest(recipient)))

    def count(self) -> int:
        """How many are not written to."""
        return int(self._ask("ZCARD", self._key))

    def _ask(self, *command: Any) -> Any:
        try:
            return self._redis.execute_command(*command)
        except RedisError as gone:
            raise StateUnavailable from gone


def _digest(recipient: str) -> str:
    """What stands for *recipient*, however it was written: ``+1 (212) 555-0123`` is ``+12125550123``."""
    plain = "".join(recipient.split()).casefold()
    if _NUMBER.fullmatch(plain):
        plain = "+" + "".join(filter(str.isdecimal, plain))
    return sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()[:32]
