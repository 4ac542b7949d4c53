"""Whether what is installed is what was locked and tested."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path

__all__ = ["LOCK", "unlike"]

LOCK = Path(__file__).resolve().parents[2] / "requirements" / "runtime.lock"

_PIN = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


def unlike(lock: Path = LOCK) -> list[str]:
    """Packages whose version is none that the lock names: ``redis 7.0.0 instead of 8.1.0``.

    A package that is locked for another system and not installed here is none of them.

    Raises:
        FileNotFoundError: There is no lock; an image may leave it out.
    """
    pins: dict[str, list[str]] = {}
    for name, version in _PIN.findall(lock.read_text(encoding="utf-8")):
        pins.setdefault(name, []).append(version)
    here = {name: _installed(name) for name in pins}
    return [
        f"{name} {version} instead of {' or '.join(pins[name])}"
        for name, version in here.items()
        if version is not None and version not in pins[name]
    ]


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
