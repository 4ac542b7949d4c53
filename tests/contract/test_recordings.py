"""Every recorded answer beside its owner's document: they agree, or the difference is listed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.contract.document import document
from tests.contract.errata import DIFFERENCES, ERRATA, Erratum
from tests.contract.owner import Owner
from worker.request import Request

DIFFERING = {each.recording: each for each in DIFFERENCES}
SPECS = {
    "openweather": ("openweathermap-openapi.yaml", "/data/2.5"),
    "spotify": ("spotify-web-api.fixed-open-api.yml", "/v1"),
    "twilio": ("twilio_api_v2010.messages.trimmed.json", ""),
}
MESSAGES = f"/2010-04-01/Accounts/AC{'a' * 32}/Messages"


def exchanges(recording: Path) -> Iterator[tuple[str, str, int, Any]]:
    """Method, address, status and body of each exchange in a file."""
    found = json.loads(recording.read_text(encoding="utf-8"))
    if recording.parent.name == "twilio":
        yield from examples(found)
        return
    if not isinstance(found, list):  # beets keeps the bodies of searches only
        found = [{"request": {"method": "GET", "url": "https://api.spotify.com/v1/search?q=x&type=track"},
                  "response": {"status": 200, "body_json": found}}]  # fmt: skip
    for each in found:
        asked, said = each["request"], each["response"]
        yield asked["method"], asked["url"], said["status"], said.get("body_json")


def examples(found: Mapping[str, Any]) -> Iterator[tuple[str, str, int, Any]]:
    """Those of the tests of the vendor's own library, by what they are called."""
    for name, each in found.items():
        one = any(word in name for word in ("fetch", "redact", "cancel"))
        method = "POST" if any(word in name for word in ("create", "redact", "cancel")) else "GET"
        yield (
            method,
            f"{MESSAGES}/SM{'a' * 32}.json" if one else f"{MESSAGES}.json",
            each["status"],
            each["body_json"],
        )


def complaints(owner: Owner, prefix: str, recording: Path) -> list[str]:
    """What the document has against the answers of one file; those of another host are none of its."""
    found = []
    for method, url, status, data in exchanges(recording):
        parts = urlsplit(url)
        if not parts.path.startswith(prefix):
            continue
        path, params = parts.path.removeprefix(prefix), dict(parse_qsl(parts.query))
        try:
            owner.promises(Request(path=path, method=method, params=params), status=status, data=data)
        except AssertionError as refused:
            found.append(str(refused))
    return found


@pytest.mark.parametrize("provider", SPECS)
def test_each_recording_agrees_with_the_document_or_is_listed(contracts: Path, provider: str) -> None:
    """And what is listed does differ, in the way that is listed."""
    spec, prefix = SPECS[provider]
    owner, folder = Owner.of(spec), contracts / "recorded"
    recordings = sorted((folder / provider).rglob("*.json"))

    assert recordings
    for recording in recordings:
        found = complaints(owner, prefix, recording)
        listed = DIFFERING.get(recording.relative_to(folder).as_posix())
        assert bool(found) == bool(listed), (recording.name, found)
        assert all(listed and listed.complaint in each for each in found), (recording.name, found)


@pytest.mark.parametrize("erratum", [each for each in ERRATA if each.proof], ids=lambda each: each.at[-2])
def test_a_recording_is_refused_without_the_erratum_that_it_proves(contracts: Path, erratum: Erratum) -> None:
    """So that no field is excused that only the sandbox has."""
    others = tuple(each for each in ERRATA if each is not erratum)
    owner = Owner(document(contracts / "specs" / erratum.spec, others))
    prefix = SPECS[erratum.proof.partition("/")[0]][1]

    refused = complaints(owner, prefix, contracts / "recorded" / erratum.proof)

    assert any(repr(name) in each for name in erratum.change for each in refused), refused


def test_every_listed_difference_is_about_a_recording(contracts: Path) -> None:
    """One whose file is gone would excuse nothing."""
    for each in DIFFERENCES:
        assert (contracts / "recorded" / each.recording).is_file(), each
