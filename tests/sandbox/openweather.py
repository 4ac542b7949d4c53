"""OpenWeather as the sandbox plays it.

    GET /weather?lat=&lon= | q= | id= | zip=  &appid=&units=

The weather depends on the place alone: rain in the east, snow in the south, gusts at every second degree. At
the south pole nothing is known, which is said in three ways: 404 with a body, at longitude 1 a 200 with
``"cod": "404"`` in it, at longitude 2 a 404 without a body.

Recorded (contracts/recorded/openweather): the weather, the 401, the empty 404. Quoted: the 429. Assumed: the
answer to a latitude that there is not.

Read on  2026-11-21, from PROVIDERS.md section 11
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["NOWHERE", "WeatherPlayer"]

NOWHERE = -90.0
"""The latitude at which no weather is known."""

PLACES = ("q", "id", "zip")
UNITS = ("standard", "metric", "imperial")
ZERO_CELSIUS = 273.15

_SAID = {
    401: "Invalid API key. Please see http://openweathermap.org/faq#error401 for more info.",
    404: "city not found",
    429: "Your account is temporary blocked due to exceeding of requests limitation of your subscription "
    "type. Please choose the proper subscription http://openweathermap.org/price",
}
_NUMBERS = (401, 429)
"""Their ``cod`` is a number; that of the others is a text."""


class WeatherPlayer:
    """Knows the weather everywhere but at the south pole.

    Attributes:
        keys: API keys that are known.
    """

    name = "openweather"

    def __init__(self, *, keys: Iterable[str]) -> None:
        self.keys = set(keys)

    async def answer(self, request: Request) -> Reply:
        params = request.params
        if params.get("appid") not in self.keys:
            return _refused(401)
        if request.path != "/weather":
            return _refused(404, "Internal error")
        if any(name in params for name in PLACES):
            return json_reply(_weather(40.71, -74.01, _units(params)))
        if "lat" not in params or "lon" not in params:
            return _refused(400, "Nothing to geocode")
        for name, said, most in (("lat", "latitude", 90.0), ("lon", "longitude", 180.0)):
            if not _within(params[name], most):
                return _refused(400, f"wrong {said}")
        return _at(float(params["lat"]), float(params["lon"]), _units(params))

    def failure(self, status: int) -> Reply:
        return _refused(status)


def _at(latitude: float, longitude: float, units: str) -> Reply:
    if latitude == NOWHERE and longitude == 1.0:
        return json_reply({"cod": "404", "message": "Error: Not found city"})
    if latitude == NOWHERE and longitude == 2.0:
        return Reply(status=404, headers={"Content-Type": "application/json; charset=utf-8"})
    if latitude == NOWHERE:
        return _refused(404)
    return json_reply(_weather(latitude, longitude, units))


def _refused(status: int, said: str | None = None) -> Reply:
    cod: int | str = status if status in _NUMBERS else str(status)
    return json_reply({"cod": cod, "message": said or _SAID.get(status, "Internal error")}, status=status)


def _weather(latitude: float, longitude: float, units: str) -> dict[str, Any]:
    """Made up of the place, and the same each time."""
    rainy, snowy, windy = longitude > 0, latitude < 0, round(abs(latitude)) % 2 == 0
    kind = (
        (601, "Snow", "snow")
        if snowy
        else (500, "Rain", "light rain")
        if rainy
        else (800, "Clear", "clear sky")
    )
    number, group, words = kind
    kelvin = 303.15 - abs(latitude) / 2
    speed = 5.7 * (2.237 if units == "imperial" else 1.0)
    degrees = {"temp": kelvin, "feels_like": kelvin - 2, "temp_min": kelvin - 1, "temp_max": kelvin + 1}
    told: dict[str, Any] = {
        "coord": {"lon": longitude, "lat": latitude},
        "weather": [{"id": number, "main": group, "description": words, "icon": "10d"}],
        "base": "stations",
        "main": {
            **{name: round(_degrees(value, units), 2) for name, value in degrees.items()},
            "pressure": 1013,
            "humidity": 60,
        },
        "wind": {"speed": round(speed, 2), "deg": 90},
        "clouds": {"all": 75 if rainy or snowy else 0},
        "dt": 1_795_000_000,
        "sys": {"type": 1, "id": 1414, "country": "US", "sunrise": 1_794_990_000, "sunset": 1_795_025_000},
        "timezone": -18_000,
        "id": 5_128_581,
        "name": "New York" if (latitude, longitude) == (40.71, -74.01) else "Somewhere",
        "cod": 200,
    }
    if windy:
        told["wind"]["gust"] = round(2 * speed, 2)
        told["visibility"] = 10_000
    if rainy and not snowy:
        told["rain"] = {"1h": 1.52}
    if snowy:
        told["snow"] = {"1h": 0.4}
    return told


def _degrees(kelvin: float, units: str) -> float:
    if units == "standard":
        return kelvin
    celsius = kelvin - ZERO_CELSIUS
    return celsius if units == "metric" else celsius * 9 / 5 + 32


def _units(params: dict[str, str]) -> str:
    """Those asked for; the standard ones when there is none of that name."""
    units = params.get("units", "standard")
    return units if units in UNITS else "standard"


def _within(text: str, most: float) -> bool:
    try:
        return -most <= float(text) <= most
    except ValueError:
        return False
