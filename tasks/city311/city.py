"""A city as its service requests know it: who answers for what, and where it lies.

What a city does not say is not checked: without zips, any zip of five digits is taken.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Area", "City"]

POLE, TURN = 90.0, 180.0
"""Degrees: no latitude and no longitude is more."""

_ZIP = re.compile(r"([0-9]{5})(?:-[0-9]{4})?")
_RANGE = re.compile(r"([0-9]{5})(?:-([0-9]{5}))?")
_AGENCY = re.compile(r"[A-Z0-9][A-Z0-9&-]{0,15}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """A box of degrees that holds the whole city."""

    south: float
    west: float
    north: float
    east: float

    def __post_init__(self) -> None:
        if not (-POLE <= self.south < self.north <= POLE and -TURN <= self.west < self.east <= TURN):
            raise ValueError("takes south < north within 90 degrees and west < east within 180")


@dataclass(frozen=True, slots=True, kw_only=True)
class City:
    """What a service request must fit.

    Attributes:
        zone: Whose time it keeps, an IANA name.
        agencies: Their short names, as the city takes them; none given is any.
        boroughs: Its parts, where it has some.
        zips: Single ones and ranges, ``"10001-10282"``.
    """

    name: str
    zone: str
    agencies: tuple[str, ...] = ()
    boroughs: tuple[str, ...] = ()
    zips: tuple[str, ...] = ()
    area: Area | None = None

    def __post_init__(self) -> None:
        for each in self.zips:
            match = _RANGE.fullmatch(each)
            if match is None or (match[2] and match[2] < match[1]):
                raise ValueError('takes zips of five digits and ranges such as "10001-10282"')

    def agency(self, value: str) -> str:
        """The agency as the city spells it; ValueError when it has none of that name."""
        if self.agencies:
            return _one_of(self.agencies, value, "an agency")
        if not _AGENCY.fullmatch(found := value.strip().upper()):
            raise ValueError("takes an agency's short name, for example DOT")
        return found

    def borough(self, value: str) -> str:
        """The part of the city as the city spells it."""
        return _one_of(self.boroughs, value, "a borough") if self.boroughs else value.strip()

    def zip_code(self, value: str) -> str:
        """Five digits; what follows a dash is left out."""
        match = _ZIP.fullmatch(value.strip())
        if match is None:
            raise ValueError("takes a zip of five digits")
        if self.zips and not any(_holds(each, match[1]) for each in self.zips):
            raise ValueError(f"takes a zip of {self.name}")
        return match[1]

    def latitude(self, value: float) -> float:
        """Degrees north, in the city."""
        south, north = (self.area.south, self.area.north) if self.area else (-POLE, POLE)
        return self._within("latitude", value, south, north)

    def longitude(self, value: float) -> float:
        """Degrees east, in the city."""
        west, east = (self.area.west, self.area.east) if self.area else (-TURN, TURN)
        return self._within("longitude", value, west, east)

    def _within(self, what: str, value: float, lowest: float, highest: float) -> float:
        if not lowest <= value <= highest:  # NaN is nowhere
            raise ValueError(f"takes a {what} in {self.name}, from {lowest:g} to {highest:g}")
        return value


def _one_of(names: Iterable[str], value: str, what: str) -> str:
    known = {name.upper(): name for name in names}
    asked = " ".join(value.upper().split())
    if asked in known:
        return known[asked]
    near = difflib.get_close_matches(asked, known, n=1, cutoff=0.5)
    hint = f"; did you mean {known[near[0]]}?" if near else ""
    raise ValueError(f"takes {what} of the city: {', '.join(known.values())}{hint}")


def _holds(zips: str, code: str) -> bool:
    lowest, _, highest = zips.partition("-")
    return lowest <= code <= (highest or lowest)
