"""The memory of a process, as the system counts it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

__all__ = ["megabytes"]

MB = 1_000_000


def megabytes(pid: int) -> float:
    """The resident set of process *pid*, in millions of bytes."""
    said = Path(f"/proc/{pid}/statm")
    if said.exists():
        return int(said.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MB
    shown = subprocess.run(  # where there is no /proc
        ["ps", "-o", "rss=", "-p", str(pid)],  # noqa: S607 - the system's own
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return int(shown.stdout) * 1024 / MB
