"""What looks like a secret among the files, by detect-secrets; what stands for one in examples is known.

A value is known by itself, not by its line: a real key beside an example is still found.
"""

from __future__ import annotations

import os
import re
import subprocess
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

__all__ = ["EXAMPLES", "found"]

EXAMPLES = re.compile(
    r"""
      .*canary.* | hunter\d | (i:)?k | k,l | key | key-of-\w+ | s3(%2F)?cret | secret | (open\ )?sesame | pw
    | p(@|%40)(%2F)?(ss)?((/|%2F)word)? | (0123456789abcdef)+
    | other | unknown | PASSWORD | (sandbox:)?sandbox-token
    | AC(5a){16}(:sandbox-token)?               # the sandbox's account: of the form that Twilio's have
    | 0af7651916cd43dd8448eb211c80319c          # the trace id in the W3C's own examples
    | NARROWS_\w+                               # a variable's name
    | narrows(,\ .*)?                           # a Kubernetes Secret's name
    | kubectl\ .*
    """,
    re.VERBOSE,
)
"""Values that stand for a secret and are none. A test that needs one takes ``canary`` or ``hunter2``."""

UNREAD = (".lock", ".png", ".svg", ".ipynb")
"""Digests of packages, and pictures."""


def found(folder: Path) -> tuple[int, list[str]]:
    """How many files were looked at, and where something looks like a secret: ``file:line: kind``."""
    files = [name for name in listed(folder) if not name.endswith(UNREAD)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        places = pool.map(_look, [str(folder)] * len(files), files, chunksize=32)
        return len(files), [place for each in places for place in each]


def listed(folder: Path) -> list[str]:
    """The files that git has or would take; all of them where there is no git."""
    if (folder / ".git").exists():
        command = ["git", "-C", str(folder), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    else:
        names = [str(path.relative_to(folder)) for path in folder.rglob("*")]
    return sorted(name for name in set(names) if name and (folder / name).is_file())


def _look(folder: str, name: str) -> list[str]:
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    with default_settings():
        seen = list(scan_file(os.path.join(folder, name)))  # noqa: PTH118 - it wants a string
    strange = {
        (each.line_number, each.type) for each in seen if not EXAMPLES.fullmatch(each.secret_value or "")
    }
    return [f"{name}:{line}: {kind}" for line, kind in sorted(strange)]
