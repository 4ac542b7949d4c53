"""Mapbox's geocoding (version 6, forward) as the sandbox plays it.

    GET /search/geocode/v6/forward   q, access_token; limit, bbox, country, proximity, autocomplete, permanent

It always finds something that is near, the best first, and says how sure it is: ``exact`` where everything
fits, ``medium`` where the street does, and what has no ``match_code`` is no address. What nothing is near to
has ``features: []``.

Recorded: the features, of a batch (contracts/recorded/mapbox), and the 401. Documented: the limits of ``q``
and the headers of the rate limit. Assumed: the words of the other refusals.

Read on  2026-11-21, from PROVIDERS.md section 10
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from tests.sandbox.gazetteer import PLACES, Place, spelled
from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["MapboxPlayer"]

LONGEST, MOST_WORDS, MOST = 256, 20, 10
NOTICE = (
    "NOTICE: © 2026 Mapbox and its suppliers. All rights reserved. Use of this data is subject to the Mapbox "
    "Terms of Service (https://www.mapbox.com/about/maps/)."
)
TEMPORARY = " This response and the information it contains may not be retained."
PAUSE = 2.0
"""Seconds until a limit that was met is over."""

_SAID = {
    401: "Not Authorized - Invalid Token",
    403: "Forbidden",
    404: "Not Found",
    429: "Too Many Requests",
}


class MapboxPlayer:
    """Finds the addresses of :mod:`tests.sandbox.gazetteer`.

    Attributes:
        keys: Access tokens that are known.
    """

    name = "mapbox"

    def __init__(self, *, keys: Iterable[str]) -> None:
        self.keys = set(keys)

    async def answer(self, request: Request) -> Reply:
        params = request.params
        if "access_token" not in params:
            return _refused(401, "Not Authorized - No Token")
        if params["access_token"] not in self.keys:
            return _refused(401)
        if request.path != "/search/geocode/v6/forward":
            return _refused(404)
        if wrong := _wrong(params):
            return _refused(422, wrong)
        text = params.get("q", "")
        if not text:
            return _refused(404, "No search text or structured input parameters were provided in the query.")
        features = _features(text)[: int(params.get("limit", "5"))]
        notice = NOTICE if params.get("permanent") == "true" else NOTICE + TEMPORARY
        body = {"type": "FeatureCollection", "features": features, "attribution": notice}
        return json_reply(body, headers=_limits())

    def failure(self, status: int) -> Reply:
        return _refused(status)


def _wrong(params: Mapping[str, str]) -> str:
    text, limit = params.get("q", ""), params.get("limit", "5")
    if len(text) > LONGEST or len(text.split()) > MOST_WORDS:
        return "Query too long"
    if ";" in text:
        return "Query contains an invalid character"
    if not limit.isdigit() or not 1 <= int(limit) <= MOST:
        return f"limit must be combined with a number between 1 and {MOST}"
    if params.get("permanent", "false") not in {"true", "false"}:
        return "permanent must be true or false"
    return ""


def _features(text: str) -> list[dict[str, Any]]:
    head, *rest = (spelled(part) for part in text.split(","))
    words = set(" ".join(rest).split()) - {"NEW", "YORK", "NY"}
    street = [place for place in PLACES if place.street in head]
    named = [place for place in street if not words or words <= {*place.town.split(), place.zip}]
    exact = [place for place in named if f"{place.number} {place.street}" == head]
    if exact:
        return [_feature(place, "exact") for place in exact]
    return [_feature(place, "medium") for place in named] + [_street(place) for place in street[:1]]


def _feature(place: Place, confidence: str) -> dict[str, Any]:
    name = f"{place.number} {place.street.title()}"
    number = "matched" if confidence == "exact" else "unmatched"
    return _shaped(
        place,
        {
            "feature_type": "address",
            "name": name,
            "full_address": f"{name}, {_town(place)}, New York {place.zip}, United States",
            "match_code": {"address_number": number, "street": "matched", "confidence": confidence},
        },
        accuracy={"accuracy": "rooftop"},
    )


def _street(place: Place) -> dict[str, Any]:
    """The street itself: no address, so nobody says how well it matches."""
    return _shaped(place, {"feature_type": "street", "name": place.street.title()}, accuracy={})


def _shaped(place: Place, properties: dict[str, Any], *, accuracy: dict[str, str]) -> dict[str, Any]:
    point = {"longitude": place.longitude, "latitude": place.latitude}
    identity = base64.b64encode(f"urn:mbxadr:{place.bin}:{properties['name']}".encode()).decode()
    return {
        "type": "Feature",
        "id": identity,
        "geometry": {"type": "Point", "coordinates": [place.longitude, place.latitude]},
        "properties": {
            "mapbox_id": identity,
            **properties,
            "coordinates": {**point, **accuracy},
            "place_formatted": f"{_town(place)}, New York {place.zip}, United States",
            "context": {
                "postcode": {"mapbox_id": "p", "name": place.zip},
                "locality": {"mapbox_id": "l", "name": place.town.title()},
                "place": {"mapbox_id": "c", "name": "New York"},
                "region": {"mapbox_id": "r", "name": "New York", "region_code": "NY"},
                "country": {"mapbox_id": "u", "name": "United States", "country_code": "US"},
            },
        },
    }


def _town(place: Place) -> str:
    return "New York" if place.borough == 1 else place.town.title()


def _limits() -> dict[str, str]:
    reset = f"{time.time() + PAUSE:.0f}"
    return {"X-Rate-Limit-Interval": "60", "X-Rate-Limit-Limit": "1000", "X-Rate-Limit-Reset": reset}


def _refused(status: int, said: str = "") -> Reply:
    message = said or _SAID.get(status) or HTTPStatus(status).phrase
    limits = _limits() if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    return json_reply({"message": message}, status=status, headers=limits)
