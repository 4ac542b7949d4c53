"""Addresses of what is to be fetched from the web."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from tasks.arguments import Parsed

__all__ = ["WebAddress", "web_address"]

LONGEST = 2048
WANTED = "takes a web address without credentials, for example https://example.org/picture.jpg"


def web_address(value: Any) -> str:
    """*value* as it is.

    Raises:
        ValueError: Nobody can fetch it, or only who has a password.
    """
    fits = isinstance(value, str) and len(value) <= LONGEST and value.isascii() and value.isprintable()
    try:
        parts = urlsplit(value if fits and " " not in value else "")
        whole = parts.scheme in {"http", "https"} and parts.hostname and (parts.port or 1)
    except ValueError:
        whole = False
    if not whole or parts.username or parts.password:
        raise ValueError(WANTED)
    return str(value)


WebAddress = Annotated[str, Parsed(web_address)]
