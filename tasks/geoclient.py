"""NYC Geoclient: where an address, an intersection, a tax lot or a building in New York City lies.

Docs     https://mlipper.github.io/geoclient/docs/current/user-guide/
         https://api-portal.nyc.gov/ (the City's API management; contract "v2")
Limits   none published; 40 calls a second and 100,000 a day and key are the handbook's
Quirks   what cannot be found is answered 200, with REJECTED or a return code; without a borough a search
         tries all five and may find several; a search takes a street of a similar name for possible; texts
         are padded, nulls left out; a lot of condominiums is known by its billing BBL
Unverified  the gateway's 429 and its 403 for a spent quota, which are as Azure documents them; a search that
         finds several; the lot that is named for a unit of a condominium; all of contract "handbook", the
         first version, whose end has come
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tasks.apim import DAY, WAITS
from tasks.arguments.bbl import BBL
from tasks.arguments.location import Location
from tasks.arguments.place import Geocoding, meaning
from tasks.geoclient_answers import SOURCE, geocoding
from worker.auth.pieces import Pair
from worker.provider import Auth, Breaker, Caching, Option, Provider, Quota, Rate, Signs, Verdict
from worker.request import Answer, Request
from worker.steps import Steps

__all__ = ["HANDBOOK", "PROVIDER", "located", "request"]

GATEWAY = Signs(words={"call volume quota": "throttled"}, statuses={404: "rejected"})
"""A path that it does not know is an address of ours that is wrong, and no place that is missing."""


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
    """A 2xx holds a place, or none (REJECTED, or a return code but 00 and 01); the gateway says the rest."""
    return meaning(geocoding, status, body) or GATEWAY(status, headers, body)


def fallback(text: str) -> str:
    """Who is asked when Geoclient does not know."""
    if text not in {"mapbox", "none"}:
        raise ValueError("takes mapbox or none")
    return text


V2 = Provider(
    name=SOURCE,
    contract="v2",
    base_url="https://api.nyc.gov/geoclient/v2",
    auth=Auth(header="Ocp-Apim-Subscription-Key"),
    rate=Rate(calls=40.0, burst=40),
    quota=Quota(limit=100_000),
    breaker=Breaker(failures=None, ratio=0.5, window=20),
    caching=Caching(memory=300.0, redis=86_400.0, stale_if_error=7 * 86_400.0),
    max_cooldown=DAY,
    judge=judge,
    waits=WAITS,
    options={
        "fallback": Option(
            about="who answers what Geoclient does not find or refuses: mapbox (when it has a key) or none",
            default="mapbox",
            parse=fallback,
        )
    },
)

HANDBOOK = replace(
    V2,
    contract="handbook",
    base_url="https://api.nyc.gov/geo/geoclient/v1",
    auth=Pair(query=("app_id", "app_key")),
)
PROVIDER = replace(V2, contracts={"handbook": HANDBOOK})


def located(where: Location, contract: str) -> Steps[Geocoding]:
    """What Geoclient says of *where*."""
    answer: Answer = yield request(where, contract)
    return geocoding(answer.data).aged(answer.source, answer.age)


def request(where: Location, contract: str) -> Request:
    """The question for *where*.

    A text goes to the search, whose owner knows best how to part it. What its caller has parted goes where
    nothing is guessed, and comes back as one place or none. The handbook's contract has only the search.
    """
    if contract == HANDBOOK.contract:
        return Request(path="/search.json", params={"q": typed(where)}, label="search")
    if where.address is not None:
        return Request(path="/search", params={"input": typed(where)}, label="search")
    label, params = parted(where)
    return Request(path=f"/{label}", params=params, label=label)


def typed(where: Location) -> str:
    """*where* as people type it into one field. The search ignores commas, so they make no difference."""
    return where.bbl or where.bin or where.words.replace(", NY ", " ").replace(",", "")


def parted(where: Location) -> tuple[str, dict[str, str]]:
    """Which endpoint takes *where*, and its parameters."""
    if where.bbl is not None:
        lot = BBL.parse(where.bbl)
        return "bbl", {"borough": str(lot.borough), "block": str(lot.block), "lot": str(lot.lot)}
    if where.bin is not None:
        return "bin", {"bin": where.bin}
    if where.intersection is not None:
        one, two = where.intersection
        asked = {"crossStreetOne": one, "crossStreetTwo": two, "borough": where.borough}
        return "intersection", _given({**asked, "compassDirection": where.compass})
    asked = {"houseNumber": where.house_number, "street": where.street}
    return "address", _given({**asked, "borough": where.borough, "zip": where.zip})


def _given(params: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}
