"""Every task with something private in each of its arguments, and the secrets of a deployment.

No two of these are alike, so that a hit tells what leaked. What an operation shows to everybody (``shown``)
holds nothing private; LIGHTHOUSE stands there, to be found again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import tasks
from tests.acceptance.every_provider import later
from tests.sandbox import LOTS
from tests.sandbox.settings import DOORS
from tests.sandbox.spotify import numbered

__all__ = ["ASKED", "LIGHTHOUSE", "PERSONAL", "SEALED", "SEALED_THINGS", "SECRETS", "TOKENS", "WRONG"]

LIGHTHOUSE = "lighthouse-2c8e"
"""May be seen wherever arguments are shown."""

TOKENS: Mapping[str, str] = {name: f"credential-of-{name}-2c8e" for name in DOORS if name != "musicbrainz"}
"""With which each provider knows us; the one left out asks for none."""

COLLECTOR = "collectors-key-2c8e"
METRICS = "metrics-token-2c8e-0123456789abcdef0123"

SECRETS: Mapping[str, str] = {
    **{f"key of {name}": key for name, key in TOKENS.items()},
    "collector": COLLECTOR,
}

PERSONAL: Mapping[str, str] = {
    "reader": "mail-reader-2c8e@example.org",
    "subject": "subject-2c8e is <private> & 'quoted'",
    "mail": "mail-text-2c8e with an umlaut: ö",
    "page": "mail-page-2c8e",
    "answers to": "answers-to-2c8e@example.org",
    "mail key": "idempotency-of-mail-2c8e",
    "phone": "+12125550147",
    "message": "message-2c8e: the door is open",
    "media": "https://pictures.example.org/private-2c8e.jpg?token=media-token-2c8e",
    "text key": "idempotency-of-text-2c8e",
    "place": "Canarystreet-2c8e",
    "other place": "Mapstreet-2c8e",
    "house": "Reportstreet-2c8e",
    "caller": "Zoë Caller-2c8e",
    "caller's phone": "+17185550162",
    "caller's mail": "caller-2c8e@example.org",
    "complaint": "description-2c8e\nof what 'they' did",
    "report key": "idempotency-of-report-2c8e",
    "cash": "7351943.27",
    "case": "CASE2C8E1357",
    "latitude": "7351482937",
    "trouble": "error-text-2c8e of a source",
}
"""Who somebody is, and what somebody wrote."""

SEALED = ("benefits.screen_household", "twilio.send_sms")

_P = PERSONAL


def _reported(n: int) -> Any:
    payload = {
        "agency": "dot",
        "complaint_type": "Street Condition",
        "description": f"{_P['complaint']} {n}",
        "location": {"address": f"{n} {_P['house']}", "borough": "Manhattan", "zip": "10007"},
        "contact": {"name": _P["caller"], "phone": _P["caller's phone"], "email": _P["caller's mail"]},
    }
    return tasks.submit_service_request.delay(payload, idempotency_key=f"{_P['report key']}-{n}")


def _written(n: int) -> Any:
    return tasks.send_email.delay(
        [_P["reader"]],
        f"{_P['subject']} {n}",
        text=_P["mail"],
        html=f"<p>{_P['page']}</p>",
        reply_to=_P["answers to"],
        idempotency_key=f"{_P['mail key']}-{n}",
    )


def _texted(n: int) -> Any:
    return tasks.send_sms.delay(
        _P["phone"], f"{_P['message']} {n}", media_url=_P["media"], idempotency_key=f"{_P['text key']}-{n}"
    )


def _screened(n: int) -> Any:
    household = {"case_id": _P["case"], "cash_on_hand": _P["cash"], "living_renting": True}
    head = {"age": 20 + n, "household_member_type": "HeadOfHousehold"}
    return tasks.screen_household.delay({**household, "living_rental_type": "RentControlled"}, [head])


ASKED: Mapping[str, Callable[[int], Any]] = {
    "nyc311.submit_service_request": _reported,
    "nyc311.check_service_request": lambda n: tasks.check_service_request.delay(f"311-{20_000_000 + n}"),
    "sendgrid.send_email": _written,
    "twilio.send_sms": _texted,
    "benefits.screen_household": _screened,
    "geoclient.geocode": lambda n: tasks.geocode.delay(f"{n} {_P['place']}, Manhattan"),
    "mapbox.geocode_mapbox": lambda n: tasks.geocode_mapbox.delay(f"{n} {_P['other place']}, Manhattan"),
    "openweather.current_weather": lambda n: tasks.current_weather.delay(
        float(f"{40 + n}.{_P['latitude']}"), -74.0, units="metric"
    ),
    "storage.get_watermark": lambda n: tasks.get_watermark.delay(f"{LIGHTHOUSE}-{n}"),
    "storage.update_watermark": lambda n: tasks.update_watermark.delay(
        f"{LIGHTHOUSE}-{n}", later(), status="failed", error=_P["trouble"]
    ),
    "nyc_open_data.fetch_permits": lambda n: tasks.fetch_permits.delay(LOTS[0].bbl, limit=1 + n),
    "nyc_open_data.fetch_dob_violations": lambda n: tasks.fetch_dob_violations.delay(
        LOTS[0].bbl, limit=1 + n
    ),
    "nyc_open_data.fetch_hpd_violations": lambda n: tasks.fetch_hpd_violations.delay(
        LOTS[0].bbl, limit=1 + n
    ),
    "nyc_open_data.fetch_311_complaints": lambda n: tasks.fetch_311_complaints.delay(
        LOTS[0].bbl, limit=1 + n
    ),
    "nyc_open_data.fetch_bbl": lambda n: tasks.fetch_bbl.delay(LOTS[0].bbl, days_311=1 + n),
    "nyc_open_data.fetch_bbls": lambda n: tasks.fetch_bbls.delay([LOTS[0].bbl], days_311=1 + n),
    "spotify.search_track": lambda n: tasks.search_track.delay(f"{LIGHTHOUSE} {n}", "AC/DC"),
    "spotify.get_track": lambda n: tasks.get_track.delay(numbered(1 + n)),
    "spotify.enrich_track": lambda n: tasks.enrich_track.delay(f"{LIGHTHOUSE} {n}", "Nobody"),
    "musicbrainz.lookup_isrc": lambda n: tasks.lookup_isrc.delay(f"USRC176{n:05d}"),
    "musicbrainz.search_recording": lambda n: tasks.search_recording.delay(f"{LIGHTHOUSE} {n}"),
    "lastfm.get_track_tags": lambda n: tasks.get_track_tags.delay(f"{LIGHTHOUSE} {n}", "AC/DC"),
}
"""Each task that asks a provider, with something else for each number, below 30."""

WRONG = "wrong-value-2c8e@example.org"
"""Fits no argument of any task."""

SEALED_THINGS = {name: _P[name] for name in ("phone", "message", "media", "text key", "cash", "case")}
"""What the sealed tasks are told."""
