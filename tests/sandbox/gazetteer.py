"""A few addresses of New York City, for the players that geocode.

280 Riverside Drive and 50 John Street are as Geoclient's own documentation has them; the rest is made up so
that each way of looking has its trap: a name in two boroughs, a hyphen, a condominium, a meeting of streets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["BOROUGHS", "CROSSINGS", "PLACES", "Crossing", "Place", "spelled"]

BOROUGHS = ("MANHATTAN", "BRONX", "BROOKLYN", "QUEENS", "STATEN ISLAND")

_LONG = {
    "W": "WEST", "E": "EAST", "N": "NORTH", "S": "SOUTH", "ST": "STREET", "AV": "AVENUE", "AVE": "AVENUE",
    "DR": "DRIVE", "RD": "ROAD", "BLVD": "BOULEVARD", "PL": "PLACE",
}  # fmt: skip
_ORDINAL = re.compile(r"([0-9]+)(?:ST|ND|RD|TH)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One address; *unit* is a lot of a condominium that stands behind the billing lot *bbl*."""

    number: str
    street: str
    borough: int
    zip: str
    bbl: str
    bin: str
    latitude: float
    longitude: float
    unit: str = ""

    @property
    def town(self) -> str:
        """The borough's name."""
        return BOROUGHS[self.borough - 1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Two streets that meet."""

    streets: tuple[str, str]
    borough: int
    zip: str
    latitude: float
    longitude: float


PLACES = (
    Place(
        number="280", street="RIVERSIDE DRIVE", borough=1, zip="10025", bbl="1018890001", bin="1057127",
        latitude=40.798502, longitude=-73.972709,
    ),
    Place(
        number="50", street="JOHN STREET", borough=1, zip="10038", bbl="1000670001", bin="1079043",
        latitude=40.708659, longitude=-74.007982,
    ),
    Place(
        number="100", street="BROADWAY", borough=1, zip="10005", bbl="1000460003", bin="1001023",
        latitude=40.708, longitude=-74.0109,
    ),
    Place(
        number="100", street="BROADWAY", borough=3, zip="11249", bbl="3024690001", bin="3063381",
        latitude=40.7099, longitude=-73.9652,
    ),
    Place(
        number="72-03", street="37 AVENUE", borough=4, zip="11372", bbl="4012780001", bin="4029501",
        latitude=40.7491, longitude=-73.8932,
    ),
    Place(
        number="1", street="MAIN STREET", borough=3, zip="11201", bbl="3000377501", bin="3000000",
        latitude=40.7037, longitude=-73.9906, unit="3000371001",
    ),
)  # fmt: skip

CROSSINGS = (
    Crossing(
        streets=("BROADWAY", "WEST 100 STREET"), borough=1, zip="10025", latitude=40.7968, longitude=-73.9704
    ),
)


def spelled(street: str) -> str:
    """A street's name as the City writes it: in full, in capitals, without ordinals and punctuation."""
    words = re.sub(r"[^0-9A-Z-]+", " ", street.upper()).split()
    return " ".join(_ORDINAL.sub(r"\1", _LONG.get(word, word)) for word in words)
