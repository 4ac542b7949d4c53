"""The sandbox's Mapbox: it always has something near, and says how sure it is."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.sandbox.mapbox import MapboxPlayer
from tests.sandbox.message import Reply, Request

FORWARD = "/search/geocode/v6/forward"


def played(path: str = FORWARD, **params: str) -> Reply:
    """The player's reply to one who has a good token, unless another is given."""
    query = urlencode({"access_token": "key", **params})
    return asyncio.run(MapboxPlayer(keys=["key"]).answer(Request(method="GET", target=f"{path}?{query}")))


def confidences(text: str, **params: str) -> list[str | None]:
    """Of each feature, how sure it is."""
    reply = played(q=text, **params)
    assert reply.status == 200
    features: list[dict[str, Any]] = Request(method="GET", target="/", body=reply.body).json()["features"]
    return [each["properties"].get("match_code", {}).get("confidence") for each in features]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("280 RIVERSIDE DRIVE, Manhattan, NY 10025", ["exact"]),
        ("280 riverside dr", ["exact"]),
        ("281 Riverside Drive, Manhattan", ["medium", None]),
        ("280 Riverside Drive, Queens", [None]),
        ("100 Broadway", ["exact", "exact"]),
        ("100 Broadway, Brooklyn", ["exact"]),
        ("5 Nowhere Lane", []),
    ],
)
def test_what_is_near_comes_with_its_confidence(text: str, expected: list[str | None]) -> None:
    """The best first; a street is no address, and has none."""
    assert confidences(text) == expected


def test_no_more_come_than_were_asked_for() -> None:
    """Five unless said."""
    assert confidences("100 Broadway", limit="1") == ["exact"]


def test_the_point_has_its_longitude_first_in_the_list_and_names_in_the_object() -> None:
    """The order that people mistake."""
    reply = played(q="280 Riverside Drive")
    (feature,) = Request(method="GET", target="/", body=reply.body).json()["features"]

    assert feature["geometry"]["coordinates"] == [-73.972709, 40.798502]
    assert feature["properties"]["coordinates"]["latitude"] == 40.798502


@pytest.mark.parametrize(("permanent", "may_stay"), [("false", False), ("true", True)])
def test_only_a_permanent_answer_may_be_retained(permanent: str, may_stay: bool) -> None:  # noqa: FBT001
    """Every other says that it may not."""
    assert (b"may not be retained" not in played(q="x", permanent=permanent).body) == may_stay


@pytest.mark.parametrize(
    ("path", "params", "status", "message"),
    [
        (FORWARD, {"access_token": "other", "q": "x"}, 401, b"Not Authorized - Invalid Token"),
        ("/geocoding/v5/mapbox.places/x.json", {}, 404, b"Not Found"),
        (FORWARD, {}, 404, b"No search text"),
        (FORWARD, {"q": "a " * 21}, 422, b"Query too long"),
        (FORWARD, {"q": "a" * 257}, 422, b"Query too long"),
        (FORWARD, {"q": "a;b"}, 422, b"invalid character"),
        (FORWARD, {"q": "a", "limit": "11"}, 422, b"limit"),
        (FORWARD, {"q": "a", "limit": "x"}, 422, b"limit"),
        (FORWARD, {"q": "a", "permanent": "yes"}, 422, b"permanent"),
    ],
)
def test_each_refusal_has_its_status(path: str, params: dict[str, str], status: int, message: bytes) -> None:
    """All in one envelope."""
    reply = played(path, **params)

    assert reply.status == status
    assert message in reply.body


def test_without_a_token_it_says_so() -> None:
    """And not that it is invalid."""
    request = Request(method="GET", target=f"{FORWARD}?q=x")

    reply = asyncio.run(MapboxPlayer(keys=["key"]).answer(request))

    assert (reply.status, b"No Token" in reply.body) == (401, True)


def test_a_throttled_answer_names_the_moment_at_which_it_ends() -> None:
    """In seconds since the epoch."""
    reply = MapboxPlayer(keys=[]).failure(429)

    assert reply.status == 429
    assert 0 < float(reply.headers["X-Rate-Limit-Reset"]) - time.time() < 3
