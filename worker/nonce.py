"""Names that nobody else in the fleet has: a worker's, and one for each of its calls."""

from __future__ import annotations

import os
import secrets
from itertools import count

__all__ = ["nonce", "worker_name"]

_count = count()
_process = (0, "", "")


def worker_name() -> str:
    """What the nonces of this worker's calls begin with, those of its pool's children too.

    ``lua/release.lua`` tells by it whose leases take slots; a worker that is gone has none.
    """
    return _names()[0]


def nonce() -> str:
    """A name for one call: the process's own, and a number."""
    return f"{_names()[1]}-{next(_count):x}"


def _names() -> tuple[str, str]:
    """The worker's name and this process's own, which begins with it."""
    global _process  # noqa: PLW0603 - a forked child must not go on with its parent's
    if _process[0] != os.getpid():
        worker = _process[1] or f"{os.getpid()}_{secrets.token_hex(6)}"
        _process = (os.getpid(), worker, f"{worker}.{secrets.token_hex(4)}" if _process[1] else worker)
    return _process[1:]
