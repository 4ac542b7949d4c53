"""The weather as we ask for it, read it and play it, against what is published and recorded.

The description is a community's, older than the recordings of 2020: it has rain of three hours, no gusts.
"""

from __future__ import annotations

from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tasks.openweather import PROVIDER, Weather, current_weather, request
from tests.contract.owner import Owner, recorded
from tests.contract.tally import Tally
from tests.driver import Driver
from tests.sandbox import TOKEN, Sandbox
from worker.errors import CallError, CredentialsRefused, RequestInvalid
from worker.http.body import parsed
from worker.http.verdict import failure, verdict
from worker.request import Answer

NAME = PROVIDER.name
SPEC = "openweathermap-openapi.yaml"
READ = (
    "weather_id", "weather_id_en", "weather_id_fr_metric", "weather_id_ru", "weather_id_ru_imperial",
    "weather_id_ru_metric", "weather_lat_lon", "weather_name", "weather_name_state_country", "weather_zip",
)  # fmt: skip


@pytest.fixture
def owner() -> Owner:
    """What is published of it."""
    return Owner.of(SPEC)


def cassette(name: str) -> dict[str, Any]:
    """One recorded exchange."""
    exchanges: list[dict[str, Any]] = recorded(f"openweather/dblock/{name}.json")
    (only,) = exchanges
    return only


def heard(reply: dict[str, Any]) -> Answer | CallError:
    """What our client makes of a recorded answer."""
    status, headers = reply["status"], {name.lower(): value for name, value in reply["headers"].items()}
    data = reply.get("body_json")
    meaning = verdict(PROVIDER, status, headers, data)
    if meaning in {"ok", "empty"}:
        return Answer(status=status, data=data, empty=meaning == "empty")
    return failure(PROVIDER, meaning, status, headers, data)


def weather(answer: Answer | CallError) -> Weather | None:
    """What the operation makes of that."""
    driver = Driver(answer=lambda _: answer)
    found: Weather | None = driver.run(current_weather.operation.steps((40.71, -74.01), {}))
    return found


@given(st.floats(-90, 90), st.floats(-180, 180), st.sampled_from(["metric", "standard", "imperial"]))
def test_every_place_we_ask_for_is_one_that_may_be_asked_for(
    latitude: float, longitude: float, units: str
) -> None:
    """With the key in its parameter."""
    driver = Driver(answer=lambda _: Answer(status=404, data=None, empty=True))

    driver.run(current_weather.operation.steps((latitude, longitude, units), {}))

    Owner.of(SPEC).allows(driver.requests[0], provider=PROVIDER)


def test_our_requests_are_counted(owner: Owner, tally: Tally) -> None:
    """One for each kind of units."""
    for units in ("metric", "standard", "imperial"):
        owner.allows(request(40.71, -74.01, units), provider=PROVIDER)
        tally.validated(NAME)


@pytest.mark.parametrize("name", READ)
def test_recorded_weather_reads_as_it_was(name: str, tally: Tally) -> None:
    """Every number in its place; what was not there is None."""
    reply = cassette(name)["response"]
    body = reply["body_json"]

    found = weather(heard(reply))

    assert found is not None
    assert (found.place, found.temperature, found.feels_like) == (
        body["name"],
        body["main"]["temp"],
        body["main"]["feels_like"],
    )
    assert (found.latitude, found.longitude) == (body["coord"]["lat"], body["coord"]["lon"])
    assert (found.condition, found.summary) == (body["weather"][0]["id"], body["weather"][0]["main"])
    assert found.rain == body.get("rain", {}).get("1h")
    assert found.snow == body.get("snow", {}).get("1h")
    assert found.wind_gust == body["wind"].get("gust")
    assert found.visibility == body.get("visibility")
    assert found.observed_at.startswith("2020-")
    tally.parsed(NAME)


def test_a_recorded_request_was_made_as_we_make_ours(tally: Tally) -> None:
    """The same host, path and parameters."""
    asked = requests.Request("GET", cassette("weather_lat_lon")["request"]["url"]).prepare()
    ours = request(51.51, -0.13, "standard")

    assert asked.url is not None
    assert asked.url.partition("?")[0] == f"{PROVIDER.base_url}{ours.path}"
    assert {f"{name}={value}" for name, value in ours.params.items() if name != "units"} <= set(
        asked.url.partition("?")[2].split("&")
    )
    tally.parsed(NAME)


@pytest.mark.parametrize(
    ("name", "kind"), [("access_denied", CredentialsRefused), ("error_out_of_range", RequestInvalid)]
)
def test_a_recorded_refusal_is_the_right_error(name: str, kind: type[CallError], tally: Tally) -> None:
    """Whatever its code is made of."""
    assert isinstance(heard(cassette(name)["response"]), kind)
    tally.parsed(NAME)


def test_a_recorded_404_without_a_body_is_no_weather(tally: Tally) -> None:
    """And no error."""
    reply = cassette("not_found")["response"]

    assert reply["body_text"] == ""
    assert weather(heard(reply)) is None
    tally.parsed(NAME)


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(40.71, -74.01), (40.0, 74.0), (-41.0, 7.0), (0.0, 0.0), (-90.0, 5.0)]
)
@pytest.mark.parametrize("units", ["metric", "standard", "imperial"])
def test_the_sandbox_says_what_is_published(
    owner: Owner, sandbox: Sandbox, tally: Tally, latitude: float, longitude: float, units: str
) -> None:
    """Everywhere, in all units; the reader finds it there."""
    asked = request(latitude, longitude, units)
    said = requests.get(
        sandbox.base_url(NAME) + asked.path, params={**asked.params, "appid": TOKEN}, timeout=5
    )
    if said.status_code == 404:
        assert weather(heard({"status": 404, "headers": {}, "body_json": said.json()})) is None
        return

    data = parsed(said.content, said.headers["Content-Type"])
    owner.promises(asked, data=data, provider=PROVIDER)
    tally.played(NAME)

    found = weather(Answer(status=200, data=data))
    assert found is not None
    assert found.temperature == data["main"]["temp"]


def test_the_sandbox_refuses_a_key_in_the_recorded_words(sandbox: Sandbox, tally: Tally) -> None:
    """To the letter."""
    asked = request(1.0, 1.0, "metric")

    said = requests.get(
        sandbox.base_url(NAME) + asked.path, params={**asked.params, "appid": "other"}, timeout=5
    )

    assert (said.status_code, said.json()) == (401, cassette("access_denied")["response"]["body_json"])
    tally.played(NAME)


def test_the_sandboxs_weather_has_the_shape_of_the_recorded(sandbox: Sandbox, tally: Tally) -> None:
    """The same fields of the same kinds, where it rains."""
    asked = request(41.0, 74.0, "metric")
    played = requests.get(
        sandbox.base_url(NAME) + asked.path, params={**asked.params, "appid": TOKEN}, timeout=5
    ).json()
    seen = cassette("weather_lat_lon")["response"]["body_json"]
    played.setdefault("visibility", 10_000)

    assert _shape(played) == _shape(seen)
    tally.played(NAME)


def _shape(value: Any) -> Any:
    """*value* with kinds for values; whole and broken numbers are one."""
    if isinstance(value, dict):
        return {name: _shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_shape(each) for each in value]
    return "number" if isinstance(value, int | float) else type(value).__name__
