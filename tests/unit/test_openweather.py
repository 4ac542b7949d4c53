"""The weather: what is asked, how an answer reads, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.openweather import PROVIDER, Weather, current_weather
from tests.driver import Driver
from worker.errors import (
    ArgumentsInvalid,
    CallError,
    ProviderUnavailable,
    ResponseUnreadable,
)
from worker.http.auth import wire_auth
from worker.http.verdict import verdict
from worker.redaction import excerpt
from worker.request import Answer, Request
from worker.steps import plain

FULL: dict[str, Any] = {
    "coord": {"lon": -74.01, "lat": 40.71},
    "weather": [{"id": 500, "main": "Rain", "description": "light rain", "icon": "10d"}, {"id": 701}],
    "main": {"temp": 9.64, "feels_like": 7, "pressure": 1013, "humidity": 81},
    "visibility": 8000,
    "wind": {"speed": 5.7, "deg": 70, "gust": 9.1},
    "rain": {"1h": 0.51},
    "clouds": {"all": 75},
    "dt": 1_588_044_368,
    "name": "New York",
    "cod": 200,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(FULL)), inner),
    max_leaves=12,
)


def asked(*args: Any, said: Callable[[Request], Answer | CallError]) -> tuple[Any, list[Request]]:
    """What the operation returns, and what it asked."""
    driver = Driver(answer=said)
    return driver.run(current_weather.operation.steps(args, {})), driver.requests


def saying(data: Any, **told: Any) -> Callable[[Request], Answer]:
    """OpenWeather, when it says *data*."""
    return lambda _: Answer(**{"status": 200, "data": data, **told})


def test_a_place_is_asked_for_by_hundredths_of_a_degree() -> None:
    """So that neighbours share an answer, and nobody's own address leaves."""
    _, requests = asked(40.712776, -74.005974, said=saying(FULL))
    _, same = asked(40.7101, -74.0099, "metric", said=saying(FULL))

    assert requests == [
        Request(path="/weather", params={"lat": "40.71", "lon": "-74.01", "units": "metric"}, label="weather")
    ]
    assert same[0].fingerprint == requests[0].fingerprint


def test_a_place_on_the_equator_has_one_name() -> None:
    """There is no minus zero, of which a cache would know nothing."""
    _, requests = asked(-0.001, 0, said=saying(FULL))

    assert requests[0].params == {"lat": "0.00", "lon": "0.00", "units": "metric"}


def test_everything_that_is_said_of_the_weather_is_told() -> None:
    """With where it came from, and how old it is."""
    found, _ = asked(40.71, -74.01, said=saying(FULL, source="stale", age=700.0))

    assert found == Weather(
        observed_at="2020-04-28T03:26:08+00:00",
        place="New York",
        latitude=40.71,
        longitude=-74.01,
        condition=500,
        summary="Rain",
        description="light rain",
        units="metric",
        temperature=9.64,
        feels_like=7.0,
        pressure=1013.0,
        humidity=81.0,
        clouds=75.0,
        visibility=8000.0,
        wind_speed=5.7,
        wind_gust=9.1,
        wind_from=70.0,
        rain=0.51,
        snow=None,
        source="stale",
        age=700.0,
    )
    json.dumps(plain(found), allow_nan=False)


def test_what_there_is_none_of_is_none() -> None:
    """Rain, snow, gusts and the view are left out where there is nothing to say."""
    bare = {name: FULL[name] for name in ("weather", "main", "dt")}

    found, _ = asked(40.71, -74.01, "imperial", said=saying(bare))

    assert (found.rain, found.snow, found.wind_gust, found.visibility, found.place) == (None,) * 4 + ("",)
    assert found.units == "imperial"


@pytest.mark.parametrize(
    "said",
    [
        saying({"cod": "404", "message": "city not found"}, status=404, empty=True),
        saying({"cod": "404", "message": "Error: Not found city"}, empty=True),
        saying(None, status=404, empty=True),
    ],
    ids=["404", "200 that says 404", "empty 404"],
)
def test_no_weather_is_none_and_no_error(said: Callable[[Request], Answer | CallError]) -> None:
    """However it is said."""
    assert asked(-90, 0, said=said)[0] is None


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, FULL, "ok"),
        (200, {**FULL, "cod": "200"}, "ok"),
        (200, {**FULL, "main": {}}, "unreadable"),
        (200, {"cod": 200}, "unreadable"),
        (200, None, "unreadable"),
        (304, None, "ok"),
        (200, {"cod": "404", "message": "Error: Not found city"}, "empty"),
        (404, {"cod": "404", "message": "city not found"}, "empty"),
        (404, None, "empty"),
        (404, {"statusCode": 404, "message": "Resource not found"}, "rejected"),
        (404, {}, "rejected"),
        (404, [], "rejected"),
        (202, None, "unreadable"),
        (204, None, "unreadable"),
        (201, FULL, "ok"),
        (400, {"cod": "400", "message": "Nothing to geocode"}, "rejected"),
        (401, {"cod": 401, "message": "Invalid API key."}, "credentials"),
        (200, {"cod": 401, "message": "Invalid API key."}, "credentials"),
        (429, {"cod": 429, "message": "Your account is temporary blocked"}, "throttled"),
        (200, {"cod": 429}, "throttled"),
        (429, None, "throttled"),
        (200, {"cod": "500"}, "unavailable"),
        (502, None, "unavailable"),
    ],
)
def test_the_bodys_own_code_is_believed_before_the_status(status: int, body: Any, meaning: str) -> None:
    """A number or a text."""
    assert verdict(PROVIDER, status, {}, body) == meaning


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"main": {}}, "no temperature"),
        ({"main": {"temp": "9"}}, "a temperature in words"),
        ({"main": {"temp": True}}, "no number"),
        ({"main": {"temp": float("inf")}}, "1e999"),
        ({"main": {"temp": 10**400}}, "a number that is none"),
        ({"weather": []}, "no kind"),
        ({"weather": {"id": 500}}, "a kind that is no list"),
        ({"dt": None}, "no time"),
        ({"dt": 1e18}, "a time after all times"),
        ({"dt": -1e18}, "a time before all times"),
    ],
)
def test_what_is_no_weather_cannot_be_read(changed: dict[str, Any], what: str) -> None:
    """And nobody is told that it is warm."""
    with pytest.raises(ResponseUnreadable) as unread:
        asked(1, 1, said=saying({**FULL, **changed}))

    assert unread.value.status == 200, what


@given(
    st.one_of(
        JSON, JSON.map(lambda part: {**FULL, "main": part}), JSON.map(lambda part: {**FULL, "dt": part})
    )
)
def test_any_answer_is_weather_or_an_error_of_ours(data: Any) -> None:
    """Whatever JSON a proxy makes up."""
    try:
        found, _ = asked(1, 1, said=saying(data))
    except ResponseUnreadable:
        return
    json.dumps(plain(found), allow_nan=False)


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ((91, 0), "latitude: takes degrees"),
        ((0, -180.5), "longitude: takes degrees"),
        (("40.7", 0), "latitude: takes degrees"),
        ((True, 0), "latitude: takes degrees"),
        ((float("nan"), 0), "latitude: takes degrees"),
        ((None, 0), "latitude: takes degrees"),
        ((10**400, 0), "latitude: takes degrees"),
        ((0, 0, "kelvin"), 'units: takes "metric"'),
        ((0, 0, None), 'units: takes "metric"'),
        ((0, 0, ["metric"]), 'units: takes "metric"'),
    ],
)
def test_what_is_no_place_is_refused_where_it_is_asked_for(args: tuple[Any, ...], named: str) -> None:
    """The message names the argument and what it takes."""
    with pytest.raises(ArgumentsInvalid) as refused:
        current_weather.operation.checked(args, {})

    assert named in str(refused.value)


def test_an_argument_is_rounded_before_it_lies_anywhere() -> None:
    """What is stored is what is asked."""
    assert current_weather.operation.checked((40.712776, -74.005974), {}) == ([40.71, -74.01], {})


def test_nobody_is_shown_where_somebody_is() -> None:
    """Neither in Flower nor in a dead letter."""
    shown = excerpt(current_weather.operation, (40.712776, -74.005974, "metric"), {})

    assert "40.7" not in shown
    assert "74.0" not in shown
    assert "units='metric'" in shown


def test_a_failure_that_may_pass_is_the_engines() -> None:
    """It retries, or answers from what it knows."""
    with pytest.raises(ProviderUnavailable):
        asked(1, 1, said=lambda _: ProviderUnavailable("openweather answered 500", status=500))


def test_the_key_is_a_query_parameter_and_has_to_be_there() -> None:
    """Without one nothing is sent."""
    assert wire_auth(PROVIDER, "k").query == {"appid": "k"}
    assert wire_auth(PROVIDER, None).missing
