"""A track from whoever knows it: who is asked, what becomes of those who fail, what comes back."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import enrich_track, search_track
from tasks.enrichment import EnrichedTrack, enriched
from tests.driver import Driver
from worker.breaker import BreakerOpen
from worker.errors import (
    ArgumentsInvalid,
    BucketEmpty,
    CallError,
    CredentialsRefused,
    ProviderUnavailable,
    QuotaSpent,
    RequestInvalid,
    ResponseUnreadable,
    ThrottledTooLong,
)
from worker.request import Answer, Request
from worker.steps import plain

ALL = ("spotify", "lastfm")
TRACK = {"id": "11dFghVXANMlKmJXsNCbNl", "name": "Hells Bells", "artists": [{"name": "AC/DC"}]}
RECORDING = {"id": "m1", "title": "Hells Bells", "score": 100, "artist-credit": [{"name": "AC/DC"}]}
BODIES: dict[str, Any] = {
    "spotify": {"tracks": {"items": [TRACK, {**TRACK, "id": "second"}]}},
    "musicbrainz": {"recordings": [RECORDING]},
    "lastfm": {"toptags": {"tag": [{"name": "hard rock", "count": 100}]}},
}
NOTHING: dict[str, Any] = {
    "spotify": {"tracks": {"items": []}},
    "musicbrainz": {"recordings": []},
    "lastfm": {"error": 6, "message": "Track not found"},
}
HELD = [
    RequestInvalid("refused", status=400),
    CredentialsRefused("refused", status=401),
    ProviderUnavailable("down"),
    ThrottledTooLong("hours"),
    QuotaSpent("spent"),
    BreakerOpen("open"),
    ResponseUnreadable("garbled"),
]


def providers(**said: Any) -> Driver:
    """Three providers that know the track, but for those of whom something else is said."""

    def answer(request: Request) -> Answer | CallError:
        body = said.get(request.provider, BODIES[request.provider])
        if isinstance(body, CallError):
            return body
        return Answer(status=200, data=body, source="cache", age=7.0, empty=body is NOTHING[request.provider])

    return Driver(answer=answer)


def run(driver: Driver, *, keyed: Collection[str] = ALL, title: str = "Hells Bells") -> EnrichedTrack:
    """What the operation makes of it."""
    return driver.run(enriched(title, "AC/DC", keyed=keyed, limit=5))


def asked(driver: Driver) -> list[str]:
    """Who was asked, in turn."""
    return [request.provider for request in driver.requests]


def test_spotify_and_last_fm_are_all_it_takes() -> None:
    """MusicBrainz, whose limit is one call a second, is left alone."""
    driver = providers()

    found = run(driver)

    assert asked(driver) == ["spotify", "lastfm"]
    assert found.spotify is not None
    assert (found.spotify.id, found.musicbrainz) == (TRACK["id"], None)
    assert [tag.name for tag in found.tags] == ["hard rock"]
    source = {"from": "cache", "age": 7.0}
    assert found.sources == {"spotify": source, "lastfm": source}


def test_its_result_is_json() -> None:
    """Objects with the documented fields, whichever parts are there."""
    shown = json.loads(json.dumps(plain(run(providers(spotify=NOTHING["spotify"])))))

    assert list(shown) == ["title", "artist", "spotify", "musicbrainz", "tags", "sources"]
    assert (shown["title"], shown["artist"], shown["spotify"]) == ("Hells Bells", "AC/DC", None)
    assert shown["musicbrainz"]["id"] == "m1"
    assert shown["tags"] == [{"name": "hard rock", "count": 100, "url": None}]


@pytest.mark.parametrize("why", HELD, ids=lambda why: type(why).__name__)
def test_musicbrainz_stands_in_when_spotify_cannot(why: CallError) -> None:
    """Refused, down, throttled for too long, spent, behind its breaker, or unreadable: its code is told."""
    driver = providers(spotify=why)

    found = run(driver)

    assert asked(driver) == ["spotify", "musicbrainz", "lastfm"]
    assert found.spotify is None
    assert found.musicbrainz is not None
    assert found.sources["spotify"] == {"error": why.code}
    assert found.sources["musicbrainz"]["from"] == "cache"


def test_musicbrainz_stands_in_when_spotify_finds_nothing() -> None:
    """Which is an answer and no failure."""
    found = run(providers(spotify=NOTHING["spotify"]))

    assert found.musicbrainz is not None
    assert found.sources["spotify"] == {"from": "cache", "age": 7.0}


@pytest.mark.parametrize(
    "other",
    [
        {"score": 79},
        {"score": None},
        {"title": "Hells Bells (karaoke)"},
        {"title": "Bells"},
        {"artist-credit": [{"name": "AC/DC Tribute Band"}]},
        {"artist-credit": []},
    ],
)
def test_what_musicbrainz_finds_of_somebody_else_is_not_taken(other: dict[str, Any]) -> None:
    """A search finds something for most words; what fits better may stand behind it."""
    strange = {**RECORDING, "id": "strange", **other}
    alone = providers(spotify=NOTHING["spotify"], musicbrainz={"recordings": [strange]})
    first = providers(spotify=NOTHING["spotify"], musicbrainz={"recordings": [strange, RECORDING]})

    assert run(alone).musicbrainz is None
    found = run(first).musicbrainz
    assert found is not None
    assert found.id == "m1"


@pytest.mark.parametrize(
    "same",
    [
        {"score": 80},
        {"title": "HELLS  BELLS!"},
        {"artist-credit": [{"name": "ac\u2010dc"}]},
        {"artist-credit": [{"name": "AC/DC", "joinphrase": " feat. "}, {"name": "Bon"}]},
        {"artist-credit": [{"name": "AC/", "joinphrase": ""}, {"name": "DC"}]},
    ],
)
def test_a_name_is_the_same_in_another_spelling_and_beside_others(same: dict[str, Any]) -> None:
    """MusicBrainz writes typographers' hyphens and apostrophes, and credits every artist by name."""
    driver = providers(spotify=NOTHING["spotify"], musicbrainz={"recordings": [{**RECORDING, **same}]})

    assert run(driver).musicbrainz is not None


def test_a_provider_without_a_key_is_not_asked() -> None:
    """It has no source, and its part is empty."""
    driver = providers()

    found = run(driver, keyed=())

    assert asked(driver) == ["musicbrainz"]
    assert (list(found.sources), found.tags, found.spotify) == (["musicbrainz"], [], None)


@pytest.mark.parametrize("why", HELD, ids=lambda why: type(why).__name__)
def test_tags_that_cannot_be_had_take_nothing_from_the_rest(why: CallError) -> None:
    """They are a garnish."""
    found = run(providers(lastfm=why))

    assert found.spotify is not None
    assert (found.tags, found.sources["lastfm"]) == ([], {"error": why.code})


def test_a_track_that_nobody_knows_is_an_answer() -> None:
    """Nobody failed."""
    found = run(providers(**NOTHING))

    assert (found.spotify, found.musicbrainz, found.tags) == (None, None, [])
    assert {source["from"] for source in found.sources.values()} == {"cache"}


def test_when_all_fail_the_first_failure_is_the_tasks() -> None:
    """The others follow from it, or say the same."""
    first = ProviderUnavailable("down")

    with pytest.raises(ProviderUnavailable) as failed:
        run(providers(spotify=first, musicbrainz=BreakerOpen("open"), lastfm=RequestInvalid("refused")))

    assert failed.value is first


def test_when_all_that_could_be_asked_fail_the_task_does() -> None:
    """One alone, where the others have no key."""
    with pytest.raises(BreakerOpen):
        run(providers(musicbrainz=BreakerOpen("open")), keyed=())


@pytest.mark.parametrize("provider", ["spotify", "lastfm"])
def test_what_waiting_may_still_cure_is_waited_for(provider: str) -> None:
    """A task that is tried again in a second does not make do with less now."""
    down = ProviderUnavailable("down")
    down.passing = True
    for why in (BucketEmpty("later"), down):
        driver = providers(**{provider: why})

        with pytest.raises(type(why)):
            run(driver)

        assert "musicbrainz" not in asked(driver)


def test_it_asks_spotify_what_search_track_asks() -> None:
    """So that one answer is kept for both."""
    mine, theirs = providers(), Driver(answer=lambda _: Answer(status=200, data=BODIES["spotify"]))
    ours, given = "Do I  Wanna: Know?", search_track.operation.parsed(("Do I  Wanna: Know?", "AC/DC"), {})

    run(mine, title=enrich_track.operation.parsed((ours, "AC/DC"), {}).args[0])
    theirs.run(search_track.operation.function(*given.args, limit=5))

    assert mine.requests[0].fingerprint == theirs.requests[0].fingerprint


@pytest.mark.parametrize("title", ['"', ":", '":":'])
def test_a_title_that_spotify_cannot_be_asked_for_is_musicbrainzs(title: str) -> None:
    """There is no way to say it to Spotify; MusicBrainz has one."""
    driver = providers()

    found = run(driver, title=title)

    assert asked(driver) == ["musicbrainz", "lastfm"]
    assert "spotify" not in found.sources


def test_both_names_are_needed_and_checked_where_the_task_is_called() -> None:
    """A title alone means many tracks."""
    with pytest.raises(ArgumentsInvalid, match="missing a required argument: 'artist'"):
        enrich_track.operation.checked(("Hells Bells",), {})
    with pytest.raises(ArgumentsInvalid, match="artist: takes a text of 1 to 200 characters"):
        enrich_track.operation.checked(("Hells Bells", " "), {})


def test_its_task_stands_in_spotifys_line() -> None:
    """Whose limit it mostly needs."""
    assert enrich_track.name == "spotify.enrich_track"


@given(
    st.fixed_dictionaries(
        {name: st.sampled_from([*HELD, BODIES[name], NOTHING[name], {}, None, []]) for name in BODIES}
    ),
    st.sets(st.sampled_from(ALL)),
)
def test_whatever_comes_of_each_it_answers_or_raises_what_one_of_them_said(
    said: dict[str, Any], keyed: set[str]
) -> None:
    """And every provider that was asked has its source."""
    driver = providers(**said)
    try:
        found = run(driver, keyed=keyed)
    except CallError:
        assert not any(said[name] in (BODIES[name], NOTHING[name]) for name in asked(driver))
        return

    assert list(found.sources) == asked(driver)
    assert set(asked(driver)) <= {*keyed, "musicbrainz"}
