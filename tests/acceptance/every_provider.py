"""The twelve providers as one table: what each is asked, and how it says each thing that may go wrong.

asked     a call that brings something, another one for each number
lost      one that asks for what is not there; some providers have nothing that could be missing
refused   how a credential is told that it is no good
pleads    how "too often" is said, and for how long
down      what a caller gets meanwhile: an old answer, patience, or a doubt
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from celery.result import AsyncResult

import tasks
from tests.acceptance.city_hall import report
from tests.acceptance.pleas import COOLDOWN, Plea, as_an_epoch, in_seconds, in_silence
from tests.sandbox import LOTS, TOKEN
from tests.sandbox.musicbrainz import UNKNOWN_ISRC
from tests.sandbox.openweather import NOWHERE
from tests.sandbox.settings import DOORS
from tests.sandbox.spotify import numbered
from worker import registry
from worker.provider import Provider

__all__ = ["PACE", "ROWS", "WRONG", "Call", "Row"]

Call: TypeAlias = AsyncResult[Any]
Ask: TypeAlias = Callable[[int], Call]

PACE = {
    f"NARROWS_PROVIDERS__{name.upper()}__{setting}": value
    for name in DOORS
    for setting, value in {
        "BURST": "50",
        "COOLDOWN": f"{COOLDOWN:g}",
        "RATE": "50",
        "RETRY_FIRST": "0.1",
        "RETRY_FLOOR": "1000",
        "RETRY_MOST": "0.3",
    }.items()
} | {"NARROWS_PROVIDERS__GEOCLIENT__OPTIONS__FALLBACK": "none"}
"""The providers' own numbers, shortened so that nobody waits."""

WRONG = {
    f"NARROWS_PROVIDERS__{name.upper()}__API_KEY": f"{door.user}:no-{TOKEN}" if door.user else f"no-{TOKEN}"
    for name, door in DOORS.items()
    if name != "musicbrainz"
}
"""A credential for each provider that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One provider.

    Attributes:
        brings: Whether a result is what the sandbox has.
        nothing: Whether a result is that of *lost*.
        at: A part of the path of what is asked, for faults that should not hit what sells tokens.
        refused: The status.
        blocked: The fault that refuses us where no credential is known.
        letter: The code of a call's dead letter when its answer makes no sense; "" when there is none yet.
        down: ``stale``, ``waits``, or ``in_doubt``.
    """

    name: str
    asked: Ask
    brings: Callable[[Any], bool]
    lost: Callable[[], Call] | None
    nothing: Callable[[Any], bool] = bool
    at: str = ""
    refused: int
    blocked: Mapping[str, Any] = field(default_factory=dict)
    pleads: Callable[[], Plea] = in_seconds
    letter: str = "upstream_rejected"
    down: Literal["stale", "waits", "in_doubt"]

    @property
    def provider(self) -> Provider:
        """As its module declares it."""
        return registry.provider(self.name)

    @property
    def key(self) -> str:
        """The variable that holds its credential."""
        return f"NARROWS_PROVIDERS__{self.name.upper()}__API_KEY"

    @property
    def opens_after(self) -> int:
        """Failures, with no success between them, that open its breaker."""
        rule = self.provider.breaker
        return rule.failures or rule.window


def accepted(told: Any) -> bool:
    """A submission's result."""
    return bool(told["state"] == "accepted" and told["external_id"])


SECONDS = itertools.count()
HOUSEHOLD = {"living_rental_type": "RentControlled", "living_renting": True}
ELDER = {"age": 70, "household_member_type": "HeadOfHousehold"}


def later() -> str:
    """A moment after all that were named before."""
    return datetime.fromtimestamp(2e9 + next(SECONDS), UTC).isoformat()


def none(found: Any) -> bool:
    """The one thing that was asked for is not there."""
    return found is None


def empty(found: Any) -> bool:
    """Nothing of what was asked for is there."""
    return bool(found == [])


def found_nothing(geocoding: Any) -> bool:
    """A geocoder's way of saying so."""
    return bool(geocoding["status"] == "not_found" and geocoding["place"] is None)


_ROWS = (
    Row(
        name="nyc_open_data",
        asked=lambda n: tasks.fetch_permits.delay(LOTS[0].bbl, limit=1 + n),
        brings=bool,
        lost=lambda: tasks.fetch_permits.delay("1999990001"),
        nothing=empty,
        refused=403,
        pleads=in_silence,
        down="stale",
    ),
    Row(
        name="nyc311",
        asked=lambda n: tasks.submit_service_request.delay(report(f"hole {n}")),
        brings=accepted,
        lost=lambda: tasks.check_service_request.delay("311-99999999"),
        nothing=none,
        refused=401,
        letter="in_doubt",
        down="in_doubt",
    ),
    Row(
        name="geoclient",
        asked=lambda n: tasks.geocode.delay(f"280 Riverside Drive{'!' * n}, Manhattan"),
        brings=lambda geocoding: geocoding["status"] == "found" and geocoding["place"]["bbl"],
        lost=lambda: tasks.geocode.delay("1 Nowhere Lane, Manhattan"),
        nothing=found_nothing,
        refused=401,
        down="stale",
    ),
    Row(
        name="mapbox",
        asked=lambda n: tasks.geocode_mapbox.delay("280 Riverside Drive, Manhattan", limit=1 + n % 10),
        brings=lambda geocoding: geocoding["status"] != "not_found",
        lost=lambda: tasks.geocode_mapbox.delay("1 Nowhere Lane, Manhattan"),
        nothing=found_nothing,
        refused=401,
        pleads=as_an_epoch("X-Rate-Limit-Reset"),
        down="waits",  # what is not paid for may not be kept
    ),
    Row(
        name="benefits",
        asked=lambda n: tasks.screen_household.delay({**HOUSEHOLD, "cash_on_hand": f"{n}.00"}, [ELDER]),
        brings=lambda screening: bool(screening["eligible"]),
        lost=lambda: tasks.screen_household.delay(HOUSEHOLD, [ELDER], interested_programs=["S2R999"]),
        nothing=lambda screening: bool(screening["eligible"] == []),
        at="/eligibilityPrograms",
        refused=400,
        down="waits",
    ),
    Row(
        name="spotify",
        asked=lambda n: tasks.get_track.delay(numbered(1 + n)),
        brings=lambda track: track["title"].startswith("Tide Number"),
        lost=lambda: tasks.get_track.delay("z" * 22),
        nothing=none,
        at="/v1/",
        refused=400,
        down="stale",
    ),
    Row(
        name="musicbrainz",
        asked=lambda n: tasks.search_recording.delay("Slack Water", limit=1 + n % 100),
        brings=lambda recordings: recordings[0]["title"] == "Slack Water",
        lost=lambda: tasks.lookup_isrc.delay(UNKNOWN_ISRC),
        nothing=lambda found: bool(found["recordings"] == [] and found["chosen"] is None),
        refused=403,
        blocked={"status": 403},  # it knows no keys, but may not want to hear from us
        pleads=as_an_epoch("X-RateLimit-Reset"),
        down="stale",
    ),
    Row(
        name="lastfm",
        asked=lambda n: tasks.get_track_tags.delay("Hells Bells" + "!" * n, "AC/DC"),
        brings=lambda tags: tags[0]["name"] == "hard rock",
        lost=lambda: tasks.get_track_tags.delay("Never Sung", "Nobody"),
        nothing=empty,
        refused=403,
        pleads=in_silence,
        down="stale",
    ),
    Row(
        name="sendgrid",
        asked=lambda n: tasks.send_email.delay([f"reader-{n}@example.org"], f"News {n}", text="It is high."),
        brings=accepted,
        lost=None,  # a mail is not looked for
        refused=401,
        pleads=as_an_epoch("X-RateLimit-Reset"),
        letter="in_doubt",
        down="in_doubt",
    ),
    Row(
        name="twilio",
        asked=lambda n: tasks.send_sms.delay(f"+1212555{1000 + n}", f"High water at {n}."),
        brings=accepted,
        lost=None,  # nor is a message, unless it is in doubt
        refused=401,
        pleads=in_silence,
        letter="",  # it is asked about in two minutes
        down="in_doubt",
    ),
    Row(
        name="openweather",
        asked=lambda n: tasks.current_weather.delay(40.0 + n / 100, -74.0),
        brings=lambda weather: weather is not None,
        lost=lambda: tasks.current_weather.delay(NOWHERE, 0.0),
        nothing=none,
        refused=401,
        pleads=in_silence,
        down="stale",
    ),
    Row(
        name="storage",
        asked=lambda n: tasks.update_watermark.delay(f"source-{n}", later()),
        brings=lambda update: bool(update["moved"]),
        lost=lambda: tasks.get_watermark.delay("never-read"),
        nothing=none,
        refused=401,
        down="waits",
    ),
)

ROWS = {row.name: row for row in _ROWS}
