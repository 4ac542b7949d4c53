"""OpenWeather: the weather at a place, now.

Docs     https://openweathermap.org/current
Limits   https://openweathermap.org/price
         free: 60 calls in a minute, 1,000,000 in a month; no header tells what is left.
         1 call a second and 1000 a day are our own. What is measured changes every 10 minutes or so
Quirks   the body's `cod` is a number or a text, and believed before the status: answers of 2014 said 404 in a
         200; a 404 may be empty, and one in words of another kind is a proxy's; a throttled answer names no
         wait; a new key is refused for up to two hours; of rain, snow and gusts there is no word where there
         are none
Unverified  the 429, which users quote, and how long it lasts: the fleet pauses for ten minutes; gusts and
         the snow of an hour, which no recording has
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.openweather_reading import Weather, reading
from tasks.openweather_terms import Latitude, Longitude, Units
from worker.errors import ResponseUnreadable
from worker.operation import Steps, operation
from worker.provider import Auth, Breaker, Caching, Provider, Quota, Rate, Signs, Verdict
from worker.request import Answer, Request

__all__ = ["PROVIDER", "Weather", "current_weather"]

GOOD, MISSING = 2, 404
_SIGNS = Signs(
    at="cod",
    codes={
        "400": "rejected",
        "401": "credentials",
        "404": "empty",
        "429": "throttled",
        **dict.fromkeys(("500", "502", "503", "504"), "unavailable"),
    },
)


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
    """The code in the body, whatever the status; a good answer that holds no weather is not to be kept.

    A 404 in the words of somebody else is an address of ours that is wrong, and no place without weather.
    """
    if meaning := _SIGNS(status, headers, body):
        return meaning
    if status == MISSING:
        return "empty" if body is None else "rejected"
    if status // 100 != GOOD:
        return None
    try:
        reading(Answer(status=status, data=body), "")
    except ResponseUnreadable:
        return "unreadable"
    return "ok"


PROVIDER = Provider(
    name="openweather",
    base_url="https://api.openweathermap.org/data/2.5",
    rate=Rate(calls=1.0, burst=1),
    quota=Quota(limit=1000, zone="UTC"),
    breaker=Breaker(failures=None, ratio=0.5, window=20),
    caching=Caching(memory=600.0, redis=600.0, stale_if_error=7200.0),
    auth=Auth(query="appid"),
    cooldown=600.0,
    judge=judge,
    fails_open=True,  # once too often is worth more than no weather: the limit leaves room for it
)


@operation(PROVIDER, shown=("units",))
def current_weather(
    latitude: Latitude, longitude: Longitude, units: Units = "metric"
) -> Steps[Weather | None]:
    """The weather within a kilometre or so of a place; None where none is known.

    Without the state Redis it is asked for all the same, at this process's share of the rate.
    """
    answer = yield request(latitude, longitude, units)
    return None if answer.empty else reading(answer, units)


def request(latitude: float, longitude: float, units: str) -> Request:
    """What is asked."""
    params = {"lat": f"{latitude:.2f}", "lon": f"{longitude:.2f}", "units": units}
    return Request(path="/weather", params=params, label="weather")
