"""The parts of an address in New York City, each checked and spelled in the one way.

Capitals, single spaces, plain dashes: all spellings of one place become one, and its answer is kept once.
A refusal says what the part takes and never repeats it.

Docs     https://nycplanning.github.io/Geosupport-UPG/ (boroughs, house numbers with a hyphen, BIN)
Read on  2026-11-21
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from tasks.arguments import Parsed
from tasks.arguments.bbl import BBL, BOROUGHS

__all__ = [
    "AddressText",
    "address_text",
    "bbl_number",
    "bin_number",
    "borough",
    "compass",
    "ending",
    "house_number",
    "plain_dashes",
    "street",
    "two_streets",
    "zip_code",
]

LONGEST, MOST_WORDS = 200, 16
"""Of an address; with a borough and a zip behind it, it still fits what Mapbox takes (256 and 20)."""

_DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_HOUSE = re.compile(r"[0-9]{1,6}[0-9A-Z /½-]{0,14}")
_ZIP = re.compile(r"([0-9]{5})(?:-[0-9]{4})?")
_ENDING = re.compile(
    rf"(?:[ ,]+({'|'.join(BOROUGHS)}))?(?:[ ,]+(?:NY|NEW YORK))*"
    r"(?:[ ,]+([0-9]{5})(?:-[0-9]{4})?)?(?:[ ,]+USA)?$"
)
_BIN = re.compile(r"[1-5][0-9]{6}")
_SHORT = {"MN": 1, "BX": 2, "BK": 3, "QN": 4, "SI": 5, "THE BRONX": 2, "BKLYN": 3, "STATENISLAND": 5}
_NUMBERS = {**_SHORT, **{spelling: n for n, name in enumerate(BOROUGHS, 1) for spelling in (name, str(n))}}


def address_text(value: Any) -> str:
    """An address, a place or an intersection in one line."""
    wanted = 'takes an address in one line, for example "280 Riverside Drive, Manhattan"'
    text = _clean(value, wanted)
    if not re.search("[A-Z]", text):
        raise ValueError(f"{wanted}: a street and not only numbers")
    if ";" in text:  # Mapbox parts several addresses with them
        raise ValueError(f"{wanted}, without semicolons")
    if len(text) > LONGEST or len(text.split()) > MOST_WORDS:
        raise ValueError(f"{wanted}, of {LONGEST} characters and {MOST_WORDS} words at most")
    return re.sub(r"\s*,[\s,]*", ", ", text).strip(" ,")


def house_number(value: Any) -> str:
    """A house number, whose hyphen is a part of it in Queens."""
    wanted = 'takes a house number, for example "280" or, as in Queens, "72-03"'
    text = re.sub(r"\s*-\s*", "-", _clean(_spelled(value), wanted))
    if not _HOUSE.fullmatch(text):
        raise ValueError(wanted)
    return text


def street(value: Any) -> str:
    """A street's name."""
    wanted = 'takes the name of a street, for example "37 Avenue"'
    text = _clean(value, wanted)
    if not re.search("[A-Z]", text) or ";" in text or len(text) > LONGEST // 4:
        raise ValueError(wanted)
    return text.strip(" ,")


def two_streets(value: Any) -> tuple[str, str]:
    """The streets that meet."""
    match value:
        case [one, two]:
            return street(one), street(two)
        case _:
            raise ValueError('takes two streets, for example ["Broadway", "West 100 Street"]')


def compass(value: Any) -> str:
    """A letter: at which end of it two streets meet that meet twice."""
    if not isinstance(value, str) or (way := value.strip().upper()) not in {"N", "S", "E", "W"}:
        raise ValueError("takes N, S, E or W")
    return way


def borough(value: Any) -> str:
    """As Geoclient's own description spells it: ``Staten Island``."""
    wanted = "takes Manhattan, Bronx, Brooklyn, Queens or Staten Island"
    number = _NUMBERS.get(_clean(_spelled(value), wanted))
    if number is None:
        raise ValueError(wanted)
    return BOROUGHS[number - 1].title()


def zip_code(value: Any) -> str:
    """Five digits; what follows a dash is left out."""
    match = _ZIP.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError('takes a zip of five digits as text, for example "11372"')
    return match[1]


def ending(address: str) -> tuple[str | None, str | None]:
    """The borough and the zip that an address in one line ends with, as far as it does."""
    match = _ENDING.search(address.upper())
    name, zip_code = match.groups() if match else (None, None)
    return name and name.title(), zip_code


def bbl_number(value: Any) -> str:
    """A tax lot's ten digits."""
    return str(BBL.parse(value))


def bin_number(value: Any) -> str:
    """A building's number. 1000000, 2000000 and so on stand for buildings that have none."""
    wanted = 'takes a BIN: 7 digits that begin with a borough from 1 to 5, for example "1057127"'
    text = str(_spelled(value)).strip()
    if not _BIN.fullmatch(text):
        raise ValueError(wanted)
    if text.endswith("000000"):
        raise ValueError(f"{wanted}; that one is the City's placeholder for a building without a number")
    return text


def plain_dashes(text: str) -> str:
    """*text* with plain hyphens for whatever looks like one."""
    return text.translate(_DASHES)


def _spelled(value: Any) -> Any:
    """A number as people write it."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _clean(value: Any, wanted: str) -> str:
    text = " ".join(value.translate(_DASHES).upper().split()) if isinstance(value, str) else ""
    if not text or not text.isprintable():
        raise ValueError(wanted)
    return text


AddressText = Annotated[str, Parsed(address_text)]
"""A task's argument: an address in one line."""
