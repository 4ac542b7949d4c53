"""Spotify as we read it, as we ask it and as the sandbox plays it, against what is published and recorded.

The description is of 2026, the recordings are of 2014 to 2017, before anything was taken away.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from tasks import spotify_track
from tasks.spotify import PROVIDER, get_track, lookup, search
from tasks.spotify_words import query, words
from tests.contract.owner import Owner, recorded
from tests.contract.tally import Tally
from tests.driver import Driver
from tests.sandbox import TOKEN, Sandbox
from tests.sandbox.spotify import HAPPY, numbered
from worker.auth.pieces import ClientCredentials
from worker.http.verdict import failure, verdict
from worker.request import Answer, Request

NAME = PROVIDER.name
SPEC = "spotify-web-api.fixed-open-api.yml"
BOWIE = "4oI9kesyxHUr8fqiLd6uO9"
SEARCHES = (
    "rspotify/track_search_Wanna_Know.json",
    "rspotify/track_search_Wanna_Know_limit_10_offset_10.json",
)

Ask = Callable[[Request], tuple[int, Any]]


@pytest.fixture
def owner() -> Owner:
    """What Spotify publishes, as the community corrected it."""
    return Owner.of(SPEC)


@pytest.fixture
def ask(sandbox: Sandbox) -> Ask:
    """Has the sandbox answer a request of ours, as an app that has a token."""
    base = sandbox.base_url(NAME)
    bought = requests.post(
        f"{base}/api/token", data={"grant_type": "client_credentials"}, auth=("sandbox", TOKEN), timeout=5
    )
    headers = {"Authorization": f"Bearer {bought.json()['access_token']}"}

    def answer(request: Request) -> tuple[int, Any]:
        said = requests.get(f"{base}/v1{request.path}", params=request.params, headers=headers, timeout=5)
        return said.status_code, said.json()

    return answer


def found(data: Any) -> list[spotify_track.Track]:
    """What a search reads out of *data*, which the judge has passed."""
    meaning = verdict(PROVIDER, 200, {}, data)
    assert meaning in {"ok", "empty"}
    return spotify_track.found(Answer(status=200, data=data, empty=meaning == "empty"))


@given(
    title=st.text(min_size=1, max_size=120),
    artist=st.none() | st.text(min_size=1, max_size=120),
    many=st.integers(1, 10),
    market=st.none() | st.just("US"),
)
def test_every_search_we_ask_is_one_that_spotify_documents(
    title: str, artist: str | None, many: int, market: str | None
) -> None:
    """Whatever is searched for, up to the ten results of development mode."""
    try:
        asked = query(words(title), words(artist) if artist else None)
    except ValueError:
        return
    Owner.of(SPEC).allows(search(asked, limit=many, market=market), provider=PROVIDER)


def test_requests_of_each_kind_are_documented(owner: Owner, tally: Tally) -> None:
    """With and without a market, by words and by code."""
    asked = [
        search(query("Happy", "Pharrell Williams"), limit=5),
        search(query("Happy", None, "USQ4E1300686"), limit=10, market="US"),
        lookup(HAPPY),
        lookup(HAPPY, market="US"),
    ]

    for request in asked:
        owner.allows(request, provider=PROVIDER)
    tally.validated(NAME, len(asked))


def test_more_results_than_development_mode_gives_are_not_documented_any_more(owner: Owner) -> None:
    """So five is the default, and more is the deployment's to choose."""
    with pytest.raises(AssertionError):
        owner.allows(search("track:Happy", limit=11), provider=PROVIDER)


def test_the_recorded_tracks_are_read(tally: Tally) -> None:
    """Two searches and a look-up of their time, with every field that there was."""
    (happy,) = found(recorded("spotify/beets/track_request.json"))
    (exchange,) = recorded("spotify/rspotify/track_find_4oI9kesyxHUr8fqiLd6uO9.json")
    (shown,) = exchange["response"]["body_json"]["tracks"]
    driver = Driver(answer=lambda _: Answer(status=200, data=shown))
    bowie = driver.run(get_track.operation.steps((BOWIE,), {}))

    assert (happy.id, happy.title, happy.artists) == (HAPPY, "Happy", ["Pharrell Williams"])
    assert (happy.isrc, happy.duration_ms, happy.popularity) == ("USQ4E1300686", 233_305, 89)
    assert happy.release_date is None
    assert (bowie.id, bowie.title, bowie.album) == (BOWIE, "The Next Day", "The Next Day Extra")
    assert bowie.isrc == "USRF31300001"
    tally.parsed(NAME, 2)


@pytest.mark.parametrize("path", SEARCHES)
def test_the_recorded_searches_are_read(path: str, tally: Tally) -> None:
    """Each track of them has its name, artists and code."""
    (exchange,) = recorded(f"spotify/{path}")
    body = exchange["response"]["body_json"]

    tracks = found(body)

    assert [track.id for track in tracks] == [each["id"] for each in body["tracks"]["items"]]
    assert all(track.artists and track.isrc and track.duration_ms for track in tracks)
    tally.parsed(NAME)


def test_a_recorded_search_that_found_nothing_is_an_empty_list(tally: Tally) -> None:
    """And no error; it is kept for a short time only."""
    data = recorded("spotify/beets/missing_request.json")

    assert verdict(PROVIDER, 200, {}, data) == "empty"
    assert found(data) == []
    tally.parsed(NAME)


def test_the_recorded_token_is_granted(tally: Tally) -> None:
    """Asked for as it was then: the same form, and a Basic header that was taken out of the recording."""
    (exchange,) = recorded("spotify/rspotify/authenticate_client.json")
    auth = PROVIDER.auth
    assert isinstance(auth, ClientCredentials)
    asked = auth.request("/api/token", "id:secret")

    token, seconds = auth.grant(exchange["response"]["body_json"])

    assert exchange["request"]["url"] == auth.url
    assert asked.form == dict([exchange["request"]["body"].split("=")])
    assert asked.headers["Authorization"].startswith("Basic ")
    assert (token, seconds) == ("REDACTED", 3600.0)
    tally.parsed(NAME)


def test_the_sandbox_answers_as_published(owner: Owner, ask: Ask, sandbox: Sandbox, tally: Tally) -> None:
    """As an app with extended quota sees it: the description still asks for albums' markets."""
    sandbox.spotify.development = False
    asked = [
        lookup(HAPPY),
        lookup(numbered(7), market="US"),
        search(query("tide"), limit=5),
        search(query("nobody ever sang this"), limit=10),
    ]

    for request in asked:
        status, data = ask(request)
        assert status == 200
        owner.promises(request, status=200, data=data, provider=PROVIDER)
    tally.played(NAME, len(asked))


def test_in_development_mode_the_sandbox_says_the_same_but_for_what_was_taken_away(
    owner: Owner, ask: Ask, sandbox: Sandbox, tally: Tally
) -> None:
    """No field is there that was not there before, and none has changed."""
    _, less = ask(lookup(HAPPY))
    sandbox.spotify.development = False
    _, full = ask(lookup(HAPPY))

    owner.promises(lookup(HAPPY), data=less, provider=PROVIDER)
    assert all(full[name] == value for name, value in less.items())
    assert set(full) - set(less) == {"available_markets", "popularity", "preview_url"}
    tally.played(NAME)


@pytest.mark.parametrize("status", [401, 403, 429])
def test_the_sandboxs_refusals_are_published_ones_and_each_has_its_meaning(
    owner: Owner, sandbox: Sandbox, tally: Tally, status: int
) -> None:
    """The envelope is the API's, whichever of the two hosts plays it."""
    reply = sandbox.spotify.failure(status)
    data = json.loads(reply.body)

    owner.promises(lookup(HAPPY), status=status, data=data, provider=PROVIDER)
    meaning = verdict(PROVIDER, status, {}, data)
    assert meaning == ("throttled" if status == 429 else "credentials")
    assert str(status) in str(failure(PROVIDER, meaning, status, {}, data))
    tally.played(NAME)
