"""Mapbox: where an address in New York City lies.

Docs     https://docs.mapbox.com/api/search/geocoding/ (version 6, forward)
Limits   https://docs.mapbox.com/api/search/geocoding/#geocoding-restrictions-and-limits
         1000 calls a minute unless agreed otherwise; 10 a second are ours
Kept     nothing at all unless the option ``permanent`` is true
Quirks   longitude comes before latitude; an answer "may not be retained" unless it was asked for, and paid,
         as permanent: only those are kept; the best of bad matches comes first, so its confidence counts;
         of a match of confidence "high" one part may have been put right: one that lies in another borough
         or zip than the address names is only a candidate here; without a box, Broadway is anywhere; the
         token stands in the query
Unverified  the headers of a 429 (X-Rate-Limit-Reset, seconds since the epoch); every answer to a forward
         search: recorded are one batch of version 6 and many of version 5
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from tasks.arguments import whole_number
from tasks.arguments.address import AddressText
from tasks.arguments.place import Geocoding, meaning
from tasks.mapbox_answers import SOURCE, geocoding
from worker.choice import Choice, choice
from worker.operation import Steps, operation
from worker.provider import Auth, Breaker, Caching, Option, Provider, Rate, Signs, Verdict
from worker.request import Answer, Request

__all__ = ["PROVIDER", "geocode_mapbox", "located", "request"]

BOX, MIDDLE = "-74.26,40.477,-73.7,40.918", "-73.97,40.74"
"""New York City: west, south, east, north; and what matches are preferred near to."""

Limit = Annotated[int, whole_number(1, 10, example=5)]

SIGNS = Signs(statuses={404: "rejected"})
"""A path that it does not know is an address of ours that is wrong, and no place that is missing."""


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
    """A good answer without features is no match; one whose features have no point is none of version 6."""
    return meaning(geocoding, status, body) or SIGNS(status, headers, body)


def yes_or_no(text: str) -> bool:
    """Whether *text* says yes."""
    if text.lower() not in {"true", "false"}:
        raise ValueError("takes true or false")
    return text.lower() == "true"


PROVIDER = Provider(
    name=SOURCE,
    base_url="https://api.mapbox.com",
    auth=Auth(query="access_token"),
    rate=Rate(calls=10.0, burst=10),
    breaker=Breaker(failures=None, ratio=0.5, window=20),
    caching=Caching(memory=300.0, redis=86_400.0),
    judge=judge,
    options={
        "permanent": Option(
            about="true asks for answers that may be kept, at Mapbox's price for those, and keeps them a day",
            default=False,
            parse=yes_or_no,
        )
    },
)


@operation(PROVIDER, shown=("limit",))
def geocode_mapbox(address: AddressText, limit: Limit = 5) -> Steps[Geocoding]:
    """What Mapbox says of an address, of *limit* matches at most; it knows no lots and no buildings."""
    return (yield from located(address, choice(PROVIDER), limit))


def located(address: str, here: Choice, limit: int = 5) -> Steps[Geocoding]:
    """The steps of :func:`geocode_mapbox`, for other operations too."""
    answer: Answer = yield request(address, limit, permanent=here.options["permanent"])
    return geocoding(answer.data, address).aged(answer.source, answer.age)


def request(address: str, limit: int, *, permanent: bool) -> Request:
    """The question for *address*."""
    params = {
        "q": address,
        "country": "us",
        "bbox": BOX,
        "proximity": MIDDLE,
        "autocomplete": "false",
        "limit": str(limit),
        "permanent": str(permanent).lower(),
    }
    return Request(path="/search/geocode/v6/forward", params=params, label="forward", kept=permanent)
