"""Arguments of the weather: where, and in which units."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from tasks.arguments import Parsed

__all__ = ["Latitude", "Longitude", "Units", "degrees", "known_units"]


def degrees(most: float, *, example: float) -> Parsed:
    """Takes degrees from -*most* to *most*, and makes them hundredths, so that neighbours share an answer."""
    wanted = f"takes degrees as a number from -{most:g} to {most:g}, for example {example}"

    def parse(value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -most <= value <= most:  # which NaN is not either
            raise ValueError(wanted)
        return round(float(value), 2) + 0.0  # never -0.0

    return Parsed(parse)


def known_units(value: Any) -> str:
    """A word for units."""
    if value not in ("metric", "standard", "imperial"):
        raise ValueError('takes "metric" (°C, m/s), "standard" (K, m/s) or "imperial" (°F, mph)')
    return str(value)


Latitude = Annotated[float, degrees(90.0, example=40.71)]
Longitude = Annotated[float, degrees(180.0, example=-74.01)]
Units = Annotated[Literal["metric", "standard", "imperial"], Parsed(known_units)]
