"""What each operation is asked when nothing is wrong: right arguments, of which the fuzz makes wrong ones.

A task that is not in the table is fuzzed all the same, from what its refusals say that it takes; one that is
refused even so is named by ``test_every_task_can_be_asked``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import tasks
from tests.acceptance.city_hall import report
from tests.sandbox import LOTS
from tests.sandbox.musicbrainz import ISRCS
from tests.sandbox.spotify import numbered
from worker.errors import ArgumentsInvalid
from worker.operation import Operation

__all__ = ["OPERATIONS", "UNFUZZED", "Arguments", "asked"]

Arguments: TypeAlias = Mapping[str, Any]

UNFUZZED = {
    "poll_service_requests": "beat calls it, with a provider's name; it asks by check_service_request"
}
"""Tasks without an operation, and why nothing is lost."""

OPERATIONS: Mapping[str, Operation] = {
    name: getattr(tasks, name).operation for name in tasks.__all__ if name not in UNFUZZED
}

BBL = LOTS[0].bbl
PERSON = {
    "age": 70,
    "household_member_type": "HeadOfHousehold",
    "incomes": [{"amount": "300.00", "type": "Wages", "frequency": "Monthly"}],
}
HOUSEHOLD = {"case_id": "case-01", "cash_on_hand": "50000.00", "living_rental_type": "RentControlled"}
CONTACT = {"name": "Ada Sample", "phone": "+12125550123", "email": "ada@example.org"}

_TABLE: Mapping[str, Sequence[Arguments]] = {
    "check_service_request": [{"external_id": "311-10000000"}],
    "current_weather": [{"latitude": 40.71, "longitude": -74.01, "units": "metric"}],
    "enrich_track": [{"title": "Slack Water", "artist": "The Narrows"}],
    "fetch_bbl": [{"bbl": BBL}, {"bbl": BBL, "include": ["permits"], "days_311": 30, "use_cache": False}],
    "fetch_bbls": [{"bbls": [BBL, LOTS[1].bbl], "include": ["permits", "dob_violations"]}],
    "fetch_311_complaints": [{"bbl": BBL, "days": 3650, "limit": 3, "as_of_date": "2026-01-31"}],
    "geocode": [
        {"location": "280 Riverside Drive, Manhattan"},
        {"location": {"house_number": "280", "street": "Riverside Drive", "borough": "Manhattan"}},
        {"location": {"intersection": ["Broadway", "West 100 Street"], "borough": "Manhattan"}},
        {"location": {"bbl": BBL}},
    ],
    "geocode_mapbox": [{"address": "280 Riverside Drive, Manhattan", "limit": 5}],
    "get_track": [{"track_id": numbered(1), "market": "US"}],
    "get_track_tags": [{"track": "Hells Bells", "artist": "AC/DC", "autocorrect": True}],
    "get_watermark": [{"source_id": "fuzzed/source"}],
    "import_dataset": [{"dataset": "permits", "sink": "fuzzed/permits", "since": "2026-01-31T08:30:00Z"}],
    "lookup_isrc": [{"isrc": next(iter(ISRCS))}],
    "screen_household": [{"household": HOUSEHOLD, "persons": [PERSON], "interested_programs": ["S2R010"]}],
    "search_recording": [{"title": "Slack Water", "artist": "The Narrows", "limit": 5}],
    "search_track": [{"title": "Tide Number", "artist": "The Narrows", "limit": 5, "market": "US"}],
    "send_email": [
        {
            "to": ["reader@example.org", "other@example.org"],
            "subject": "News",
            "template_id": "d-0123456789abcdef0123456789abcdef",
            "template_data": {"number": {"deep": ["311-10000001"]}},
            "reply_to": "desk@example.org",
            "idempotency_key": "order-4711",
        },
        {"to": "reader@example.org", "subject": "News", "text": "It is high.", "html": "<p>It is.</p>"},
    ],
    "send_sms": [
        {
            "to": "+12125551000",
            "body": "High water.",
            "media_url": "https://example.org/tide.jpg",
            "from_number": "+12125550100",
            "idempotency_key": "order-4711",
        }
    ],
    "submit_service_request": [
        {
            "payload": report(
                "hole",
                contact=CONTACT,
                location={
                    "address": "1 Centre Street",
                    "borough": "Manhattan",
                    "zip": "10007",
                    "latitude": 40.7128,
                    "longitude": -74.006,
                },
                observed_at="2026-01-31T08:30:00Z",
            ),
            "idempotency_key": "order-4711",
        }
    ],
    "update_watermark": [
        {
            "source_id": "fuzzed/source",
            "timestamp": "2026-01-31T08:30:00Z",
            "status": "success",
            "error": "none",
        }
    ],
}

_EXAMPLE = re.compile(r"""for example \[?["']?([^"'\],;]+)""")
_NOTHING = object()
"""What no task takes."""


def asked(name: str) -> Sequence[Arguments]:
    """Right arguments of that task, by name: those of the table, or else what its own refusals show.

    Raises:
        ArgumentsInvalid: It takes none of them; it needs a line in the table.
    """
    return _TABLE[name] if name in _TABLE else [learnt(OPERATIONS[name])]


def learnt(operation: Operation) -> Arguments:
    """Arguments by which *operation* can be asked, made of the examples that its refusals give.

    Raises:
        ArgumentsInvalid: They give none, or none that is taken as it stands.
    """
    needed = [each for each in operation.signature.parameters.values() if each.default is each.empty]
    given: dict[str, Any] = {each.name: _NOTHING for each in needed}
    for parameter in given:
        shown = _EXAMPLE.search(_refusal(operation, given, parameter))
        candidates = _candidates(shown[1].strip()) if shown else []
        for given[parameter] in candidates:
            if not _refusal(operation, given, parameter):
                break
    operation.checked((), given)
    return given


def _refusal(operation: Operation, given: Arguments, parameter: str) -> str:
    """What *operation* says of *parameter*; "" when it says nothing of it."""
    try:
        operation.checked((), given)
    except ArgumentsInvalid as refused:
        said = str(refused)
        return said if said.startswith(f"{operation.name}: {parameter}:") else ""
    return ""


def _candidates(text: str) -> list[Any]:
    """What may be meant by *text*."""
    kind = float if "." in text else int
    numbers = [kind(text)] if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text) else []
    return [text, [text], *numbers]
