"""Spotify: what is asked, what its answers mean, and what callers may say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.settings import ProviderSettings
from tasks import spotify, spotify_track
from tasks.arguments.isrc import isrc
from tasks.spotify import PROVIDER, get_track, judge, lookup, search, search_track
from tasks.spotify_track import Track
from tasks.spotify_words import LONGEST, query, track_id, words
from tests.driver import Driver
from worker.choice import chosen
from worker.errors import (
    ArgumentsInvalid,
    CallError,
    ConfigurationError,
    ResourceMissing,
    ResponseUnreadable,
)
from worker.http.verdict import verdict
from worker.request import Answer
from worker.steps import plain

ID = "6NPVjNh8Jhru9xOmyQigds"
FULL = {
    "id": ID,
    "name": "Cut To The Feeling",
    "artists": [{"name": "Carly Rae Jepsen"}, {"name": None}],
    "album": {"name": "Cut To The Feeling", "release_date": "2017-05-26", "release_date_precision": "day"},
    "external_ids": {"isrc": "USUM71703692"},
    "external_urls": {"spotify": f"https://open.spotify.com/track/{ID}"},
    "duration_ms": 207_959,
    "explicit": False,
    "popularity": 63,
    "preview_url": None,
    "available_markets": ["AD", "US"],
}
TAKEN_AWAY = ("popularity", "preview_url", "available_markets", "external_ids")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TRACKISH = st.fixed_dictionaries(
    {}, optional={name: JSON | st.just(value) for name, value in {**FULL, "is_playable": True}.items()}
)


def got(data: Any) -> Any:
    """What get_track returns when Spotify answers *data*."""
    return Driver(answer=lambda _: Answer(status=200, data=data)).run(get_track.operation.steps((ID,), {}))


def refused(*args: Any, **kwargs: Any) -> str:
    """What a caller of search_track is told."""
    with pytest.raises(ArgumentsInvalid) as error:
        search_track.operation.checked(args, kwargs)
    return str(error.value)


def test_a_track_is_read_with_all_that_is_said_of_it() -> None:
    """Units and spellings as documented."""
    assert got(FULL) == Track(
        id=ID,
        title="Cut To The Feeling",
        artists=["Carly Rae Jepsen"],
        album="Cut To The Feeling",
        isrc="USUM71703692",
        duration_ms=207_959,
        release_date="2017-05-26",
        release_date_precision="day",
        explicit=False,
        popularity=63,
        available_markets=["AD", "US"],
        url=f"https://open.spotify.com/track/{ID}",
    )


def test_what_development_mode_takes_away_is_not_missed() -> None:
    """Each of those fields may be absent, and the result is still one object of the same keys."""
    less = {name: value for name, value in FULL.items() if name not in TAKEN_AWAY}

    result = got(less)

    assert (result.isrc, result.popularity, result.available_markets) == (None, None, None)
    assert plain(result).keys() == plain(got(FULL)).keys()


@pytest.mark.parametrize("gone", ["id", "name", "artists"])
def test_a_track_without_its_name_is_no_track(gone: str) -> None:
    """The answer breaks the contract, and says so with its status."""
    with pytest.raises(ResponseUnreadable) as unreadable:
        got({name: value for name, value in FULL.items() if name != gone})

    assert unreadable.value.status == 200


def test_a_track_that_is_not_there_is_none() -> None:
    """And no error."""
    driver = Driver(answer=lambda _: ResourceMissing(status=404))

    assert driver.run(get_track.operation.steps((ID,), {})) is None


@pytest.mark.parametrize(
    ("status", "body", "meaning"),
    [
        (200, {"tracks": {"items": []}}, "empty"),
        (200, {"tracks": {"items": [None]}}, "empty"),
        (200, {"tracks": {"items": [FULL]}}, "ok"),
        (200, FULL, "ok"),
        (200, {"id": ID}, "unreadable"),
        (200, {"tracks": {"items": [FULL, {}]}}, "unreadable"),
        (200, {"tracks": {}}, "unreadable"),
        (202, None, "unreadable"),
        (204, None, "unreadable"),
        (203, FULL, "ok"),
        (304, None, "ok"),
        (400, {"error": {"status": 400, "message": "Invalid base62 id"}}, "missing"),
        (400, {"error": {"status": 400, "message": "Invalid limit"}}, "rejected"),
        (401, {"error": {"status": 401, "message": "The access token expired"}}, "credentials"),
        (403, {"error": {"status": 403, "message": "Forbidden"}}, "credentials"),
        (404, {"error": {"status": 404, "message": "Resource not found"}}, "missing"),
        (404, {"error": {"status": 404, "message": "Service not found"}}, "rejected"),
        (404, None, "rejected"),
        (404, "<html>", "rejected"),
        (429, {"error": {"status": 429, "message": "API rate limit exceeded"}}, "throttled"),
        (429, None, "throttled"),
        (502, None, "unavailable"),
    ],
)
def test_each_answer_means_what_it_says(status: int, body: Any, meaning: str) -> None:
    """A 404 of whoever else stands at that address is no word about a track."""
    assert verdict(PROVIDER, status, {}, body) == meaning


def test_a_search_asks_for_words_and_an_isrc_alone() -> None:
    """A recording's code says more than its name."""
    assert query("Happy", "Pharrell Williams") == "track:Happy artist:Pharrell Williams"
    assert query("Happy", "Pharrell Williams", "USQ4E1300686") == "isrc:USQ4E1300686"
    assert search("track:Happy", limit=5, market="US").params == {
        "q": "track:Happy",
        "type": "track",
        "limit": "5",
        "market": "US",
    }
    assert "market" not in lookup(ID).params


def test_a_search_asks_once_for_as_many_as_its_caller_wants() -> None:
    """Or as the deployment does; what it found comes back in Spotify's order."""
    driver = Driver(answer=lambda _: Answer(status=200, data={"tracks": {"items": [FULL, None, FULL]}}))

    found = driver.run(search_track.operation.steps(("Happy", "Pharrell Williams"), {"limit": 3}))
    driver.run(search_track.operation.steps(("Happy",), {}))

    assert [track.id for track in found] == [ID, ID]
    assert [request.params["limit"] for request in driver.requests] == ["3", "5"]


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ("  Do  I\tWanna Know? ", "Do I Wanna Know?"),
        ('Say "Hello"', "Say Hello"),
        ("Happy year:1999 artist:Nobody", "Happy year 1999 artist Nobody"),
        ("LOVE OR LUST AND NOT", "LOVE or LUST and not"),
        ("ORANGE", "ORANGE"),
        ("a\x00b\ud800c", "a b c"),
    ],
)
def test_words_of_a_title_stay_words(said: str, asked: str) -> None:
    """No title turns into a filter, an operator or what cannot be sent."""
    assert words(said) == asked


@given(st.text(min_size=1, max_size=600), st.none() | st.text(min_size=1, max_size=600))
def test_no_search_holds_more_filters_or_characters_than_ours(title: str, artist: str | None) -> None:
    """Whatever stands in title and artist."""
    try:
        asked = query(words(title), words(artist) if artist else None)
    except ValueError:
        return
    assert len(asked) <= LONGEST
    assert asked.count(":") == 1 + (artist is not None)
    assert '"' not in asked
    asked.encode()


@pytest.mark.parametrize(
    "said",
    [
        ID,
        f" {ID} ",
        f"spotify:track:{ID}",
        f"https://open.spotify.com/track/{ID}?si=abc",
        f"https://open.spotify.com/intl-de/track/{ID}",
        f"open.spotify.com/track/{ID}/",
    ],
)
def test_a_track_goes_by_its_id_its_uri_or_its_page(said: str) -> None:
    """All of them ask, and are cached, as one."""
    assert track_id(said) == ID


@pytest.mark.parametrize(
    "said", [ID[1:], ID + "x", f"spotify:album:{ID}", f"https://example.org/track/{ID}", "../me", "", None, 7]
)
def test_what_is_no_track_is_refused_with_an_example(said: Any) -> None:
    """And without saying it again."""
    with pytest.raises(ArgumentsInvalid, match="for example") as error:
        get_track.operation.checked((said,), {})

    assert not said or str(said) not in str(error.value)


@pytest.mark.parametrize(
    "said", ["US-UM7-17-03692", "usum71703692", "ISRC USUM71703692", "isrc:USUM71703692"]
)
def test_an_isrc_has_one_spelling(said: str) -> None:
    """As providers know it."""
    assert isrc(said) == "USUM71703692"


def test_bad_arguments_are_refused_in_the_caller_by_name() -> None:
    """Each message names the argument and what it takes."""
    assert "title: takes a text" in refused('":"')
    assert "artist: takes a text" in refused("Happy", 5)
    assert "isrc: takes an ISRC" in refused("Happy", isrc="USUM7170369")
    assert "limit: takes a whole number from 1 to 50" in refused("Happy", limit=51)
    assert "limit" in refused("Happy", limit=True)
    assert "market: takes a country as two letters" in refused("Happy", market="USA")


def test_the_number_of_results_is_the_deployments_to_choose() -> None:
    """Five unless it says so, which development mode takes."""
    assert chosen(PROVIDER, None).options == {"search_limit": 5}
    assert chosen(PROVIDER, ProviderSettings(options={"search_limit": "50"})).options == {"search_limit": 50}
    for wrong in ("0", "51", "many", "-1", "", "²"):
        with pytest.raises(ConfigurationError, match="SEARCH_LIMIT"):
            chosen(PROVIDER, ProviderSettings(options={"search_limit": wrong}))


def test_tracks_are_kept_longer_than_searches() -> None:
    """A search may find more tomorrow."""
    day = 86_400.0
    searched, looked_up = PROVIDER.caching, lookup(ID).caching

    assert searched is not None
    assert looked_up is not None
    assert (searched.redis, looked_up.redis) == (7 * day, 30 * day)
    assert searched.empty < 3600.0
    assert search("x", limit=5).caching is None


def either(read: Callable[[], Any]) -> None:
    """A result that is JSON, or an error of ours."""
    try:
        result = read()
    except CallError:
        return
    json.dumps(plain(result))


@given(JSON | TRACKISH)
def test_any_answer_to_a_look_up_is_a_track_or_an_error_of_ours(data: Any) -> None:
    """Whatever JSON it is; and what is none is not kept for a month."""
    either(lambda: got(data))
    if judge(200, {}, data) == "ok":
        assert spotify_track.tracks(data)


@given(JSON | st.builds(lambda found: {"tracks": {"items": found}}, JSON | st.lists(JSON | TRACKISH)))
def test_any_answer_to_a_search_is_tracks_or_an_error_of_ours(data: Any) -> None:
    """Whatever JSON it is, and the judge bears it as well."""
    judge(200, {}, data)
    either(lambda: spotify_track.found(Answer(status=200, data=data)))


@given(st.integers(200, 599), JSON | st.fixed_dictionaries({"error": JSON}))
def test_any_refusal_has_a_meaning(status: int, body: Any) -> None:
    """No body makes the judge fail."""
    judge(status, {}, body)


def test_nothing_personal_is_asked_so_all_arguments_are_shown() -> None:
    """Titles and names of artists are public."""
    for task in (spotify.search_track, spotify.get_track):
        assert set(task.operation.shown) == set(task.operation.signature.parameters)
