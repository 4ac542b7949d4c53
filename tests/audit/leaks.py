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
    | p((@|%40)(%2F)?(ss)?((/|%2F)word)?)? | b | c | (0123456789abcdef)+
    | other | unknown | PASSWORD | (sandbox:)?sandbox-token
    | AC(5a){16}(:sandbox-token)?               # the sandbox's account: of the form that Twilio's have
    | 0af7651916cd43dd8448eb211c80319c          # the trace id in the W3C's own examples
    | NARROWS_\w+                               # a variable's name
    | narrows(,\ (key|optional):\ [\w-]+)?      # a Kubernetes Secret's name, and which of its keys
    | narrows,\ defaultMode:\ \d+\}\ +\#\ \d+
    | kubectl\ --namespace\ .*
    """,
    re.VERBOSE,
)
"""Values that stand for a secret and are none. A test that needs one takes ``canary`` or ``hunter2``."""

IN_ADDRESS = re.compile(r"://[^\s:/@\"'{}]*:([^\s@/\"'{}$]+)@")
"""A password in an address; detect-secrets wants a user before it, and Redis' addresses have none."""

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

    path = Path(folder) / name
    with default_settings() as settings:
        settings.disable_filters(
            "detect_secrets.filters.allowlist.is_line_allowlisted"
        )  # no remark excuses one
        seen = [(each.line_number, each.type, each.secret_value or "") for each in scan_file(str(path))]
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    seen += [(at, "Address", found) for at, line in enumerate(lines, 1) for found in IN_ADDRESS.findall(line)]
    strange = {(line, kind) for line, kind, value in seen if not EXAMPLES.fullmatch(value)}
    return [f"{name}:{line}: {kind}" for line, kind in sorted(strange)]
