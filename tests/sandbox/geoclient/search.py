"""Geoclient's search: one field, parted as its documentation says, and asked of every borough it may mean.

level 0   as typed, in the borough or zip that was named: EXACT_MATCH
level 1   no borough was named: all five, each a POSSIBLE_MATCH, also when only one has it
level 2   a street of a similar name: POSSIBLE_MATCH
"""

from __future__ import annotations

import re
from typing import Any

from tests.sandbox.gazetteer import BOROUGHS, spelled
from tests.sandbox.geoclient import geosupport

__all__ = ["search"]

Document = dict[str, Any]

_NAMES = {**{name: n for n, name in enumerate(BOROUGHS, 1)}, "NEW YORK": 1, "NY": 1, "NYC": 1, "ASTORIA": 4}
_TAKEN = {"00", "01"}


def search(text: str) -> Document:
    """What was found: ``OK`` with results, or ``REJECTED`` without any."""
    results = _results(" ".join(re.sub(r"[^0-9A-Z&-]+", " ", text.upper()).split()))
    status = "OK" if results else "REJECTED"
    return {"id": f"sandbox-1-{len(text)}", "status": status, "input": text, "results": results}


def _results(text: str) -> list[Document]:
    if re.fullmatch("[1-5][0-9]{9}", text):
        return _certain(f"bbl [{text}]", geosupport.lot(text))
    if re.fullmatch("[1-5][0-9]{6}", text):
        return _certain(f"bin [{text}]", geosupport.building(text))
    text, zip_code = _ending(text, r"[0-9]{5}")
    if zip_code:
        text, _ = _ending(text, "NY")
    text, name = _ending(text, "|".join(sorted(_NAMES, key=len, reverse=True)))
    borough = _NAMES.get(name, 0)
    if match := re.fullmatch(r"(.+) (?:AND|&) (.+)", text):
        return _met(match[1], match[2], borough)
    if match := re.fullmatch(r"([0-9]+(?:-[0-9]+)?) (.+)", text):
        return _addressed(match[1], match[2], borough, zip_code)
    return []


def _addressed(number: str, street: str, borough: int, zip_code: str) -> list[Document]:
    asked = f"address [houseNumber={number}, street={street}]"
    if borough or zip_code:
        exact = _certain(asked, geosupport.address(number, street, borough=borough, zip_code=zip_code))
        return exact or _similar(number, street, [borough], zip_code)
    everywhere = [geosupport.address(number, street, borough=each) for each in range(1, 6)]
    return _possible("1", asked, everywhere) or _similar(number, street, list(range(1, 6)), "")


def _similar(number: str, street: str, boroughs: list[int], zip_code: str) -> list[Document]:
    """What streets of a similar name have under that number; none for a name that there is."""
    names = [name for name in geosupport.similar_streets(street) if name != spelled(street)]
    tried = [
        geosupport.address(number, name, borough=each, zip_code=zip_code)
        for name in names
        for each in boroughs
    ]
    return _possible("2", f"address [houseNumber={number}, street={', '.join(names)}]", tried)


def _met(one: str, two: str, borough: int) -> list[Document]:
    asked = f"intersection [crossStreetOne={one}, crossStreetTwo={two}]"
    if borough:
        return _certain(asked, geosupport.intersection(one, two, borough))
    return _possible("1", asked, [geosupport.intersection(one, two, each) for each in range(1, 6)])


def _certain(asked: str, response: Document) -> list[Document]:
    return [_result("0", "EXACT_MATCH", asked, response)] if _taken(response) else []


def _possible(level: str, asked: str, responses: list[Document]) -> list[Document]:
    return [_result(level, "POSSIBLE_MATCH", asked, each) for each in responses if _taken(each)]


def _result(level: str, status: str, asked: str, response: Document) -> Document:
    return {"level": level, "status": status, "request": asked, "response": response}


def _taken(response: Document) -> bool:
    return response["geosupportReturnCode"] in _TAKEN


def _ending(text: str, pattern: str) -> tuple[str, str]:
    """*text* without its last words, where they are such, and those words."""
    match = re.fullmatch(rf"(.+) ({pattern})", text)
    return (match[1], match[2]) if match else (text, "")
