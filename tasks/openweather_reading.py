"""What OpenWeather measured, read from its answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from worker.errors import ResponseUnreadable
from worker.request import Answer

__all__ = ["Weather", "reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """What it is like at a place. None is what was not said; of rain and snow, that there is none.

    Attributes:
        observed_at: When it was measured: ISO 8601, UTC.
        place: Its name for the place; "" where there is none.
        latitude: Of the place, in degrees; *longitude* the same.
        condition: Its number for the weather (https://openweathermap.org/weather-conditions).
        summary: The group of that number, such as ``Rain``; *description* says a little more.
        units: ``metric``: °C and m/s; ``standard``: K and m/s; ``imperial``: °F and mph.
        temperature: °C, K or °F; *feels_like* the same.
        pressure: hPa, at sea level.
        humidity: Per cent; *clouds* the same, of the sky.
        visibility: Metres; 10,000 at most.
        wind_speed: m/s or mph; *wind_gust* the same.
        wind_from: Where the wind comes from: degrees, clockwise from north.
        rain: Millimetres in the last hour; *snow* the same.
        source: ``live``, ``cache`` or ``stale``.
        age: Seconds since OpenWeather said so.
    """

    observed_at: str
    place: str
    latitude: float | None
    longitude: float | None
    condition: int
    summary: str
    description: str
    units: str
    temperature: float
    feels_like: float | None
    pressure: float | None
    humidity: float | None
    clouds: float | None
    visibility: float | None
    wind_speed: float | None
    wind_gust: float | None
    wind_from: float | None
    rain: float | None
    snow: float | None
    source: str
    age: float


def reading(answer: Answer, units: str) -> Weather:
    """The weather in *answer*, which was asked for in those *units*.

    Raises:
        ResponseUnreadable: It does not say when, how warm, or what kind of weather.
    """
    data = answer.data
    temperature, kind = _number(data, "main", "temp"), _kind(data)
    observed_at, condition = _moment(_number(data, "dt")), _number(kind, "id")
    if temperature is None or observed_at is None or condition is None:
        raise ResponseUnreadable("openweather sent no weather", status=answer.status)
    return Weather(
        observed_at=observed_at,
        place=_text(data, "name"),
        latitude=_number(data, "coord", "lat"),
        longitude=_number(data, "coord", "lon"),
        condition=int(condition),
        summary=_text(kind, "main"),
        description=_text(kind, "description"),
        units=units,
        temperature=temperature,
        feels_like=_number(data, "main", "feels_like"),
        pressure=_number(data, "main", "pressure"),
        humidity=_number(data, "main", "humidity"),
        clouds=_number(data, "clouds", "all"),
        visibility=_number(data, "visibility"),
        wind_speed=_number(data, "wind", "speed"),
        wind_gust=_number(data, "wind", "gust"),
        wind_from=_number(data, "wind", "deg"),
        rain=_number(data, "rain", "1h"),
        snow=_number(data, "snow", "1h"),
        source=answer.source,
        age=answer.age,
    )


def _kind(data: Any) -> Any:
    """The first of the weathers, which is the one that counts."""
    kinds = data.get("weather") if isinstance(data, dict) else None
    return kinds[0] if isinstance(kinds, list) and kinds else None


def _number(data: Any, *names: str) -> float | None:
    """What stands under these names, one within the other; None unless it is a number."""
    for name in names:
        data = data.get(name) if isinstance(data, dict) else None
    if not isinstance(data, int | float) or isinstance(data, bool):
        return None
    try:
        number = float(data)
    except OverflowError:  # an int of a thousand digits
        return None
    return number if math.isfinite(number) else None  # JSON's 1e999 is not


def _text(data: Any, name: str) -> str:
    value = data.get(name) if isinstance(data, dict) else None
    return value if isinstance(value, str) else ""


def _moment(seconds: float | None) -> str | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    except (ValueError, OverflowError, OSError):  # before the year 1 or after 9999
        return None
