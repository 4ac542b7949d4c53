"""Geoclient, mounted under its provider's name: version 2, and the search of the handbook.

    GET /address        houseNumber, street, borough or zip
    GET /intersection   crossStreetOne, crossStreetTwo, borough
    GET /bbl            borough, block, lot
    GET /bin            bin
    GET /search         input                    Ocp-Apim-Subscription-Key, or ?key=
    GET /search.json    q                        ?app_id=&app_key=: the handbook's

Whatever becomes of it, a question that is complete is answered 200: Geosupport's return code tells. Errors
come from the gateway (401, 403, 404, 429), or as problem details (RFC 9457) from the service.

Recorded: address, bbl, search. Assumed: the gateway's words, after its own documentation, and the handbook.

Read on  2026-11-21, from PROVIDERS.md section 3 and contracts/specs/geoclient-openapi.yml
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from tests.sandbox.gazetteer import BOROUGHS
from tests.sandbox.geoclient import geosupport
from tests.sandbox.geoclient.search import search
from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["GeoclientPlayer"]

_SHORT = {"MN": 1, "BX": 2, "BK": 3, "QN": 4, "SI": 5}
_BOROUGHS = {**_SHORT, **{name: n for n, name in enumerate(BOROUGHS, 1)}, **{str(n): n for n in range(1, 6)}}
_GATEWAY = {
    401: "Access denied due to invalid subscription key. Make sure to provide a valid key for an active "
    "subscription.",
    403: "Out of call volume quota. Quota will be replenished in 01:02:03.",
    404: "Resource not found",
    429: "Rate limit is exceeded. Try again in 2 seconds.",
}


class GeoclientPlayer:
    """Geocodes the addresses of :mod:`tests.sandbox.gazetteer`.

    Attributes:
        keys: Subscription keys that are known, and the handbook's ``app_key`` beside ``app_id=sandbox``.
        spent: Whether the day's calls are used up.
    """

    name = "geoclient"

    def __init__(self, *, keys: Iterable[str]) -> None:
        self.keys = set(keys)
        self.spent = False

    async def answer(self, request: Request) -> Reply:
        handbook = request.path == "/search.json"
        if not (self._knows_pair(request.params) if handbook else self._knows(request)):
            return _gateway(401)
        if self.spent:
            return _gateway(403)
        if handbook or request.path == "/search":
            return _search(request.params, "q" if handbook else "input")
        ask = _ENDPOINTS.get(request.path)
        return _gateway(404) if ask is None or request.method != "GET" else ask(request.params)

    def failure(self, status: int) -> Reply:
        return _gateway(status) if status in _GATEWAY else _problem(status, HTTPStatus(status).phrase)

    def _knows(self, request: Request) -> bool:
        key = request.headers.get("ocp-apim-subscription-key", request.params.get("key"))
        return key in self.keys

    def _knows_pair(self, params: Mapping[str, str]) -> bool:
        return params.get("app_id") == "sandbox" and params.get("app_key") in self.keys


def _search(params: Mapping[str, str], name: str) -> Reply:
    if not params.get(name):
        return _problem(400, f"Required parameter '{name}' is not present.")
    found = search(params[name])
    return json_reply(_in_the_handbook(found) if name == "q" else found)


def _in_the_handbook(found: dict[str, Any]) -> dict[str, Any]:
    """*found* with the borough under the handbook's name for it."""
    for result in found["results"]:
        response = result["response"]
        name = response.pop("firstBoroughName")
        response.pop("bblBoroughCode", None)
        response["boroCode"] = str(_BOROUGHS[name])
    return found


def _address(params: Mapping[str, str]) -> Reply:
    borough = _BOROUGHS.get(params.get("borough", "").upper(), 0)
    zip_code = params.get("zip", "")
    if not borough and not zip_code:
        return _problem(400, "Either a borough or a zip parameter must be given.")
    return _wrapped(
        "address",
        params,
        ("houseNumber", "street"),
        lambda number, street: geosupport.address(number, street, borough=borough, zip_code=zip_code),
    )


def _intersection(params: Mapping[str, str]) -> Reply:
    return _wrapped(
        "intersection",
        params,
        ("crossStreetOne", "crossStreetTwo", "borough"),
        lambda one, two, borough: geosupport.intersection(one, two, _BOROUGHS.get(borough.upper(), 0)),
    )


def _bbl(params: Mapping[str, str]) -> Reply:
    return _wrapped(
        "bbl",
        params,
        ("borough", "block", "lot"),
        lambda borough, block, lot: geosupport.lot(
            f"{_BOROUGHS.get(borough.upper(), 0)}{block:0>5}{lot:0>4}"
        ),
    )


def _bin(params: Mapping[str, str]) -> Reply:
    return _wrapped("bin", params, ("bin",), geosupport.building)


def _wrapped(
    name: str, params: Mapping[str, str], wanted: tuple[str, ...], ask: Callable[..., dict[str, Any]]
) -> Reply:
    missing = [each for each in wanted if not params.get(each)]
    if missing:
        return _problem(400, f"Required parameter '{missing[0]}' is not present.")
    return json_reply({name: ask(*(params[each] for each in wanted))})


def _gateway(status: int) -> Reply:
    wait = {"Retry-After": "2"} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return json_reply({"statusCode": status, "message": _GATEWAY[status]}, status=status, headers=wait)


def _problem(status: int, detail: str) -> Reply:
    title = HTTPStatus(status).phrase
    said = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": "/"}
    return json_reply(said, status=status, headers={"Content-Type": "application/problem+json"})


_ENDPOINTS: Mapping[str, Callable[[Mapping[str, str]], Reply]] = {
    "/address": _address,
    "/intersection": _intersection,
    "/bbl": _bbl,
    "/bin": _bin,
}
