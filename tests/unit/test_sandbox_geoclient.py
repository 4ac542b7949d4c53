"""The sandbox's Geoclient: a 200 for whatever it finds, and refusals in two envelopes."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.sandbox.geoclient import GeoclientPlayer
from tests.sandbox.message import Reply, Request

KEY = "Ocp-Apim-Subscription-Key: key\r\n"


def played(
    path: str, params: dict[str, str], *, head: str = KEY, player: GeoclientPlayer | None = None
) -> Reply:
    """The player's reply."""
    request = Request(method="GET", target=f"{path}?{urlencode(params)}", head=head.encode())
    return asyncio.run((player or GeoclientPlayer(keys=["key"])).answer(request))


def said(path: str, **params: str) -> dict[str, Any]:
    """The body of a 200."""
    reply = played(path, params)
    assert reply.status == 200
    body: dict[str, Any] = Request(method="GET", target="/", body=reply.body).json()
    return body


def results(text: str) -> list[tuple[str, str, str]]:
    """Level, status and borough of each result of a search."""
    found = said("/search", input=text)
    assert found["status"] == ("OK" if found["results"] else "REJECTED")
    return [
        (each["level"], each["status"], each["response"]["firstBoroughName"]) for each in found["results"]
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("280 riverside drive manhattan", [("0", "EXACT_MATCH", "MANHATTAN")]),
        ("280 Riverside Dr., New York, NY 10025", [("0", "EXACT_MATCH", "MANHATTAN")]),
        ("72-03 37th Ave, Astoria", [("0", "EXACT_MATCH", "QUEENS")]),
        ("1018890001", [("0", "EXACT_MATCH", "MANHATTAN")]),
        ("1057127", [("0", "EXACT_MATCH", "MANHATTAN")]),
        ("broadway and w 100 st manhattan", [("0", "EXACT_MATCH", "MANHATTAN")]),
        ("broadway & w 100 st", [("1", "POSSIBLE_MATCH", "MANHATTAN")]),
        ("280 riverside drive", [("1", "POSSIBLE_MATCH", "MANHATTAN")]),
        ("100 broadway", [("1", "POSSIBLE_MATCH", "MANHATTAN"), ("1", "POSSIBLE_MATCH", "BROOKLYN")]),
        ("280 riversde drive manhattan", [("2", "POSSIBLE_MATCH", "MANHATTAN")]),
        ("280 riverside drive 11372", []),
        ("281 riverside drive manhattan", []),
        ("1000009999", []),
        ("1000001", []),
        ("empire state building", []),
    ],
)
def test_a_search_is_exact_only_where_a_borough_was_named(
    text: str, expected: list[tuple[str, str, str]]
) -> None:
    """Without one all five are tried; with a name that there is not, names like it."""
    assert results(text) == expected


@pytest.mark.parametrize(
    ("path", "params", "code"),
    [
        ("/address", {"houseNumber": "280", "street": "riverside dr", "borough": "1"}, "01"),
        ("/address", {"houseNumber": "281", "street": "riverside dr", "borough": "MN"}, "42"),
        ("/address", {"houseNumber": "280", "street": "riversde dr", "zip": "10025"}, "EE"),
        ("/address", {"houseNumber": "280", "street": "xyz", "borough": "manhattan"}, "11"),
        ("/intersection", {"crossStreetOne": "w 100 st", "crossStreetTwo": "broadway", "borough": "1"}, "00"),
        ("/intersection", {"crossStreetOne": "w 100 st", "crossStreetTwo": "brodway", "borough": "1"}, "EE"),
        ("/bbl", {"borough": "manhattan", "block": "67", "lot": "1"}, "00"),
        ("/bbl", {"borough": "1", "block": "67", "lot": "2"}, "42"),
        ("/bin", {"bin": "1079043"}, "00"),
        ("/bin", {"bin": "1079044"}, "42"),
    ],
)
def test_every_other_answer_is_wrapped_and_has_a_return_code(
    path: str, params: dict[str, str], code: str
) -> None:
    """Whatever was found, it is a 200."""
    body = said(path, **params)

    assert list(body) == [path.strip("/")]
    assert body[path.strip("/")]["geosupportReturnCode"] == code


def test_a_unit_of_a_condominium_names_its_billing_lot() -> None:
    """The trap of whoever asks other data sets for the unit."""
    body = said("/bbl", borough="3", block="37", lot="1001")["bbl"]

    assert (body["bbl"], body["condominiumBillingBbl"]) == ("3000371001", "3000377501")


def test_the_handbooks_search_has_its_own_names() -> None:
    """``q`` and two parts of a credential, ``boroCode`` for the borough."""
    pair = {"app_id": "sandbox", "app_key": "key"}
    reply = played("/search.json", {"q": "1057127", **pair}, head="")
    (result,) = Request(method="GET", target="/", body=reply.body).json()["results"]

    assert result["response"]["boroCode"] == "1"
    assert not {"bblBoroughCode", "firstBoroughName"} & result["response"].keys()
    assert played("/search.json", {"q": "1057127", "app_id": "other", "app_key": "key"}).status == 401
    assert played("/search.json", {"q": "1057127"}).status == 401


@pytest.mark.parametrize(
    ("path", "params", "status"),
    [
        ("/search", {"q": "280 riverside drive"}, 400),
        ("/address", {"houseNumber": "280", "street": "riverside drive"}, 400),
        ("/address", {"houseNumber": "280", "borough": "1"}, 400),
        ("/intersection", {"crossStreetOne": "a", "crossStreetTwo": "b"}, 400),
        ("/bbl", {"borough": "1", "block": "67"}, 400),
        ("/Search", {"input": "280 riverside drive"}, 404),
    ],
)
def test_what_is_missing_or_misnamed_is_refused(path: str, params: dict[str, str], status: int) -> None:
    """Names are case-sensitive, and the service speaks in problem details."""
    reply = played(path, params)

    assert reply.status == status
    kind = "application/problem+json" if status == 400 else "application/json;charset=utf-8"
    assert reply.headers["Content-Type"] == kind


def test_a_key_may_stand_in_header_or_query_and_must_be_known() -> None:
    """The gateway asks for it first."""
    assert played("/bin", {"bin": "1057127", "key": "key"}, head="").status == 200
    assert played("/bin", {"bin": "1057127"}, head="").status == 401
    assert played("/nowhere", {}, head="Ocp-Apim-Subscription-Key: other\r\n").status == 401


def test_a_spent_day_is_a_403_that_says_so() -> None:
    """In words only."""
    player = GeoclientPlayer(keys=["key"])
    player.spent = True

    reply = played("/bin", {"bin": "1057127"}, player=player)

    assert reply.status == 403
    assert b"replenished in 01:02:03" in reply.body


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_each_failure_has_its_envelope(status: int) -> None:
    """The gateway's or the service's own."""
    reply = GeoclientPlayer(keys=[]).failure(status)

    assert reply.status == status
    assert (b'"statusCode"' in reply.body) == (status in {401, 403, 404, 429})
