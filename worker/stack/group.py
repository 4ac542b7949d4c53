"""A process at the head of a group of its own, so that it can be ended with all that it starts."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

__all__ = ["start_group"]


def start_group(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    output: int | IO[bytes] = subprocess.DEVNULL,
) -> subprocess.Popen[bytes]:
    """The started process; its number is the group's. *output* takes what it prints and its errors.

    Hold it with a lifeline once it is stored: if that fails, its owner must still be able to end it.
    """
    return subprocess.Popen(  # noqa: S603 - the stack's own programs
        list(command),
        env=env,
        stdin=stdin,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        start_new_session=True,
    )
