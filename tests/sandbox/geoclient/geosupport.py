"""What Geosupport, behind Geoclient, says: a document of padded texts, always with a return code.

Recorded (contracts/recorded/geoclient): an address, a lot, a search that matches. The refusal of a name that
it does not know is as Geoclient's documentation shows one. Assumed: the other codes' messages.
"""

from __future__ import annotations

import difflib
from typing import Any

from tests.sandbox.gazetteer import BOROUGHS, CROSSINGS, PLACES, Crossing, Place, spelled

__all__ = ["address", "building", "intersection", "lot", "similar_streets"]

Document = dict[str, Any]


def address(number: str, street: str, *, borough: int = 0, zip_code: str = "") -> Document:
    """Function 1B: an address in a borough or a zip."""
    name = spelled(street)
    asked = {"houseNumberIn": number, "streetName1In": street.upper(), "firstStreetNameNormalized": name}
    near = [place for place in PLACES if borough in {0, place.borough} and zip_code in {"", place.zip}]
    there = [place for place in near if place.street == name]
    if not there:
        return {**asked, **_unknown(street, [place.street for place in near])}
    for place in there:
        if place.number == number.upper():
            said = f"{place.number} {place.street} IS ON RIGHT SIDE OF ANOTHER STREET"
            return {**asked, **_address(place), "geosupportReturnCode": "01", "message": said}
    said = f"ADDRESS NUMBER OUT OF RANGE FOR {name}"
    return {**asked, "geosupportFunctionCode": "1B", "geosupportReturnCode": "42", "message": said}


def intersection(one: str, two: str, borough: int) -> Document:
    """Function 2W: where two streets meet."""
    names = {spelled(one), spelled(two)}
    for crossing in CROSSINGS:
        if set(crossing.streets) == names and crossing.borough == borough:
            return _crossing(crossing)
    known = [street for each in CROSSINGS if each.borough == borough for street in each.streets]
    strange = next((street for street in (one, two) if spelled(street) not in known), two)
    return {"geosupportFunctionCode": "2W", **_unknown(strange, known)}


def lot(bbl: str) -> Document:
    """Function BL: a tax lot, or the lot of a unit."""
    for place in PLACES:
        if bbl in {place.bbl, place.unit}:
            return {**_lot(place, bbl), "geosupportFunctionCode": "BL", "geosupportReturnCode": "00"}
    return _none("BL", "TAX BLOCK NOT FOUND")


def building(number: str) -> Document:
    """Function BN: a building."""
    for place in PLACES:
        if number == place.bin:
            return {**_lot(place, place.bbl), "geosupportFunctionCode": "BN", "geosupportReturnCode": "00"}
    return _none("BN", "BIN NOT FOUND")


def similar_streets(street: str) -> list[str]:
    """Names that are near to one that there is not."""
    return difflib.get_close_matches(spelled(street), {place.street for place in PLACES}, n=3, cutoff=0.75)


def _address(place: Place) -> Document:
    return {
        **_property(place, place.bbl),
        "geosupportFunctionCode": "1B",
        "geosupportReturnCode2": "00",
        "returnCode1a": "00",
        "returnCode1e": "01",
        "houseNumber": place.number,
        "firstStreetNameNormalized": place.street,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "censusTract2020": " 187  ",
        "uspsPreferredCityName": "NEW YORK",
        "zipCode": place.zip,
    }


def _lot(place: Place, bbl: str) -> Document:
    """A lot has the point of its middle, and the ends of its streets, but no zip."""
    return {
        **_property(place, bbl),
        "giLowHouseNumber1": place.number,
        "giStreetName1": place.street,
        "latitudeInternalLabel": place.latitude,
        "longitudeInternalLabel": place.longitude,
        "returnCode1a": "00",
    }


def _property(place: Place, bbl: str) -> Document:
    return {
        "bbl": bbl,
        "bblBoroughCode": bbl[0],
        "bblTaxBlock": bbl[1:6],
        "bblTaxLot": bbl[6:],
        "buildingIdentificationNumber": place.bin,
        "condominiumBillingBbl": place.bbl if place.unit else "0000000000",
        "firstBoroughName": place.town,
    }


def _crossing(crossing: Crossing) -> Document:
    one, two = crossing.streets
    return {
        "firstBoroughName": BOROUGHS[crossing.borough - 1],
        "firstStreetNameNormalized": one,
        "secondStreetNameNormalized": two.replace(" ", "  ", 1),
        "geosupportFunctionCode": "2W",
        "geosupportReturnCode": "00",
        "latitude": crossing.latitude,
        "longitude": crossing.longitude,
        "zipCode": crossing.zip,
    }


def _unknown(street: str, known: list[str]) -> Document:
    """EE where names are similar, 11 where none is."""
    near = difflib.get_close_matches(spelled(street), set(known), n=3, cutoff=0.75)
    said = f"'{street.upper()}' NOT RECOGNIZED. THERE ARE {len(near):03d} SIMILAR NAMES."
    names = {f"streetName{n}": name for n, name in enumerate(near, 1)}
    return {"geosupportReturnCode": "EE" if near else "11", "message": said, "reasonCode": "4", **names}


def _none(function: str, said: str) -> Document:
    return {"geosupportFunctionCode": function, "geosupportReturnCode": "42", "message": said}
