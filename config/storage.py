"""Where exports go: which addresses are understood, and the storage's own options."""

from __future__ import annotations

import json
import re

__all__ = ["open_place", "options", "options_understood", "understood"]

_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<place>.+)", re.DOTALL)


def understood(address: str) -> str:
    """*address* itself, without a slash at its end; ValueError when it names no place. Never shows it."""
    found = _ADDRESS.fullmatch(address)
    if found is None or not found["place"].strip("/"):
        raise ValueError("must name a place, like s3://bucket/prefix or file:///var/lib/narrows/letters")
    if found["scheme"] == "memory":
        raise ValueError("must name a place that outlives this process, not memory://")
    if found["scheme"] == "file" and not found["place"].startswith("/"):
        raise ValueError("must name a whole path, like file:///var/lib/narrows/letters")
    return address.rstrip("/")


def open_place(address: str) -> str:
    """*address* itself, as :func:`understood`; ValueError when it holds credentials: others may read it."""
    if "@" in address or "?" in address:
        raise ValueError("must not hold credentials; those stand in the options, or in the storage's own")
    return understood(address)


def options_understood(text: str) -> str:
    """*text* itself; ValueError when it is no JSON object. Never shows it."""
    options(text)
    return text


def options(text: str) -> dict[str, object]:
    """What *text* says to the storage; ValueError when it is no JSON object."""
    try:
        read = json.loads(text)
    except ValueError:
        read = None
    if isinstance(read, dict):
        return read
    raise ValueError('must be a JSON object, like {"endpoint_url": "https://storage.example.com"}')
