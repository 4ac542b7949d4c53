"""Where a published document and what its owner was seen to send do not agree.

``ERRATA`` are corrections of the document, each of one place and with its reason: above all fields that it
lacks, and that neither a recording nor the sandbox may have without one. ``DIFFERENCES`` are recordings that
it refuses and that prove nothing against it: they are older, or of a status that it leaves out. Both are held
to be needed: by test_owner.py, and by test_recordings.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["DIFFERENCES", "ERRATA", "Difference", "Erratum"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Erratum:
    """One correction.

    Attributes:
        spec: The document's file name.
        at: The place, as a path of names; ``*`` stands for each of them.
        change: What stands there from now on, beside what stands there already; None takes a name away.
        why: What was seen, and where.
        proof: A recording that the document refuses without it; "" where there is none.
    """

    spec: str
    at: tuple[str, ...]
    change: Mapping[str, Any]
    why: str
    proof: str = ""

    def correct(self, document: dict[str, Any]) -> None:
        """Change *document* in place.

        Raises:
            LookupError: It has no such place.
        """
        for place in _places(document, self.at):
            for name, value in self.change.items():
                if value is None:
                    del place[name]
                else:
                    place[name] = value


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One recording that its owner's document refuses.

    Attributes:
        recording: Its path in ``contracts/recorded``.
        complaint: A part of what is said of it.
        why: Why that is no correction of the document.
    """

    recording: str
    complaint: str
    why: str


def _places(document: Any, at: tuple[str, ...]) -> list[dict[str, Any]]:
    places = [document]
    for name in at:
        if name == "*":
            places = [inner for place in places for inner in place.values()]
        else:
            places = [place[int(name) if isinstance(place, list) else name] for place in places]
    return places


_ELEMENT = (
    "content", "application/json", "schema", "properties", "errors", "items", "oneOf", "0", "properties",
    "elementPath",
)  # fmt: skip

_NUMBER = {"type": "number"}
_WEATHER = "openweather/dblock/weather_id.json"
_UNSEEN = "the owner's page has it, and no recording: nothing was recorded in such weather"
_ADDED = (
    ("Main", "feels_like", _WEATHER, "sent since 2019, also in the recordings; the document is older"),
    ("CurrentWeatherData", "timezone", _WEATHER, "the same"),
    ("Rain", "1h", _WEATHER, "the rain of an hour, as it is recorded; the document has three hours only"),
    ("Snow", "1h", "", _UNSEEN),
    ("Wind", "gust", "", _UNSEEN),
)

ERRATA = (
    *(
        Erratum(
            spec="openweathermap-openapi.yaml",
            at=("components", "schemas", schema, "properties"),
            change={field: _NUMBER},
            why=why,
            proof=proof,
        )
        for schema, field, proof, why in _ADDED
    ),
    Erratum(
        spec="twilio_api_v2010.messages.trimmed.json",
        at=("components", "schemas", "api.v2010.account.message", "properties"),
        change={"tags": {"type": "object", "additionalProperties": True}},
        why="in all examples of the vendor's own library; the sandbox does not say it",
        proof="twilio/messages_holodeck_responses.json",
    ),
    Erratum(
        spec="sendgrid_tsg_mail_v3.json",
        at=("components", "schemas", "ErrorResponse", "properties", "errors", "items", "properties", "field"),
        change={"type": ["string", "null"], "nullable": None},
        why="says nullable, which OpenAPI 3.1 does not know: a null field is what it means, and what is sent",
    ),
    *(
        Erratum(
            spec="nyc-benefits-screening-api.yaml",
            at=("paths", path, "post", "responses", status, *_ELEMENT),
            change={"nullable": True},
            why="its own example is null: a failure that no element is to blame for names none",
        )
        for path in ("/authToken", "/eligibilityPrograms")
        for status in ("404", "405", "406", "500")
    ),
    Erratum(
        spec="nyc-benefits-screening-api.yaml",
        at=("paths", "/eligibilityPrograms", "post", "responses", "504", *_ELEMENT),
        change={"nullable": True},
        why="the same",
    ),
)

OLDER = "recorded when albums in a search had no release date and no count of tracks (2014 to 2017)"
UNSAID = "the document has the statuses 200 and 404 only"

DIFFERENCES = (
    Difference(recording="openweather/dblock/access_denied.json", complaint="http status: 401", why=UNSAID),
    Difference(
        recording="openweather/dblock/connection_failed.json",
        complaint="http status: 407",
        why="from a proxy on the way, not from the owner",
    ),
    Difference(
        recording="openweather/dblock/not_found.json",
        complaint="Missing response data",
        why="the one recorded 404 is empty; others, quoted by many, have the documented body",
    ),
    Difference(
        recording="spotify/beets/track_request.json", complaint="'release_date' is a required", why=OLDER
    ),
    Difference(
        recording="spotify/rspotify/track_find_4oI9kesyxHUr8fqiLd6uO9.json",
        complaint="'release_date' is a required",
        why=OLDER,
    ),
    Difference(
        recording="spotify/rspotify/track_search_Wanna_Know.json",
        complaint="'release_date' is a required",
        why=OLDER,
    ),
    Difference(
        recording="spotify/rspotify/track_search_Wanna_Know_limit_10_offset_10.json",
        complaint="'release_date' is a required",
        why=OLDER,
    ),
)
