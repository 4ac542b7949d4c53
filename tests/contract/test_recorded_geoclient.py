"""Geoclient against what its owner publishes: our requests, what was recorded, and what the sandbox plays."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.arguments.location import location
from tasks.arguments.place import Place
from tasks.geoclient import PROVIDER, request
from tasks.geoclient_answers import geocoding
from tests.contract.owner import Owner, recorded
from tests.contract.tally import Tally
from tests.sandbox import TOKEN, Sandbox
from worker.http.client import HttpClient
from worker.http.verdict import verdict
from worker.request import Request

SPEC = "geoclient-openapi.yml"
RIVERSIDE = Place(
    address="280 RIVERSIDE DRIVE, Manhattan, NY 10025",
    latitude=40.798502,
    longitude=-73.972709,
    borough="Manhattan",
    zip="10025",
    bbl="1018890001",
    bin="1057127",
    confidence="exact",
)
JOHN = Place(
    address="50 JOHN STREET, Manhattan",
    latitude=40.708659,
    longitude=-74.007982,
    borough="Manhattan",
    bbl="1000670001",
    bin="1079043",
    confidence="exact",
)
PLACES: list[Any] = [
    "280 Riverside Drive, Manhattan",
    {"address": "280 Riverside Drive", "borough": "MN", "zip": "10025"},
    {"house_number": "280", "street": "Riverside Drive", "borough": "Manhattan"},
    {"house_number": "72-03", "street": "37 Avenue", "zip": "11372"},
    {"house_number": "1", "street": "B & B #2 Street", "borough": "staten island"},
    {"intersection": ["Broadway", "W 100 St"], "borough": "Manhattan"},
    {"intersection": ["Broadway", "W 100 St"], "borough": 1, "compass": "N"},
    "1000670001",
    "1079043",
    "5 Nowhere Lane, Bronx",
    "1000670009",
]


def asked(said: Any) -> Request:
    """Our question for it."""
    return request(location(said), "v2")


@pytest.mark.parametrize("said", PLACES, ids=str)
def test_every_request_is_one_that_the_owner_documents(said: Any, tally: Tally) -> None:
    """Path, parameters and key, boroughs as its list has them."""
    Owner.of(SPEC).allows(asked(said), provider=PROVIDER)

    tally.validated("geoclient")


def test_the_handbooks_parameter_is_not_the_owners() -> None:
    """Why its contract is not the default."""
    theirs = Request(path="/search", params={"q": "280 Riverside Drive"})

    with pytest.raises(AssertionError, match="input"):
        Owner.of(SPEC).allows(theirs, provider=PROVIDER)


@pytest.mark.parametrize(
    ("name", "expected", "note"),
    [
        ("search-900", RIVERSIDE, "280 RIVERSIDE DRIVE IS ON RIGHT SIDE OF WEST 100 STREET"),
        ("address-100", RIVERSIDE, "280 RIVERSIDE DRIVE IS ON RIGHT SIDE OF WEST 100 STREET"),
        ("bbl-300", JOHN, None),
    ],
)
def test_every_recorded_answer_is_a_place(name: str, expected: Place, note: str | None, tally: Tally) -> None:
    """A warning does not make it less of one."""
    body = recorded(f"geoclient/{name}.json")

    found = geocoding(body)

    assert verdict(PROVIDER, 200, {}, body) == "ok"
    assert (found.status, found.place, found.note) == ("found", expected, note)
    tally.parsed("geoclient")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("280 Riverside Drive, Manhattan", "search-900"),
        ({"house_number": "280", "street": "Riverside Drive", "borough": "Manhattan"}, "address-100"),
        ("1000670001", "bbl-300"),
    ],
)
def test_the_sandbox_plays_the_recorded_answers(said: Any, name: str, sandbox: Sandbox, tally: Tally) -> None:
    """No field of its own, and each of the recorded kind; its place is the recorded one."""
    body, theirs = played(sandbox, said), recorded(f"geoclient/{name}.json")

    assert strange(body, theirs) == []
    assert geocoding(body).place == geocoding(theirs).place
    tally.played("geoclient")


@pytest.mark.parametrize("said", PLACES, ids=str)
def test_every_answer_of_the_sandbox_is_one_that_the_owner_documents(
    said: Any, sandbox: Sandbox, tally: Tally
) -> None:
    """It documents 200 and no more, which is what the sandbox gives whatever it finds."""
    Owner.of(SPEC).promises(asked(said), data=played(sandbox, said), provider=PROVIDER)

    tally.played("geoclient")


def played(sandbox: Sandbox, said: Any) -> Any:
    """The sandbox's answer."""
    base = sandbox.base_url("geoclient")
    client = HttpClient(PROVIDER, base_url=base, credential=TOKEN, timeouts=PROVIDER.timeouts)
    try:
        return client.send(asked(said)).data
    finally:
        client.close()


def strange(ours: Any, theirs: Any, at: str = "") -> list[str]:
    """Where *ours* has what *theirs* has not, or of another kind."""
    if type(ours) is not type(theirs):
        return [f"{at}: {type(ours).__name__}, not {type(theirs).__name__}"]
    if isinstance(ours, list):
        return [each for one in ours for each in strange(one, theirs[0], f"{at}[]")]
    if not isinstance(ours, dict):
        return []
    more = [f"{at}.{name}" for name in ours.keys() - theirs.keys()]
    return more + [
        each
        for name in ours.keys() & theirs.keys()
        for each in strange(ours[name], theirs[name], f"{at}.{name}")
    ]
