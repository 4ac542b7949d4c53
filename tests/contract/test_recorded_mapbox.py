"""Mapbox against what it was seen to send. It publishes no OpenAPI, and no forward search was recorded.

Recorded are one batch of version 6, whose parts are what a forward search answers; many answers of version 5,
which we do not speak; and the refusal of a bad token.
"""

from __future__ import annotations

from typing import Any

import pytest

from tasks.arguments.place import Place
from tasks.mapbox import PROVIDER, request
from tasks.mapbox_answers import geocoding
from tests.contract.owner import recorded
from tests.contract.tally import Tally
from tests.sandbox import TOKEN, Sandbox
from worker.errors import CredentialsRefused, ResponseUnreadable
from worker.http.client import HttpClient
from worker.http.verdict import failure, verdict

VERSION_5 = [
    f"geocoder_rb/mapbox_{name}"
    for name in (
        "chicago_il", "chicago_il_60647", "illinois", "logan_square_chicago_il", "madison_square_garden",
        "shanghai_china", "united_states",
    )
]  # fmt: skip


def batch() -> list[Any]:
    """The recorded batch of version 6, one answer for each of its questions."""
    found: list[Any] = recorded("mapbox/v6_batch_response.json")["body_json"]["batch"]
    return found


def test_a_recorded_match_is_a_place(tally: Tally) -> None:
    """Exact, as its ``match_code`` says; outside of New York it has no borough."""
    found = geocoding(batch()[0])

    assert (found.status, found.candidates) == ("found", [])
    assert found.place == Place(
        address="1600 Pennsylvania Avenue Northwest, Washington, District of Columbia 20500, United States",
        latitude=38.89768,
        longitude=-77.03655,
        zip="20500",
        confidence="exact",
    )
    tally.parsed("mapbox")


def test_a_recorded_question_without_a_match_is_not_found(tally: Tally) -> None:
    """Its features are empty, in both versions."""
    for body in (batch()[1], recorded("mapbox/geocoder_rb/mapbox_no_results.json")):
        assert verdict(PROVIDER, 200, {}, body) == "empty"
        assert geocoding(body).status == "not_found"
        tally.parsed("mapbox")


def test_a_recorded_match_that_says_not_how_good_it_is_is_a_candidate(tally: Tally) -> None:
    """Older answers have no ``match_code``."""
    found = geocoding(batch()[2])

    assert (found.status, found.place) == ("ambiguous", None)
    assert found.candidates == [
        Place(
            address="20 West 34th Street, New York, New York 10118, United States",
            latitude=40.7488949,
            longitude=-73.9861365,
            borough="Manhattan",
            zip="10118",
        )
    ]
    tally.parsed("mapbox")


def test_a_recorded_bad_token_is_refused(tally: Tally) -> None:
    """An alarm, and no retry."""
    body = recorded("mapbox/geocoder_rb/mapbox_invalid_api_key.json")

    error = failure(PROVIDER, verdict(PROVIDER, 401, {}, body), 401, {}, body)

    assert isinstance(error, CredentialsRefused)
    tally.parsed("mapbox")


@pytest.mark.parametrize("name", [*VERSION_5, "gl_geocoder_sample-response"])
def test_recorded_answers_of_version_five_are_unreadable(name: str, tally: Tally) -> None:
    """Their points stand elsewhere; taking them for "not found" would be a lie."""
    body = recorded(f"mapbox/{name}.json")

    assert verdict(PROVIDER, 200, {}, body) == "unreadable"
    with pytest.raises(ResponseUnreadable):
        geocoding(body)
    tally.parsed("mapbox")


@pytest.mark.parametrize("address", ["280 RIVERSIDE DRIVE, MANHATTAN", "281 RIVERSIDE DRIVE, NEW YORK, NY"])
def test_the_sandbox_plays_answers_of_the_recorded_shape(
    address: str, sandbox: Sandbox, tally: Tally
) -> None:
    """What the recorded feature has, the played one has; and beside it only what version 6 documents."""
    base = sandbox.base_url("mapbox")
    client = HttpClient(PROVIDER, base_url=base, credential=TOKEN, timeouts=PROVIDER.timeouts)
    body = client.send(request(address, 5, permanent=False)).data
    client.close()
    theirs = batch()[0]

    (feature, *_), (recorded_feature, *_) = body["features"], theirs["features"]
    ours, of_theirs = feature["properties"], recorded_feature["properties"]
    assert body.keys() == theirs.keys()
    assert feature.keys() == recorded_feature.keys()
    assert ours.keys() - of_theirs.keys() == {"full_address"}
    assert of_theirs.keys() <= ours.keys()
    assert ours["coordinates"].keys() == of_theirs["coordinates"].keys()
    assert ours["match_code"].keys() <= of_theirs["match_code"].keys()
    assert ours["context"].keys() <= {*of_theirs["context"], "locality"}
    assert "may not be retained" in body["attribution"]
    assert "may not be retained" in theirs["attribution"]
    tally.played("mapbox")
