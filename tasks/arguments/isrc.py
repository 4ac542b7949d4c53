"""ISRC: the code of one recording, in one spelling.

Twelve characters: two letters of a country, three letters or digits of a registrant, two digits of a year,
five of a designation. Sleeves and spreadsheets write ``US-UM7-17-03692``, under which providers find nothing.

Docs     https://isrc.ifpi.org/en/isrc-standard/structure (ISO 3901)
Read on  2026-11-21
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = ["ISRC", "OptionalISRC", "isrc", "isrc_or_none"]

_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[0-9]{7}")
_WANTED = 'takes an ISRC of 12 letters and digits, for example "USUM71703692"'


def isrc(value: Any) -> str:
    """The twelve characters of *value*, which may have dashes, spaces, small letters or a leading ``ISRC``.

    Raises:
        ValueError: says what an ISRC is and shows one, without the value.
    """
    text = re.sub(r"[\s-]", "", value).upper() if isinstance(value, str) else ""
    text = text.removeprefix("ISRC").removeprefix(":")
    if not _ISRC.fullmatch(text):
        raise ValueError(_WANTED)
    return text


def isrc_or_none(value: Any) -> str | None:
    """As :func:`isrc`; None stays None."""
    return None if value is None else isrc(value)


ISRC = Annotated[str, Parsed(isrc)]
OptionalISRC = Annotated[str | None, Parsed(isrc_or_none)]
