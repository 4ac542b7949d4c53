"""One call of each provider, for the demonstration: what is asked, and what the answer comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from celery.result import AsyncResult

__all__ = ["STOPS", "Stop"]

LONGEST = 30

LAMP = {
    "agency": "DOT",
    "complaint_type": "Street Light Condition",
    "description": "Lamp flickers",
    "location": {"address": "1 Centre Street", "borough": "Manhattan", "zip": "10007"},
}
HOUSEHOLD = {"cash_on_hand": "100.00", "living_renting": True, "living_rental_type": "RentControlled"}
ELDER = {"age": 70, "household_member_type": "HeadOfHousehold"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One provider.

    Attributes:
        operation: One of ``tasks``.
        args: What it is called with.
        told: What its result comes to, in a few words.
    """

    provider: str
    operation: str
    args: tuple[Any, ...]
    told: Callable[[Any], str]

    @property
    def said(self) -> str:
        """The call as it would be typed; what is long, or more than a text or a number, is left out."""
        plain = [repr(each) if isinstance(each, str | int | float) else "…" for each in self.args]
        return f"{self.operation}({', '.join(each if len(each) <= LONGEST else '…' for each in plain)})"

    def enqueue(self) -> AsyncResult[Any]:
        """The call, on its way."""
        import tasks

        return getattr(tasks, self.operation).delay(*self.args)


def _titles(found: list[dict[str, Any]], name: str) -> str:
    return ", ".join(str(each[name]) for each in found[:3])


STOPS = (
    Stop(
        provider="nyc_open_data",
        operation="fetch_permits",
        args=("1012970023",),
        told=lambda permits: f"{len(permits)} permits",
    ),
    Stop(
        provider="nyc311",
        operation="submit_service_request",
        args=(LAMP,),
        told=lambda told: f"{told['state']}, {told['external_id']}",
    ),
    Stop(
        provider="geoclient",
        operation="geocode",
        args=("280 Riverside Drive, NY",),
        told=lambda found: f"{found['status']}, BBL {found['place']['bbl']}",
    ),
    Stop(
        provider="mapbox",
        operation="geocode_mapbox",
        args=("280 Riverside Drive, NY",),
        told=lambda found: f"{found['status']}, {found['place']['latitude']:.4f} north",
    ),
    Stop(
        provider="benefits",
        operation="screen_household",
        args=(HOUSEHOLD, [ELDER]),
        told=lambda screening: _titles(screening["eligible"], "code"),
    ),
    Stop(
        provider="spotify",
        operation="search_track",
        args=("Happy", "Pharrell Williams"),
        told=lambda tracks: f"{tracks[0]['title']}, {tracks[0]['isrc']}",
    ),
    Stop(
        provider="musicbrainz",
        operation="lookup_isrc",
        args=("GBAAA9900303",),
        told=lambda found: str(found["chosen"]["title"]),
    ),
    Stop(
        provider="lastfm",
        operation="get_track_tags",
        args=("Hells Bells", "AC/DC"),
        told=lambda tags: _titles(tags, "name"),
    ),
    Stop(
        provider="sendgrid",
        operation="send_email",
        args=(["reader@example.org"], "High water", "At nine."),
        told=lambda told: str(told["state"]),
    ),
    Stop(
        provider="twilio",
        operation="send_sms",
        args=("+12125550101", "High water at nine."),
        told=lambda told: f"{told['state']}, {told['external_status']}",
    ),
    Stop(
        provider="openweather",
        operation="current_weather",
        args=(40.71, -74.01),
        told=lambda weather: f"{weather['temperature']:.0f} °C, {weather['description']}",
    ),
    Stop(
        provider="storage",
        operation="update_watermark",
        args=("tides", "2026-11-21T09:00Z"),
        told=lambda update: f"at {update['timestamp']}",
    ),
)
