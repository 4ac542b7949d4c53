"""What Mapbox's answers say (version 6): places, and how sure it is of each.

An answer is ``{"features": [{"properties": {"full_address", "coordinates": {"longitude", "latitude"},
"match_code": {"confidence"}, "context": {"postcode": {"name"}, ...}}}, ...]}``, the best first, however bad
it is. Only addresses have a ``match_code``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.arguments.address import ending
from tasks.arguments.bbl import BOROUGHS
from tasks.arguments.place import Geocoding, Place
from worker.errors import ResponseUnreadable

__all__ = ["SOURCE", "geocoding"]

SOURCE = "mapbox"
CERTAIN = ("exact", "high")
"""Confidences of a match: all that was asked for fits, or all but one small thing. The others are guesses."""

LONGEST = 300
"""Characters of a text in an answer that are kept."""


def geocoding(body: Any, asked: str = "") -> Geocoding:
    """What *body* says: a place where one match is certain, or else all matches as candidates.

    None is certain that lies in another borough or zip than *asked* ends with, however sure Mapbox is: it
    puts one part right by the others.

    Raises:
        ResponseUnreadable: It is no answer of version 6.
    """
    features = body.get("features") if isinstance(body, Mapping) else None
    if not isinstance(features, list):
        raise ResponseUnreadable("mapbox: an answer without features", status=200)
    places = [_place(each) for each in features]
    where = ending(asked)
    for confidence in CERTAIN:
        certain = [each for each in places if each.confidence == confidence and _agrees(each, *where)]
        if len(certain) == 1:
            return Geocoding(status="found", place=certain[0], source=SOURCE)
        if certain:
            break
    return Geocoding(status="ambiguous" if places else "not_found", candidates=places, source=SOURCE)


def _place(feature: Any) -> Place:
    told = _part(feature, "properties")
    point, context, match = _part(told, "coordinates"), _part(told, "context"), _part(told, "match_code")
    latitude, longitude = _degrees(point, "latitude", 90.0), _degrees(point, "longitude", 180.0)
    if latitude is None or longitude is None:
        raise ResponseUnreadable("mapbox: a feature without coordinates of its own", status=200)
    parts = (_text(told, "name"), _text(told, "place_formatted"))
    return Place(
        address=_text(told, "full_address") or ", ".join(part for part in parts if part),
        latitude=latitude,
        longitude=longitude,
        borough=_borough(context),
        zip=_text(_part(context, "postcode"), "name"),
        confidence=_text(match, "confidence"),
    )


def _agrees(place: Place, borough: str | None, zip_code: str | None) -> bool:
    """Whether *place* may lie there; what is not known contradicts nothing."""
    return place.borough in {None, borough or place.borough} and place.zip in {None, zip_code or place.zip}


def _borough(context: Mapping[str, Any]) -> str | None:
    """The first part of *context* that is one; Mapbox has most as localities of the place New York."""
    for part in ("locality", "place", "district"):
        name = (_text(_part(context, part), "name") or "").upper().removeprefix("THE ")
        if name in BOROUGHS:
            return name.title()
    return None


def _part(told: Any, name: str) -> Mapping[str, Any]:
    found = told.get(name) if isinstance(told, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(told: Mapping[str, Any], name: str) -> str | None:
    value = told.get(name)
    return value.strip()[:LONGEST] or None if isinstance(value, str) else None


def _degrees(point: Mapping[str, Any], name: str, most: float) -> float | None:
    value = point.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) <= most else None  # NaN is nowhere
