"""A place as a geocoder gives it, and what came of looking for one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from worker.errors import ResponseUnreadable

__all__ = ["Geocoding", "Place", "meaning"]

GOOD = 2
"""Hundreds of a good status."""

Meaning = Literal["empty", "unreadable"] | None
Status = Literal["found", "ambiguous", "not_found"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place in New York City.

    Attributes:
        address: In one line, for people. Of a lot or a building it is one of the addresses that it has.
        latitude: Degrees north (WGS 84); None where the source knows no point.
        longitude: Degrees east, so negative here.
        borough: ``Manhattan``, ``Bronx``, ``Brooklyn``, ``Queens`` or ``Staten Island``.
        zip: Five digits.
        bbl: Ten digits: the tax lot. Only Geoclient knows it.
        billing_bbl: Of a condominium, the lot that stands for all of its units: most data sets file there,
            so ask the other tasks with this one where there is one.
        bin: Seven digits: the building; None also where the City has given it no number of its own yet.
        confidence: How sure the source is, in its own word: ``exact`` and ``possible`` are Geoclient's;
            ``exact``, ``high``, ``medium`` and ``low`` Mapbox's, None where it does not say.
    """

    address: str
    latitude: float | None = None
    longitude: float | None = None
    borough: str | None = None
    zip: str | None = None
    bbl: str | None = None
    billing_bbl: str | None = None
    bin: str | None = None
    confidence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Geocoding:
    """What came of looking for a place.

    Attributes:
        status: ``found`` names one *place* for certain. ``ambiguous`` names *candidates*, at times only one,
            none of them certain: a person chooses. ``not_found`` names nothing.
        candidates: The best first, as the source has them.
        source: Who answered: ``geoclient`` or ``mapbox``.
        note: What it says besides, in words: a warning with a place, or why there is none.
        served: ``live``, ``cache``, or ``stale`` when the source is down and an old answer stands in.
        age: Seconds since the source said so.
    """

    status: Status
    place: Place | None = None
    candidates: list[Place] = field(default_factory=list)
    source: str
    note: str | None = None
    served: str = "live"
    age: float = 0.0

    def aged(self, served: str, age: float) -> Geocoding:
        """The same, as it was served."""
        return replace(self, served=served, age=age)


def meaning(read: Callable[[Any], Geocoding], status: int, body: Any) -> Meaning:
    """Whether a good answer says something that *read* can read (None), nothing, or nothing readable."""
    if status // 100 != GOOD:
        return None
    try:
        return "empty" if read(body).status == "not_found" else None
    except ResponseUnreadable:
        return "unreadable"
