"""Mapbox: what it is asked, when its answers may be kept, and which of its matches are believed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.provider import ProviderSettings
from tasks.arguments.place import Place
from tasks.mapbox import PROVIDER, geocode_mapbox, judge, located, request, yes_or_no
from tasks.mapbox_answers import geocoding
from tests.driver import Driver
from worker.choice import chosen
from worker.errors import (
    ArgumentsInvalid,
    CallError,
    CredentialsRefused,
    ProviderThrottled,
    RequestInvalid,
    ResponseUnreadable,
)
from worker.http.verdict import failure, verdict
from worker.request import Answer

ADDRESS = "280 RIVERSIDE DRIVE, MANHATTAN"
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
NAMES = [
    "features", "properties", "coordinates", "latitude", "longitude", "match_code", "confidence", "context",
    "postcode", "name", "full_address",
]  # fmt: skip
JSON = st.recursive(
    SCALARS | st.just("exact"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=12,
)

NEARLY = st.lists(
    st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6).map(
        lambda fields: {"properties": {"coordinates": {"latitude": 1, "longitude": 1}, **fields}}
    ),
    max_size=3,
).map(lambda features: {"features": features})
"""Answers that have what is looked at first, and anything behind it."""


def feature(confidence: str | None = "exact", name: str = "280 Riverside Drive") -> dict[str, Any]:
    """One match of that confidence."""
    match = {"match_code": {"confidence": confidence}} if confidence else {}
    properties = {
        "full_address": f"{name}, New York, New York 10025, United States",
        "coordinates": {"longitude": -73.972709, "latitude": 40.798502},
        "context": {"postcode": {"name": "10025"}, "locality": {"name": "Manhattan"}},
        **match,
    }
    return {"type": "Feature", "geometry": {"coordinates": [-73.972709, 40.798502]}, "properties": properties}


def answered(*features: dict[str, Any]) -> dict[str, Any]:
    """A body with those matches."""
    return {"type": "FeatureCollection", "features": list(features)}


def test_only_new_york_is_searched_and_nothing_is_completed() -> None:
    """Longitude before latitude; Broadway is in every town."""
    asked = request(ADDRESS, 3, permanent=False)

    assert asked.path == "/search/geocode/v6/forward"
    assert asked.params == {
        "q": ADDRESS,
        "country": "us",
        "bbox": "-74.26,40.477,-73.7,40.918",
        "proximity": "-73.97,40.74",
        "autocomplete": "false",
        "limit": "3",
        "permanent": "false",
    }


@pytest.mark.parametrize(("option", "permanent"), [({}, False), ({"permanent": "true"}, True)])
def test_only_a_permanent_answer_is_kept(option: dict[str, str], permanent: bool) -> None:  # noqa: FBT001
    """Temporary ones may not be retained, says every one of them."""
    here = chosen(PROVIDER, ProviderSettings(options=option))
    mapbox = Driver(answer=lambda _: Answer(status=200, data=answered(feature())))

    mapbox.run(located(ADDRESS, here))

    (asked,) = mapbox.requests
    assert (asked.kept, asked.params["permanent"]) == (permanent, str(permanent).lower())


def test_a_certain_match_is_a_place() -> None:
    """Its point is read by name, never by place in a list."""
    found = geocoding(answered(feature("exact"), feature("medium", "28 Riverside Drive")))

    assert (found.status, found.candidates, found.source) == ("found", [], "mapbox")
    assert found.place == Place(
        address="280 Riverside Drive, New York, New York 10025, United States",
        latitude=40.798502,
        longitude=-73.972709,
        borough="Manhattan",
        zip="10025",
        confidence="exact",
    )


@pytest.mark.parametrize(
    ("confidences", "status"),
    [
        (["exact"], "found"),
        (["high"], "found"),
        (["exact", "high"], "found"),
        (["medium", "exact"], "found"),
        (["exact", "exact"], "ambiguous"),
        (["exact", "exact", "high"], "ambiguous"),
        (["high", "high"], "ambiguous"),
        (["medium"], "ambiguous"),
        (["low", "low"], "ambiguous"),
        ([None], "ambiguous"),
        ([], "not_found"),
    ],
)
def test_only_one_certain_match_is_believed(confidences: list[str | None], status: str) -> None:
    """The best of bad matches comes first all the same."""
    body = answered(*(feature(each) for each in confidences))

    found = geocoding(body)

    assert found.status == status
    assert len(found.candidates) == (len(confidences) if status == "ambiguous" else 0)
    assert verdict(PROVIDER, 200, {}, body) == ("empty" if status == "not_found" else "ok")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"features": None},
        {"features": [None]},
        {"features": [{"properties": {}}]},
        {"features": [{"properties": {"coordinates": {"x": 1}}}]},
        {"features": [{"properties": {"coordinates": {"latitude": 40.7}}}]},
        {"features": [{"properties": {"coordinates": {"latitude": 40.7, "longitude": -740}}}]},
        {"features": [{"center": [-73.9, 40.7], "relevance": 1, "place_name": "version 5"}]},
    ],
)
def test_an_answer_that_is_not_version_six_is_unreadable(body: Any) -> None:
    """It is not kept, and not taken for "not found"."""
    assert verdict(PROVIDER, 200, {}, body) == "unreadable"
    with pytest.raises(ResponseUnreadable):
        geocoding(body)


@pytest.mark.parametrize("status", [201, 202, 204])
def test_a_body_is_looked_at_whatever_good_status_it_has(status: int) -> None:
    """A permanent answer was kept for a day though it was an empty 204."""
    assert verdict(PROVIDER, status, {}, None) == "unreadable"
    assert verdict(PROVIDER, status, {}, answered(feature())) == "ok"


@pytest.mark.parametrize(
    "asked",
    [
        "280 RIVERSIDE DRIVE, Staten Island, NY 10301",
        "280 RIVERSIDE DRIVE, STATEN ISLAND",
        "280 Riverside Drive The Bronx NY",
        "280 RIVERSIDE DRIVE 10301",
        "280 RIVERSIDE DRIVE, NEW YORK, NY 10301-1234, USA",
        "280 RIVERSIDE DRIVE, MANHATTAN, NY 10301",
        "280 RIVERSIDE DRIVE, QUEENS, NY 10025",
    ],
)
def test_a_match_in_another_borough_or_zip_than_was_asked_for_is_a_candidate_only(asked: str) -> None:
    """Mapbox puts one part right by the others, and is sure of it."""
    here = chosen(PROVIDER, None)

    found = Driver(answer=lambda _: Answer(status=200, data=answered(feature("high")))).run(
        located(asked, here)
    )

    assert (found.status, found.place, len(found.candidates)) == ("ambiguous", None, 1)


@pytest.mark.parametrize(
    "asked",
    [
        "280 RIVERSIDE DRIVE",
        "280 RIVERSIDE DRIVE, MANHATTAN",
        "280 RIVERSIDE DRIVE, New York, NY 10025",
        "280 RIVERSIDE DRIVE, MANHATTAN 10025-1234",
        "10301 RIVERSIDE DRIVE",
        "280 QUEENS BOULEVARD",
    ],
)
def test_a_match_where_it_was_asked_for_is_a_place(asked: str) -> None:
    """Only what an address ends with is a borough or a zip."""
    assert geocoding(answered(feature("high")), asked).status == "found"


def test_of_certain_matches_the_one_where_it_was_asked_for_is_the_place() -> None:
    """And one of which neither borough nor zip is told contradicts nothing."""
    bare = feature()
    bare["properties"]["context"] = {}
    both = answered(bare, feature(name="Elsewhere"))

    assert geocoding(both).status == "ambiguous"
    assert geocoding(both, "X STREET, QUEENS").place == geocoding(answered(bare)).place


@given(JSON | NEARLY)
def test_whatever_comes_is_a_result_or_unreadable(body: Any) -> None:
    """Both the judge and the reading bear any JSON, and agree."""
    meant = judge(200, {}, body)

    try:
        found = geocoding(body)
    except ResponseUnreadable:
        assert meant == "unreadable"
    else:
        assert meant == ("empty" if found.status == "not_found" else None)


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (401, "Not Authorized - Invalid Token", CredentialsRefused),
        (403, "Forbidden", CredentialsRefused),
        (404, "Not Found", RequestInvalid),
        (422, "Query too long", RequestInvalid),
        (429, "Too Many Requests", ProviderThrottled),
    ],
)
def test_each_refusal_has_its_meaning(status: int, message: str, kind: type[CallError]) -> None:
    """A 404 is a path of ours that is wrong, and never a place that is missing."""
    body = {"message": message}

    assert type(failure(PROVIDER, verdict(PROVIDER, status, {}, body), status, {}, body)) is kind


def test_the_wait_of_a_throttled_call_is_a_moment() -> None:
    """Seconds since the epoch, by the provider's own clock."""
    headers = {"x-rate-limit-reset": "1800000045", "date": "Fri, 15 Jan 2027 08:00:00 GMT"}

    error = failure(PROVIDER, "throttled", 429, headers, {"message": "Too Many Requests"})

    assert isinstance(error, ProviderThrottled)
    assert error.retry_after == 45.0


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("",), "address: takes an address in one line"),
        (("10025",), "address: takes an address in one line"),
        (("1 Main St; 2 Main St",), "without semicolons"),
        (("1 Main St", 11), "limit: takes a whole number from 1 to 10"),
        ((7,), "address: takes an address in one line"),
    ],
)
def test_bad_arguments_are_refused_where_they_are_given(args: tuple[Any, ...], told: str) -> None:
    """Nothing that Mapbox would answer 422 leaves."""
    with pytest.raises(ArgumentsInvalid) as refused:
        geocode_mapbox.operation.checked(args, {})

    assert told in str(refused.value)


def test_an_option_says_yes_or_no() -> None:
    """And nothing else."""
    assert [yes_or_no("True"), yes_or_no("false")] == [True, False]
    with pytest.raises(ValueError, match="takes true or false"):
        yes_or_no("maybe")
