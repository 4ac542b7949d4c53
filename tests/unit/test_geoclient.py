"""Geoclient: what it is asked in both contracts, and what its answers mean."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.arguments.location import location
from tasks.arguments.place import Geocoding, Place
from tasks.geoclient import HANDBOOK, PROVIDER, judge, located, request
from tasks.geoclient_answers import geocoding
from tests.driver import Driver
from worker.errors import CredentialsRefused, ProviderThrottled, RequestInvalid, ResponseUnreadable
from worker.http.verdict import failure, verdict
from worker.request import Answer

ADDRESS = {
    "firstBoroughName": "QUEENS",
    "firstStreetNameNormalized": "37  AVENUE ",
    "houseNumber": "72-03",
    "zipCode": "11372",
    "geosupportReturnCode": "00",
    "geosupportReturnCode2": "00",
    "latitude": 40.7491,
    "longitude": -73.8932,
    "bbl": "4012780001",
    "condominiumBillingBbl": "0000000000",
    "buildingIdentificationNumber": "4029501",
}
PLACE = Place(
    address="72-03 37 AVENUE, Queens, NY 11372",
    latitude=40.7491,
    longitude=-73.8932,
    borough="Queens",
    zip="11372",
    bbl="4012780001",
    bin="4029501",
    confidence="exact",
)
NAMES = [*ADDRESS, "message", "giStreetName1", "secondStreetNameNormalized", "boroCode", "status", "results"]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS | st.sampled_from(["OK", "REJECTED", "00", "01", "EE", "EXACT_MATCH", "POSSIBLE_MATCH"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*NAMES, "response", "address", "bbl", "intersection"]), inner, max_size=5
        )
    ),
    max_leaves=12,
)

PLACES = st.dictionaries(st.sampled_from(NAMES), JSON, max_size=8).map(
    lambda fields: {**fields, "geosupportReturnCode": "00"}
)
NEARLY = st.one_of(
    st.sampled_from(["address", "intersection", "bbl", "bin"]).flatmap(
        lambda name: st.fixed_dictionaries({name: PLACES})
    ),
    st.fixed_dictionaries(
        {
            "status": st.just("OK"),
            "results": st.lists(
                st.fixed_dictionaries(
                    {"status": st.sampled_from(["EXACT_MATCH", "POSSIBLE_MATCH"]) | JSON, "response": PLACES}
                ),
                max_size=3,
            ),
        }
    ),
)
"""Answers that have what is looked at first, and anything behind it."""


def searched(*results: tuple[str, dict[str, Any]], status: str = "OK") -> dict[str, Any]:
    """A search's answer of those statuses and responses."""
    return {
        "status": status,
        "results": [{"level": "1", "status": each, "response": response} for each, response in results],
    }


def warned(**fields: Any) -> dict[str, Any]:
    """The address with other fields; those that are None left out."""
    return {name: value for name, value in {**ADDRESS, **fields}.items() if value is not None}


@pytest.mark.parametrize(
    ("said", "path", "params"),
    [
        (
            "280 Riverside Drive, Manhattan",
            "/search",
            {"input": "280 RIVERSIDE DRIVE MANHATTAN"},
        ),
        (
            {"address": "280 Riverside Drive", "borough": "Manhattan", "zip": "10025"},
            "/search",
            {"input": "280 RIVERSIDE DRIVE Manhattan 10025"},
        ),
        (
            {"house_number": "72-03", "street": "37 Avenue", "borough": "Queens"},
            "/address",
            {"houseNumber": "72-03", "street": "37 AVENUE", "borough": "Queens"},
        ),
        (
            {"house_number": "72-03", "street": "37 Avenue", "zip": "11372"},
            "/address",
            {"houseNumber": "72-03", "street": "37 AVENUE", "zip": "11372"},
        ),
        (
            {"intersection": ["Broadway", "W 100 St"], "borough": "Manhattan", "compass": "N"},
            "/intersection",
            {
                "crossStreetOne": "BROADWAY",
                "crossStreetTwo": "W 100 ST",
                "borough": "Manhattan",
                "compassDirection": "N",
            },
        ),
        ("1018890001", "/bbl", {"borough": "1", "block": "1889", "lot": "1"}),
        ("1057127", "/bin", {"bin": "1057127"}),
    ],
)
def test_each_way_of_saying_where_goes_to_its_own_endpoint(
    said: Any, path: str, params: dict[str, str]
) -> None:
    """Only a free text is left to the search, which may guess."""
    asked = request(location(said), "v2")

    assert (asked.path, dict(asked.params)) == (path, params)


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("280 Riverside Drive, Manhattan", "280 RIVERSIDE DRIVE MANHATTAN"),
        ({"house_number": "72-03", "street": "37 Avenue", "zip": "11372"}, "72-03 37 AVENUE 11372"),
        ({"intersection": ["Broadway", "W 100 St"], "borough": "MN"}, "BROADWAY and W 100 ST Manhattan"),
        ("1018890001", "1018890001"),
        ("1057127", "1057127"),
    ],
)
def test_the_handbooks_contract_has_one_field_for_everything(said: Any, typed: str) -> None:
    """``q``, which the published API never had; its search reads numbers and intersections too."""
    asked = request(location(said), HANDBOOK.contract)

    assert (asked.path, dict(asked.params)) == ("/search.json", {"q": typed})


def test_all_spellings_of_an_address_are_one_question() -> None:
    """So its answer is kept once."""
    spellings = [
        "280 Riverside Drive, Manhattan",
        " 280 riverside  drive manhattan",
        "280 RIVERSIDE DRIVE,MANHATTAN",
    ]

    assert len({request(location(each), "v2").fingerprint for each in spellings}) == 1


def test_an_address_is_a_place() -> None:
    """Padding is taken out; a lot of zeros is no lot."""
    assert geocoding({"address": ADDRESS}) == Geocoding(status="found", place=PLACE, source="geoclient")


def test_a_lot_has_the_point_of_its_middle_and_one_of_its_addresses() -> None:
    """It has no address of its own."""
    body = {
        "bbl": "1000670001",
        "bblBoroughCode": "1",
        "giLowHouseNumber1": "50",
        "giStreetName1": "JOHN STREET",
        "geosupportReturnCode": "00",
        "latitudeInternalLabel": 40.708659,
        "longitudeInternalLabel": -74.007982,
        "buildingIdentificationNumber": "1000000",
        "condominiumBillingBbl": "1000677501",
    }

    found = geocoding({"bbl": body}).place

    assert found == Place(
        address="50 JOHN STREET, Manhattan",
        latitude=40.708659,
        longitude=-74.007982,
        borough="Manhattan",
        bbl="1000670001",
        billing_bbl="1000677501",
        bin=None,
        confidence="exact",
    )


def test_where_streets_meet_there_is_no_lot() -> None:
    """Both of their names are told."""
    body = {
        "firstStreetNameNormalized": "BROADWAY",
        "secondStreetNameNormalized": "WEST  100 STREET",
        "firstBoroughName": "STATEN ISLAND",
        "geosupportReturnCode": "00",
    }

    found = geocoding({"intersection": body}).place

    assert found == Place(
        address="BROADWAY and WEST 100 STREET, Staten Island", borough="Staten Island", confidence="exact"
    )


def test_a_warning_comes_with_its_place() -> None:
    """Return code 01 is a success."""
    found = geocoding({"address": warned(geosupportReturnCode="01", message="ON THE  RIGHT SIDE")})

    assert (found.status, found.place, found.note) == ("found", PLACE, "ON THE RIGHT SIDE")


def test_a_lot_that_the_second_code_does_not_vouch_for_is_left_out() -> None:
    """Function 1B asks twice: for the street, and for the property. The street's answer still stands."""
    found = geocoding({"address": warned(geosupportReturnCode2="42")}).place

    assert found is not None
    assert (found.latitude, found.bbl, found.bin) == (40.7491, None, None)


@pytest.mark.parametrize("code", ["EE", "42", "11", "0", "99"])
def test_another_return_code_is_not_found_whatever_the_status(code: str) -> None:
    """Geoclient answers 200, with the reason in words."""
    body = {"address": warned(geosupportReturnCode=code, message="'X AVE' NOT RECOGNIZED")}

    assert verdict(PROVIDER, 200, {}, body) == "empty"
    assert geocoding(body) == Geocoding(status="not_found", source="geoclient", note="'X AVE' NOT RECOGNIZED")


@pytest.mark.parametrize(
    "body",
    [
        {"status": "REJECTED", "input": "x"},
        searched(status="REJECTED"),
        searched(),
        searched(("REJECTED", warned(geosupportReturnCode="EE"))),
        searched(("EXACT_MATCH", warned(geosupportReturnCode="EE"))),
        searched(("SOMETHING_NEW", ADDRESS)),
    ],
)
def test_a_search_that_is_rejected_is_not_found(body: dict[str, Any]) -> None:
    """A result, kept for minutes and not for a day."""
    assert verdict(PROVIDER, 200, {}, body) == "empty"
    assert geocoding(body).status == "not_found"


def test_several_possible_matches_are_reported_and_none_is_taken() -> None:
    """The first of them is no better than the others."""
    other = {"firstBoroughName": "BRONX", "bbl": "2012780001"}

    found = geocoding(searched(("POSSIBLE_MATCH", ADDRESS), ("POSSIBLE_MATCH", {**ADDRESS, **other})))

    assert (found.status, found.place) == ("ambiguous", None)
    assert [(each.borough, each.confidence) for each in found.candidates] == [
        ("Queens", "possible"),
        ("Bronx", "possible"),
    ]


def test_one_possible_match_is_no_place_yet() -> None:
    """It may be a street of a similar name."""
    found = geocoding(searched(("POSSIBLE_MATCH", ADDRESS)))

    assert (found.status, found.place, len(found.candidates)) == ("ambiguous", None, 1)


def test_an_exact_match_is_taken_from_among_possible_ones() -> None:
    """And two exact ones are not told apart."""
    one, two = ("EXACT_MATCH", ADDRESS), ("EXACT_MATCH", warned(houseNumber="72-05"))

    assert geocoding(searched(("POSSIBLE_MATCH", warned(houseNumber="1")), one)).place == PLACE
    assert geocoding(searched(one, two)).status == "ambiguous"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "OK",
        {},
        {"address": []},
        {"address": {}},
        {"address": {"geosupportReturnCode": 0}},
        {"address": {**ADDRESS, "geosupportReturnCode": " "}},
        {"address": {"geosupportReturnCode": "00"}},
        {"address": {"geosupportReturnCode": "00", "firstBoroughName": "QUEENS", "zipCode": "11372"}},
        {"bbl": {"geosupportReturnCode": "00", "bbl": "garbage", "latitude": 40.7}},
        searched(("EXACT_MATCH", ADDRESS), ("POSSIBLE_MATCH", {"geosupportReturnCode": "00"})),
        {"address": ADDRESS, "bbl": ADDRESS},
        {"status": "OK"},
        {"status": "FINE", "results": []},
        {"status": "OK", "results": {}},
        {"status": "OK", "results": [None]},
        {"status": "OK", "results": [{"status": "EXACT_MATCH"}]},
    ],
)
def test_an_answer_that_is_none_of_geoclients_is_unreadable(body: Any) -> None:
    """It is not kept, and it is not taken for "not found"."""
    assert verdict(PROVIDER, 200, {}, body) == "unreadable"
    with pytest.raises(ResponseUnreadable) as raised:
        geocoding(body)
    assert raised.value.status == 200


@pytest.mark.parametrize("status", [201, 202, 204])
def test_a_body_is_looked_at_whatever_good_status_it_has(status: int) -> None:
    """An empty 204 was kept for a day once."""
    assert verdict(PROVIDER, status, {}, None) == "unreadable"
    assert verdict(PROVIDER, status, {}, {"address": ADDRESS}) == "ok"


def test_a_point_is_never_half_an_addresss_and_half_its_lots() -> None:
    """A latitude without its longitude is nowhere, so the middle of the lot stands in for both."""
    middle = {"latitudeInternalLabel": 40.7, "longitudeInternalLabel": -74.0}

    found = geocoding({"address": warned(longitude=None, **middle)}).place
    nowhere = geocoding({"address": warned(longitude=None)}).place

    assert found is not None
    assert nowhere is not None
    assert (found.latitude, found.longitude) == (40.7, -74.0)
    assert (nowhere.latitude, nowhere.longitude) == (None, None)


def test_the_same_exact_match_twice_is_one_place() -> None:
    """Nobody can choose among one candidate."""
    said = warned(geosupportReturnCode="01", message="ON THE RIGHT SIDE")

    found = geocoding(searched(("EXACT_MATCH", said), ("EXACT_MATCH", said)))

    assert (found.status, found.place, found.note) == ("found", PLACE, "ON THE RIGHT SIDE")


def test_a_return_code_may_be_padded() -> None:
    """As all texts are."""
    assert geocoding({"address": warned(geosupportReturnCode="00 ")}).place == PLACE


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
        assert (found.status == "found") == (found.place is not None)


def test_an_answer_tells_how_old_it_is() -> None:
    """When Geoclient is down an old one stands in, and says so."""
    old = Driver(answer=lambda _: Answer(status=200, data={"address": ADDRESS}, source="stale", age=7200.0))

    found = old.run(located(location("72-03 37 Avenue, Queens"), "v2"))

    assert (found.served, found.age, found.place) == ("stale", 7200.0, PLACE)


@pytest.mark.parametrize(
    ("status", "message", "kind", "wait"),
    [
        (401, "Access denied due to invalid subscription key.", CredentialsRefused, None),
        (403, "Forbidden", CredentialsRefused, None),
        (403, "Out of call volume quota. Quota will be replenished in 01:02:03.", ProviderThrottled, 3723.0),
        (
            403,
            "Out of call volume quota. Quota will be replenished in 1.01:02:03.",
            ProviderThrottled,
            90_123.0,
        ),
        (429, "Rate limit is exceeded. Try again in 54 seconds.", ProviderThrottled, 54.0),
        (429, "Rate limit is exceeded. Try again in 1 second.", ProviderThrottled, 1.0),
        (429, "", ProviderThrottled, None),
        (404, "Resource not found", RequestInvalid, None),
        (400, "Required parameter 'input' is not present.", RequestInvalid, None),
    ],
)
def test_each_refusal_has_its_meaning(status: int, message: str, kind: type, wait: float | None) -> None:
    """The gateway's waits stand in words; a path that it does not know is our mistake, no missing place."""
    body = {"statusCode": status, "message": message}

    error = failure(PROVIDER, verdict(PROVIDER, status, {}, body), status, {}, body)

    assert type(error) is kind
    assert getattr(error, "retry_after", None) == wait
