"""Versions of what lies in Redis, so that old and new workers run side by side.

One number, :data:`FORMAT`, for all that one version writes for another to read: a message with its
``narrows`` header, which is also what a record keeps; a dead letter; sealed arguments, which are a part of
both; an import's state. It stands under ``v``, in the header and in the letter; where there is none it is 1.

1. What is added is optional: who does not know it leaves it as it is. That needs no new number.
2. What would be misread takes the next number. An older worker leaves such a call in Redis for a newer one
   (:mod:`worker.handover`), neither runs, buries nor replays it, and passes its message on as it is: that has
   the same four parts in every version.
3. A newer version reads all that older ones wrote.
4. Where an older one could do harm even so, because the meaning of a key changed, :data:`NEEDS` rises too:
   the first worker of the new version notes it in Redis, and older ones do not start any more.

Cached answers need no number: one that cannot be read is fetched anew (:mod:`worker.cache.envelope`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker.errors import ConfigurationError
from worker.keys import FORMATS

if TYPE_CHECKING:
    from worker.stores import Commands

__all__ = ["FORMAT", "NEEDS", "agree", "is_newer"]

FORMAT = 1
"""What this version writes, and the highest that it reads."""

NEEDS = 1
"""The oldest FORMAT beside which this version can run."""


def is_newer(mark: object) -> bool:
    """Whether what carries *mark* (a ``narrows`` header, or a letter) was written by a newer version."""
    said = mark.get("v") if isinstance(mark, dict) else None
    return isinstance(said, int) and said > FORMAT


def agree(redis: Commands) -> None:
    """Return when this version may run beside those that have run on this Redis; it is noted there.

    Raises:
        ConfigurationError: A newer version has changed what this one would misread.
        RedisError: Nobody knows.
    """
    from worker.scripts import script  # whose Redis client producers do without

    needed = int(script("formats")(redis, [FORMATS], [FORMAT, NEEDS]))
    if needed > FORMAT:
        raise ConfigurationError(
            f"a newer version of Narrows has used this Redis: it needs format {needed}, this version has"
            f" {FORMAT}; run that version or a later one"
        )
