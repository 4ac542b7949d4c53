"""A telephone number of the United States, as people write it."""

from __future__ import annotations

import re

__all__ = ["WANTED", "phone"]

WANTED = "takes a US telephone number of ten digits, for example +12125550123"

_BETWEEN = re.compile(r"[\s().,/\u2010-\u2015\u2212-]+")
"""What stands between digits: spaces, brackets, dots, slashes, and all that looks like a hyphen."""

_NUMBER = re.compile(
    r"(?:tel:)?(?:\+?1)?([2-9][0-9]{2}[2-9][0-9]{6})(?:(?:;ext=|x|ext|extension|#)([0-9]{1,7}))?",
    re.ASCII | re.IGNORECASE,
)


def phone(value: str) -> str:
    """``+12125550123``, and ``+12125550123 ext. 45`` (as E.123 writes it) where there is an extension.

    Raises:
        ValueError: It is no such number.
    """
    match = _NUMBER.fullmatch(_BETWEEN.sub("", value))
    if match is None:
        raise ValueError(WANTED)
    number, extension = match.groups()
    return f"+1{number}" + (f" ext. {extension}" if extension else "")
