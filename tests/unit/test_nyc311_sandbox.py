"""The 311 that the sandbox plays, over real sockets: both interfaces, both envelopes, what arrives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import requests

from tests.sandbox import TOKEN, CityPlayer, Sandbox

BODY = {"agency": "DOT", "complaintType": "Sign", "description": "one"}
PUBLIC = {"agency": "DOT", "problem": "Sign", "additionalDetails": "two"}
CREATE, ONE, LIST = (
    "/create-sr/api/CreateServiceRequest",
    "/public/api/GetServiceRequest",
    "/public/api/GetServiceRequestList",
)


@pytest.fixture
def boxed() -> Iterator[Sandbox]:
    """A sandbox with a second city, which is asked for a new one twice in vain."""
    with Sandbox(players=[CityPlayer("bos311", keys=[TOKEN], lag=2)]) as running:
        yield running


class Client:
    """Asks one city with its key."""

    def __init__(self, sandbox: Sandbox, name: str = "nyc311", key: str = TOKEN) -> None:
        self._base = sandbox.base_url(name)
        self._headers = {"X-Api-Key": key, "Ocp-Apim-Subscription-Key": key}

    def post(self, path: str, body: Any, **headers: str) -> requests.Response:
        """The answer to a document."""
        return requests.post(self._base + path, json=body, headers={**self._headers, **headers}, timeout=5)

    def get(self, path: str, **params: str) -> requests.Response:
        """The answer to a question."""
        return requests.get(self._base + path, params=params, headers=self._headers, timeout=5)


def test_each_interface_takes_a_request_in_its_own_way(boxed: Sandbox) -> None:
    """201 with a trackingNumber, 200 with an SRNumber."""
    city = Client(boxed)

    handbook, public = city.post("/service-requests", BODY), city.post(CREATE, PUBLIC)

    assert (handbook.status_code, set(handbook.json())) == (201, {"trackingNumber", "status"})
    assert (public.status_code, set(public.json())) == (200, {"SRNumber", "SLALanguage"})
    assert boxed.nyc311.arrivals == {"one": 1, "two": 1}


def test_a_request_moves_on_when_a_test_says_so(boxed: Sandbox) -> None:
    """From Python or over HTTP; words on one interface, numbers on the other."""
    city = Client(boxed)
    number = city.post("/service-requests", BODY).json()["trackingNumber"]

    boxed.nyc311.move(number, "in_progress")
    first = city.get(f"/service-requests/{number}").json()["status"]
    city.post("/_desk", {"number": number, "status": "closed"})
    second = city.get(ONE, srnumber=number).json()["Status"]

    assert (first, second) == ("In Progress", "614110003")
    assert city.get("/_desk").json()["filed"] == [{"number": number, "mark": "one", "status": "closed"}]


def test_a_list_comes_in_another_order_without_what_is_unknown(boxed: Sandbox) -> None:
    """As recorded."""
    city = Client(boxed)
    numbers = [
        city.post(CREATE, {**PUBLIC, "additionalDetails": str(each)}).json()["SRNumber"] for each in "ab"
    ]

    listed = city.post(LIST, {"SRNumbers": [numbers[0], "311-00000000", numbers[1]]}).json()["SRResponses"]

    assert [each["SRNumber"] for each in listed] == numbers[::-1]


def test_a_new_number_is_found_after_a_while(boxed: Sandbox) -> None:
    """There is a lag, and until then it is not known."""
    city = Client(boxed, "bos311")
    number = city.post("/service-requests", BODY).json()["trackingNumber"]

    statuses = [city.get(f"/service-requests/{number}").status_code for _ in range(3)]

    assert statuses == [404, 404, 200]


def test_a_request_can_be_looked_for_by_the_callers_own_id(boxed: Sandbox) -> None:
    """At once, whatever the lag; and nothing is found of what never came."""
    city = Client(boxed, "bos311")
    city.post("/service-requests", {**BODY, "correlationId": "ours"})

    found = city.get("/service-requests", correlationId="ours").json()["requests"]
    missed = city.get("/service-requests", correlationId="theirs").json()["requests"]

    assert [each["correlationId"] for each in found] == ["ours"]
    assert missed == []


def test_a_key_that_was_seen_makes_no_second_request(boxed: Sandbox) -> None:
    """Without one, each arrival is a request."""
    city = Client(boxed)
    headers = {"Idempotency-Key": "k"}

    keyed = {city.post("/service-requests", BODY, **headers).json()["trackingNumber"] for _ in range(2)}
    bare = {city.post("/service-requests", BODY).json()["trackingNumber"] for _ in range(2)}

    assert (len(keyed), len(bare)) == (1, 2)
    assert boxed.nyc311.arrivals == {"one": 3}


def test_refusals_come_in_two_envelopes(boxed: Sandbox) -> None:
    """The gateway's for keys, quota and paths, the backend's for what was asked; a bad date is a 500."""
    city, stranger = Client(boxed), Client(boxed, key="wrong")

    refused = stranger.post("/service-requests", BODY)
    lost = city.get("/nowhere")
    bad = city.post(CREATE, {"agency": "DOT"})
    dated = city.post(CREATE, {**PUBLIC, "dateTimeObserved": "yesterday"})
    boxed.nyc311.spent = True
    spent = city.get(ONE, srnumber="1")

    assert (refused.status_code, refused.json()["statusCode"]) == (401, 401)
    assert (lost.status_code, lost.json()["message"]) == (404, "Resource not found")
    assert (bad.status_code, bad.json()["Error"]["Code"]) == (400, "BadRequest")
    assert (dated.status_code, dated.json()["Error"]["Code"]) == (500, "InternalServerError")
    assert spent.status_code == 403
    assert "Out of call volume quota" in spent.json()["message"]
    assert boxed.nyc311.arrivals == {}


@pytest.mark.parametrize("mode", ["acted_error", "acted_hang_up", "acted_silent"])
def test_a_city_may_take_a_request_and_not_say_so(boxed: Sandbox, mode: str) -> None:
    """It has arrived once, whatever the caller hears; questions are answered meanwhile."""
    boxed.control.fault("nyc311", mode=mode, method="POST")
    url, headers = boxed.base_url("nyc311") + "/service-requests", {"X-Api-Key": TOKEN}

    heard: int | str
    try:
        heard = requests.post(url, json=BODY, headers=headers, timeout=0.5).status_code
    except requests.RequestException as why:
        heard = type(why).__name__

    assert (
        heard == {"acted_error": 500, "acted_hang_up": "ConnectionError", "acted_silent": "ReadTimeout"}[mode]
    )
    assert boxed.nyc311.arrivals == {"one": 1}
    assert Client(boxed).get("/_desk").json()["arrivals"] == {"one": 1}


def test_a_success_may_hold_no_acceptance(boxed: Sandbox) -> None:
    """An error envelope under 200, and a receipt without a number."""
    city = Client(boxed)
    boxed.nyc311.envelope_in_200 = True
    refused = city.post(CREATE, PUBLIC)
    boxed.nyc311.envelope_in_200, boxed.nyc311.numberless = False, True
    taken = city.post(CREATE, PUBLIC)

    assert (refused.status_code, set(refused.json())) == (200, {"Error"})
    assert (taken.status_code, set(taken.json())) == (200, {"SLALanguage"})
    assert boxed.nyc311.arrivals == {"two": 1}
