"""The Last.fm that the sandbox plays: errors in a 200, tags in every shape."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.sandbox import TOKEN, Sandbox

SLIPS_MBID = "c0000000-0000-4000-8000-000000000002"


def get(sandbox: Sandbox, **params: str) -> requests.Response:
    """An answer over a real socket."""
    usual = {"method": "track.getTopTags", "format": "json", "api_key": TOKEN}
    return requests.get(sandbox.base_url("lastfm") + "/2.0/", params={**usual, **params}, timeout=5)


def top(sandbox: Sandbox, artist: str, track: str, **params: str) -> Any:
    """The tags of a track as they come."""
    answer = get(sandbox, artist=artist, track=track, **params)
    assert answer.status_code == 200
    return answer.json()["toptags"]


def test_tags_come_in_every_shape_that_was_recorded(sandbox: Sandbox) -> None:
    """A list, one object, no list, a line break in place of one; counts as texts."""
    several = top(sandbox, "AC/DC", "Hells Bells")["tag"]

    assert [tag["name"] for tag in several] == ["hard rock", "rock", "classic rock"]
    assert several[0]["url"] == "https://www.last.fm/tag/hard+rock"
    assert top(sandbox, "The Chemical Brothers", "Hey Boy Hey Girl")["tag"][0]["count"] == "100"
    assert top(sandbox, "The Ferry Slips", "Slack Water")["tag"]["name"] == "harbour"
    assert top(sandbox, "The Ferry Slips", "Unheard")["tag"] == []
    assert top(sandbox, "The Ferry Slips", "Unsaid")["#text"] == "\n"


def test_a_track_is_found_by_its_musicbrainz_id_too(sandbox: Sandbox) -> None:
    """Where Last.fm knows that."""
    assert get(sandbox, mbid=SLIPS_MBID).json()["toptags"]["tag"]["name"] == "harbour"
    assert get(sandbox, mbid="c0000000-0000-4000-8000-000000000009").json()["error"] == 6


def test_names_are_put_right_when_that_is_wanted(sandbox: Sandbox) -> None:
    """Without, only capitals do not count."""
    assert top(sandbox, "acdc", "hells bells!", autocorrect="1")["@attr"]["artist"] == "AC/DC"
    assert top(sandbox, "ac/dc", "HELLS BELLS", autocorrect="0")["@attr"]["artist"] == "AC/DC"
    assert get(sandbox, artist="acdc", track="hells bells", autocorrect="0").json()["error"] == 6


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"artist": "Nobody", "track": "Nothing"}, 200, 6),
        ({"artist": "AC/DC"}, 200, 6),
        ({"method": "track.sing"}, 400, 3),
        ({"api_key": "unknown"}, 403, 10),
        ({"api_key": ""}, 403, 10),
    ],
)
def test_a_failure_is_a_code_in_the_body(
    sandbox: Sandbox, params: dict[str, str], status: int, code: int
) -> None:
    """Whatever its status is."""
    answer = get(sandbox, **params)

    assert (answer.status_code, answer.json()["error"]) == (status, code)
    assert answer.json()["links"] == []


@pytest.mark.parametrize("code", [8, 11, 16, 26, 29])
def test_a_test_may_have_everybody_answered_with_a_code(sandbox: Sandbox, code: int) -> None:
    """In a 200, as Last.fm does."""
    sandbox.lastfm.error = code

    answer = get(sandbox, artist="AC/DC", track="Hells Bells")

    assert (answer.status_code, answer.json()["error"]) == (200, code)


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [(429, 200, 29), (503, 200, 11), (500, 500, 8), (401, 403, 10), (404, 404, 6)],
)
def test_a_status_that_is_asked_for_is_said_in_its_own_way(
    sandbox: Sandbox, wanted: int, status: int, code: int
) -> None:
    """Too often and offline are a 200."""
    sandbox.control.fault("lastfm", status=wanted)

    answer = get(sandbox, artist="AC/DC", track="Hells Bells")

    assert (answer.status_code, answer.json()["error"]) == (status, code)


def test_without_a_format_it_is_xml(sandbox: Sandbox) -> None:
    """The default, which nobody here reads."""
    assert get(sandbox, format="xml").headers["Content-Type"].startswith("text/xml")
