"""The weather that the sandbox makes, over real sockets: units, what there is none of, ways to say no."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.sandbox import TOKEN, Sandbox


def asked(sandbox: Sandbox, **params: str) -> requests.Response:
    """What it answers, with the key unless there is another."""
    known = {"appid": TOKEN, **params}
    return requests.get(f"{sandbox.base_url('openweather')}/weather", params=known, timeout=5)


def test_the_same_place_has_the_same_weather_in_any_units(sandbox: Sandbox) -> None:
    """Kelvin unless asked otherwise."""
    said = {
        units: asked(sandbox, lat="40.71", lon="-74.01", **({"units": units} if units else {})).json()
        for units in ("", "standard", "metric", "imperial")
    }

    assert {units: each["main"]["temp"] for units, each in said.items()} == {
        "": 282.79,
        "standard": 282.79,
        "metric": 9.64,
        "imperial": 49.36,
    }
    assert said["imperial"]["wind"]["speed"] > said["metric"]["wind"]["speed"]
    assert said["metric"]["cod"] == 200


@pytest.mark.parametrize(
    ("lat", "lon", "there"),
    [
        ("41", "-74", set()),
        ("41", "74", {"rain"}),
        ("-41", "74", {"snow"}),
        ("40", "-74", {"gust", "visibility"}),
        ("40", "74", {"rain", "gust", "visibility"}),
    ],
)
def test_what_there_is_none_of_is_left_out(sandbox: Sandbox, lat: str, lon: str, there: set[str]) -> None:
    """By place."""
    said: dict[str, Any] = asked(sandbox, lat=lat, lon=lon).json()

    assert {"rain", "snow", "visibility", "gust"} & {*said, *said["wind"]} == there


def test_no_weather_is_said_in_three_ways(sandbox: Sandbox) -> None:
    """404 with a text for a code, 200 with it, 404 with nothing."""
    ways = [asked(sandbox, lat="-90", lon=lon) for lon in ("0", "1", "2")]

    assert [(each.status_code, each.json()["cod"] if each.content else None) for each in ways] == [
        (404, "404"),
        (200, "404"),
        (404, None),
    ]


@pytest.mark.parametrize(
    ("params", "status", "cod"),
    [
        ({"appid": "other", "lat": "1", "lon": "1"}, 401, 401),
        ({}, 400, "400"),
        ({"lat": "1"}, 400, "400"),
        ({"lat": "91", "lon": "0"}, 400, "400"),
        ({"lat": "nan", "lon": "0"}, 400, "400"),
        ({"lat": "here", "lon": "0"}, 400, "400"),
        ({"q": "London"}, 200, 200),
    ],
)
def test_a_wrong_question_is_refused_with_a_code_in_the_body(
    sandbox: Sandbox, params: dict[str, str], status: int, cod: Any
) -> None:
    """A number for the key, a text for the rest."""
    answer = asked(sandbox, **params)

    assert (answer.status_code, answer.json()["cod"]) == (status, cod)


def test_a_fault_speaks_as_the_provider_does(sandbox: Sandbox) -> None:
    """The 429 as it was quoted."""
    sandbox.control.fault("openweather", status=429, times=1)
    blocked = asked(sandbox, lat="1", lon="1")
    sandbox.control.fault("openweather", status=503, times=1)
    down = asked(sandbox, lat="1", lon="1")

    assert (blocked.status_code, blocked.json()["cod"]) == (429, 429)
    assert "temporary blocked" in blocked.json()["message"]
    assert (down.status_code, down.json()) == (503, {"cod": "503", "message": "Internal error"})
