"""A task of one provider that asks three: each by its own limits, in real workers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest
from redis import Redis

from tasks import enrich_track
from tests.fleet import Fleet, Ground
from worker.letters.deadletter import DeadLetters

HURRY = {
    "NARROWS_PROVIDERS__SPOTIFY__RETRY_ATTEMPTS": "2",
    "NARROWS_PROVIDERS__SPOTIFY__RETRY_FIRST": "0.05",
    "NARROWS_PROVIDERS__SPOTIFY__RETRY_MOST": "0.1",
}


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker, which tries Spotify again soon."""
    with Fleet(clean, workers=1, env=HURRY) as fleet:
        yield fleet


def test_a_service_gets_all_that_two_providers_know(state: Redis) -> None:
    """As JSON, by the documented names."""
    found = enrich_track.delay("Happy", "Pharrell Williams").get(timeout=30)

    assert list(found) == ["title", "artist", "spotify", "musicbrainz", "tags", "sources"]
    assert (found["spotify"]["title"], found["musicbrainz"]) == ("Happy", None)
    assert found["tags"][0] == {"name": "pop", "count": 100, "url": "https://www.last.fm/tag/pop"}
    assert {name: source["from"] for name, source in found["sources"].items()} == {
        "spotify": "live",
        "lastfm": "live",
    }
    assert not list(DeadLetters(state, "spotify"))


def test_while_spotify_is_down_the_others_answer(state: Redis, clean: Ground) -> None:
    """Once it was tried as often as it may be; no letter is written, since there is an answer."""
    clean.sandbox.control.fault("spotify", status=500, only="/v1/")

    found = enrich_track.delay("Slack Water", "The Ferry Slips").get(timeout=30)

    assert found["sources"]["spotify"] == {"error": "upstream_error"}
    assert found["musicbrainz"]["title"] == "Slack Water"
    assert [tag["name"] for tag in found["tags"]] == ["harbour"]
    assert not list(DeadLetters(state, "spotify"))


def test_a_burst_that_spotify_knows_nothing_of_reaches_musicbrainz_at_its_own_pace(
    state: Redis, clean: Ground
) -> None:
    """One call a second, though Spotify's line lets ten through; above that nobody would be answered."""
    calls = [enrich_track.delay(f"Unheard {number}", "Nobody") for number in range(7)]

    found = [call.get(timeout=60) for call in calls]

    heard = clean.sandbox.control.journal("musicbrainz")
    came = [entry["at"] for entry in heard]
    assert [entry["status"] for entry in heard] == [200] * 7
    assert came[-1] - came[0] >= 5.9
    assert sum(later - earlier < 0.5 for earlier, later in pairwise(came)) <= 1  # a busy machine bunches two
    assert all(each["spotify"] is each["musicbrainz"] is None for each in found)
    assert not list(DeadLetters(state, "spotify"))
