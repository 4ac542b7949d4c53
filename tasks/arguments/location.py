"""Where something is, as callers say it: one text, or an object that names the way.

"280 Riverside Drive, Manhattan"      "1018890001" (a BBL)      "1057127" (a BIN)
{"address": "280 Riverside Drive", "borough": "Manhattan"}                     borough, zip: if known
{"house_number": "72-03", "street": "37 Avenue", "zip": "11372"}               or borough
{"intersection": ["Broadway", "West 100 Street"], "borough": "Manhattan"}      compass: if they meet twice
{"bbl": "1018890001"}      {"bin": "1057127"}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from tasks.arguments import Parsed
from tasks.arguments import address as parts

__all__ = ["Location", "LocationArgument", "location"]

WANTED = (
    'takes a text, for example "280 Riverside Drive, Manhattan", '
    "or an object with one of address, street, intersection, bbl and bin"
)
GOES_WITH: Mapping[str, frozenset[str]] = {
    "address": frozenset({"borough", "zip"}),
    "street": frozenset({"house_number", "borough", "zip"}),
    "intersection": frozenset({"borough", "compass"}),
    "bbl": frozenset(),
    "bin": frozenset(),
}
"""The ways to say where, each with what may stand beside it."""

_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "address": parts.address_text,
    "house_number": parts.house_number,
    "street": parts.street,
    "intersection": parts.two_streets,
    "compass": parts.compass,
    "bbl": parts.bbl_number,
    "bin": parts.bin_number,
    "borough": parts.borough,
    "zip": parts.zip_code,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """One way of saying where, each part spelled in the one way; see :mod:`tasks.arguments.address`."""

    address: str | None = None
    house_number: str | None = None
    street: str | None = None
    intersection: tuple[str, str] | None = None
    compass: str | None = None
    bbl: str | None = None
    bin: str | None = None
    borough: str | None = None
    zip: str | None = None

    def __repr__(self) -> str:
        """Without what it says: where people live stays out of logs and tracebacks."""
        return "<Location>"

    @property
    def words(self) -> str:
        """It in one line; "" for a lot or a building, which have numbers only."""
        street = " and ".join(self.intersection or ()) or self.address
        street = street or " ".join(part for part in (self.house_number, self.street) if part)
        town = f"NY {self.zip}" if self.zip else ""
        return ", ".join(part for part in (street, self.borough, town) if part)


def location(value: Any) -> Location:
    """The place that a caller means.

    Raises:
        ValueError: names the part that is wrong and what it takes, without its value.
    """
    if isinstance(value, Location):
        value = asdict(value)
    if isinstance(value, str | int) and not isinstance(value, bool):
        return _of_text(parts.plain_dashes(str(value)).strip())
    if isinstance(value, Mapping):
        return _of_parts({name: part for name, part in value.items() if part is not None})
    raise ValueError(WANTED)


def _of_text(text: str) -> Location:
    if not re.fullmatch("[0-9-]+", text):
        return Location(address=parts.address_text(text))
    if len(text) == len("1057127") and "-" not in text:
        return Location(bin=parts.bin_number(text))
    try:
        return Location(bbl=parts.bbl_number(text))
    except ValueError as wrong:
        raise ValueError(f"a number alone is a BIN of 7 digits or a BBL, which {wrong}") from None


def _of_parts(given: Mapping[Any, Any]) -> Location:
    if not given.keys() <= _PARTS.keys():
        raise ValueError(f"{WANTED}; its parts are {', '.join(_PARTS)}")
    ways = [way for way in GOES_WITH if way in given]
    if len(ways) != 1:
        raise ValueError(f"{WANTED}; it names {' and '.join(ways) or 'none of them'}")
    (way,) = ways
    for name in given:
        if name != way and name not in GOES_WITH[way]:
            raise ValueError(f"{name}: does not go with {way}")
    _complete(way, given)
    return Location(**{name: _part(name, value) for name, value in given.items()})


def _complete(way: str, given: Mapping[str, Any]) -> None:
    """Nothing, unless something has to stand beside *way* that does not."""
    if way == "intersection" and "borough" not in given:
        raise ValueError('borough: is needed with intersection, for example "Manhattan"')
    if way == "street" and "house_number" not in given:
        raise ValueError('house_number: is needed with street, for example "280" or "72-03"')
    if way == "street" and not {"borough", "zip"} & given.keys():
        raise ValueError('borough: is needed with street, for example "Queens", or else a zip')


def _part(name: str, value: Any) -> Any:
    try:
        return _PARTS[name](value)
    except ValueError as wrong:
        raise ValueError(f"{name}: {wrong}") from None


LocationArgument = Annotated[Location, Parsed(location)]
"""A task's argument: whatever :func:`location` takes; an object on the wire."""
