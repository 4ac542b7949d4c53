"""What Geoclient's answers say: places, or why there is none.

A search answers ``{"status": "OK" | "REJECTED", "results": [{"status", "response"}, ...]}``, every other
question ``{"<its name>": {...}}``. Both come with a 200 whatever came of it: Geosupport's return codes tell,
``00`` for a place, ``01`` for one with a warning, all others for none. What is null is left out, and texts
are padded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks.arguments.address import bin_number
from tasks.arguments.bbl import BBL, BOROUGHS
from tasks.arguments.place import Geocoding, Place
from worker.errors import ResponseUnreadable

__all__ = ["SOURCE", "geocoding"]

SOURCE = "geoclient"
WRAPPERS = ("address", "intersection", "bbl", "bin")
TAKEN = ("00", "01")
"""Return codes of a place; the second comes with a warning."""

_LONGEST = 200
_MEANT = {"EXACT_MATCH": "exact", "POSSIBLE_MATCH": "possible"}

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """One place that Geosupport was asked for.

    Attributes:
        match: ``exact``, ``possible``, or "" when it is none.
    """

    match: str
    response: Document

    @property
    def note(self) -> str | None:
        """A warning, or why there is none."""
        return _text(self.response, "message", "message2")


def geocoding(body: Any) -> Geocoding:
    """What *body* says of a place; a match that is only possible is never taken for one.

    Raises:
        ResponseUnreadable: It is no answer of Geoclient's, or has a place with nothing in it.
    """
    said = _said(body)
    places = list(dict.fromkeys(_place(each) for each in said if each.match))  # the same twice is one
    certain = [place for place in places if place.confidence == "exact"]
    if len(certain) == 1:
        note = next(each.note for each in said if each.match == "exact")
        return Geocoding(status="found", place=certain[0], source=SOURCE, note=note)
    if places:
        return Geocoding(status="ambiguous", candidates=certain or places, source=SOURCE)
    notes = [each.note for each in said if each.note]
    return Geocoding(status="not_found", source=SOURCE, note=notes[0] if notes else None)


def _said(body: Any) -> list[_Said]:
    if not isinstance(body, Mapping):
        raise ResponseUnreadable("geoclient: an answer that is no object", status=200)
    if "status" in body:
        return _searched(body)
    found = [body[name] for name in WRAPPERS if name in body]
    if len(found) != 1:
        raise ResponseUnreadable("geoclient: an answer to no question of ours", status=200)
    return [_Said(match="exact" if _taken(found[0]) else "", response=found[0])]


def _searched(body: Document) -> list[_Said]:
    results = body.get("results", [] if body["status"] == "REJECTED" else None)
    if body["status"] not in ("OK", "REJECTED") or not isinstance(results, list):
        raise ResponseUnreadable("geoclient: a search without its status or results", status=200)
    return [_result(each) for each in results]


def _result(result: Any) -> _Said:
    if not isinstance(result, Mapping):
        raise ResponseUnreadable("geoclient: a search's result that is no object", status=200)
    taken, response = _taken(result.get("response")), result["response"]
    return _Said(match=_MEANT.get(str(result.get("status")), "") if taken else "", response=response)


def _taken(response: Any) -> bool:
    code = _text(response, "geosupportReturnCode") if isinstance(response, Mapping) else None
    if code is None:
        raise ResponseUnreadable("geoclient: a place without Geosupport's return code", status=200)
    return code in TAKEN


def _place(said: _Said) -> Place:
    """The place; its lot and building only where the second return code vouches for them too."""
    told = said.response
    lot = told if told.get("geosupportReturnCode2", "00") in TAKEN else {}
    street, borough, zip_code = _street(told), _borough(told), _text(told, "zipCode", "leftSegmentZipCode")
    latitude, longitude = _point(told)
    if not (street or latitude is not None or _lot(lot, "bbl")):
        raise ResponseUnreadable("geoclient: a place without a street, a point or a lot", status=200)
    return Place(
        address=", ".join(part for part in (street, borough, zip_code and f"NY {zip_code}") if part),
        latitude=latitude,
        longitude=longitude,
        borough=borough,
        zip=zip_code,
        bbl=_lot(lot, "bbl"),
        billing_bbl=_lot(lot, "condominiumBillingBbl"),
        bin=_building(lot),
        confidence=said.match,
    )


def _street(told: Document) -> str | None:
    """The street with its number, two streets that meet, or the first address of a lot or a building."""
    first, second = _text(told, "firstStreetNameNormalized"), _text(told, "secondStreetNameNormalized")
    if first and second:
        return f"{first} and {second}"
    number = _text(told, "houseNumber", "houseNumberIn")
    if first is None:
        number, first = _text(told, "giLowHouseNumber1"), _text(told, "giStreetName1")
    return " ".join(part for part in (number, first) if part) or None


def _borough(told: Document) -> str | None:
    name = _text(told, "firstBoroughName")
    if name in BOROUGHS:
        return str(name).title()
    code = _text(told, "bblBoroughCode", "boroCode")
    return BOROUGHS[int(code) - 1].title() if code in {"1", "2", "3", "4", "5"} else None


def _lot(told: Document, name: str) -> str | None:
    """A lot's number; it is all zeros where there is none."""
    found = BBL.from_column(told.get(name, ""))
    return None if found is None else str(found)


def _building(told: Document) -> str | None:
    try:
        return bin_number(told.get("buildingIdentificationNumber"))
    except ValueError:
        return None


def _point(told: Document) -> tuple[float, float] | tuple[None, None]:
    """Degrees north and east: of the address, or else of the middle of its lot; never one of each."""
    for kind in ("", "InternalLabel"):
        latitude = _degrees(told, f"latitude{kind}", 90.0)
        longitude = _degrees(told, f"longitude{kind}", 180.0)
        if latitude is not None and longitude is not None:
            return latitude, longitude
    return None, None


def _degrees(told: Document, name: str, most: float) -> float | None:
    value = told.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    return float(value) if abs(value) <= most else None  # NaN is nowhere


def _text(told: Document, *names: str) -> str | None:
    """The first of *names* that says something, without its padding."""
    for name in names:
        value = told.get(name)
        if isinstance(value, str) and (text := " ".join(value.split())):
            return text[:_LONGEST]
    return None
