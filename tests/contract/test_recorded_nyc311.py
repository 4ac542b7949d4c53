"""Our reading of NYC 311, and the sandbox's playing of it, against what the City itself sent.

Recorded in July 2022: the public API's answers and its two envelopes. No create was ever recorded.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import requests

from config.settings import ProviderSettings
from tasks.city311 import Base311Adapter, Lookup, steps
from tasks.city311.city_file import CityFile
from tasks.city311.template import template
from tasks.nyc311 import APIM, PROVIDER
from tests.contract.exchange import sent
from tests.contract.tally import Tally
from tests.driver import Driver
from tests.sandbox import TOKEN, Sandbox
from worker.errors import CredentialsRefused, ProviderUnavailable, RequestInvalid, ResourceMissing
from worker.http.verdict import failure, verdict
from worker.overrides import overridden
from worker.request import Answer

CREATE, ONE, LIST = (
    "/create-sr/api/CreateServiceRequest",
    "/public/api/GetServiceRequest",
    "/public/api/GetServiceRequestList",
)
SPEAKING = overridden(PROVIDER, ProviderSettings(contract="apim"))
Find = Callable[[str], dict[str, Any]]


@pytest.fixture
def recorded(contracts: Path) -> Find:
    """The recorded exchange whose request or case holds a text."""
    found = json.loads((contracts / "recorded" / "nyc311" / "public_api_responses.json").read_text())

    def find(text: str) -> dict[str, Any]:
        (one, *_) = [each for each in found if text in each.get("request", "") + each.get("case", "")]
        assert isinstance(one, dict)
        return one

    return find


def checked(adapter: Base311Adapter, number: str, data: Any) -> dict[str, Any]:
    """What a check of *number* reports when the City answers *data*."""
    return Driver(answer=lambda _: Answer(status=200, data=data)).run(steps.check(adapter, number))


def shape(value: Any) -> Any:
    """*value* with its keys and the types of its leaves."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return type(value).__name__


def test_a_recorded_request_is_read(recorded: Find, tally: Tally) -> None:
    """Its status is a number there, and a word here; it was never touched, so no date."""
    exchange = recorded("GetServiceRequest?srnumber")

    assert checked(APIM, "311-10935582", exchange["body_json"]) == {
        "external_id": "311-10935582",
        "external_status": "in_progress",
        "agency": "Department of Housing Preservation and Development",
        "closed": False,
        "updated_at": None,
    }
    tally.parsed("nyc311")


def test_a_recorded_list_is_read_by_number_and_not_by_place(recorded: Find, tally: Tally) -> None:
    """The City answers in another order than it was asked, without what it does not know."""
    exchange = recorded("GetServiceRequestList")
    asked, data = exchange["request_json"]["SRNumbers"], exchange["body_json"]
    adapter = _replaced(APIM, Lookup(path=LIST, params={"n": "{id}"}, within="SRResponses"))

    reports = {number: checked(adapter, number, data) for number in asked}

    assert [each["SRNumber"] for each in data["SRResponses"]] != asked
    assert reports["311-10935540"]["external_status"] == "closed"
    assert reports["311-10935540"]["updated_at"] == "2022-07-08T13:02:55"
    assert reports["311-10935466"]["agency"] == "Department of Environmental Protection"
    with pytest.raises(ResourceMissing):
        checked(adapter, "311-00000000", data)
    tally.parsed("nyc311")


def test_we_ask_as_was_recorded(recorded: Find, tally: Tally) -> None:
    """The recorded request line, parameter by parameter, with the key in its header."""
    method, _, url = recorded("GetServiceRequest?srnumber")["request"].partition(" ")
    driver = Driver(
        answer=lambda _: Answer(status=200, data=recorded("GetServiceRequest?srnumber")["body_json"])
    )

    driver.run(steps.check(APIM, "311-10935582"))

    (ours,) = driver.requests
    wire = sent(ours, base="https://api.nyc.gov", provider=SPEAKING)
    assert (wire.method.upper(), f"{wire.host_url}{wire.path}?{urlencode(ours.params)}") == (method, url)
    assert "Ocp-Apim-Subscription-Key" in wire.parameters.header
    tally.validated("nyc311")


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        ("bad parameter", RequestInvalid),
        ("bad key", CredentialsRefused),
        ("unknown path", ResourceMissing),
        ("backend fault", ProviderUnavailable),
    ],
)
@pytest.mark.parametrize("success", [False, True])
def test_each_recorded_envelope_means_what_it_says(
    recorded: Find,
    case: str,
    kind: type[Exception],
    success: bool,  # noqa: FBT001
    tally: Tally,
) -> None:
    """Under its own status, and under a 200 that hides it."""
    exchange = recorded(case)
    status, body = 200 if success else exchange["status"], exchange["body_json"]

    meaning = verdict(SPEAKING, status, {}, body)

    assert meaning != "ok"
    assert type(failure(SPEAKING, meaning, status, {}, body)) is kind
    tally.parsed("nyc311")


def test_no_recorded_answer_is_taken_for_an_error(recorded: Find, tally: Tally) -> None:
    """Whatever stands in it."""
    for text in ("GetServiceRequest?", "GetServiceRequestList", "GetCalendar", "CodeBlue"):
        exchange = recorded(text)
        assert verdict(SPEAKING, exchange["status"], {}, exchange["body_json"]) == "ok"
    tally.parsed("nyc311", 4)


def test_the_sandbox_shows_a_request_as_recorded(recorded: Find, sandbox: Sandbox, tally: Tally) -> None:
    """Same keys, same types; the list is one of the same."""
    headers = {"Ocp-Apim-Subscription-Key": TOKEN}
    base = sandbox.base_url("nyc311")
    made = requests.post(
        base + CREATE, json={"agency": "a", "problem": "b"}, headers=headers, timeout=5
    ).json()

    one = requests.get(base + ONE, params={"srnumber": made["SRNumber"]}, headers=headers, timeout=5).json()
    many = requests.post(
        base + LIST, json={"SRNumbers": [made["SRNumber"]]}, headers=headers, timeout=5
    ).json()

    assert shape(recorded("GetServiceRequest?")["body_json"]) == shape(one)
    assert many == {"SRResponses": [one]}
    tally.played("nyc311", 2)


def test_the_sandbox_refuses_as_recorded(recorded: Find, sandbox: Sandbox, tally: Tally) -> None:
    """Word for word where the City's words do not depend on what was asked."""
    base, headers = sandbox.base_url("nyc311"), {"Ocp-Apim-Subscription-Key": TOKEN}

    keyless = requests.get(base + ONE, timeout=5)
    lost = requests.get(base + "/public/api/Nothing", headers=headers, timeout=5)
    typeless = requests.post(base + CREATE, data=b"{}", headers=headers, timeout=5)
    bad = requests.post(base + CREATE, json={}, headers=headers, timeout=5)

    assert (keyless.status_code, keyless.json()) == (401, recorded("bad key")["body_json"])
    assert (lost.status_code, lost.json()) == (404, recorded("unknown path")["body_json"])
    assert (typeless.status_code, typeless.json()) == (500, recorded("backend fault")["body_json"])
    assert shape(bad.json()) == shape(recorded("bad parameter")["body_json"])
    tally.played("nyc311", 4)


def test_a_city_that_speaks_open311_is_described_by_a_file(contracts: Path, tally: Tally) -> None:
    """Its documented answers are lists of one, with numbers for names."""
    examples = json.loads(
        (contracts / "recorded" / "nyc311" / "open311_georeport_v2_examples.json").read_text()
    )
    (posted, *_) = [
        json.loads(each["body_text"])
        for each in examples
        if '"service_request_id":293944' in each["body_text"]
    ]
    text = template("bos", "Boston", "https://311.example.org/v2").replace(
        'external_id = "trackingNumber"', 'external_id = "service_request_id"'
    )
    adapter = CityFile.parsed(text, "bos.toml").adapter
    payload = {"agency": "BTD", "complaint_type": "Sign", "location": {"address": "x"}}

    taken = Driver(answer=lambda _: Answer(status=200, data=posted)).run(steps.submit(adapter, payload))

    assert taken.external_id == "293944"
    found = checked(adapter, "293944", [{**posted[0], "status": "closed"}])
    assert (found["external_status"], found["closed"]) == ("closed", True)
    tally.parsed("nyc311", 2)


def _replaced(adapter: Base311Adapter, check: Lookup) -> Base311Adapter:
    from dataclasses import replace

    return replace(adapter, check=check)
