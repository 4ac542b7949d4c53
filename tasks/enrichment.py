"""A track by its title and artist, from whoever knows it: Spotify or else MusicBrainz, and Last.fm.

Each provider's part is that provider's own question, cache entry and limit. One that fails degrades the
answer and does not fail it; one without a key is not asked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tasks import lastfm, musicbrainz, spotify, spotify_track
from tasks.lastfm_tags import Tag
from tasks.music import Artist, Title, same_name
from tasks.musicbrainz_recordings import Recording
from tasks.spotify_track import Track
from tasks.spotify_words import query, words
from worker.choice import choice
from worker.errors import CallError
from worker.operation import Steps, operation
from worker.provider import Provider
from worker.request import Answer, Request
from worker.steps import asking

__all__ = ["EnrichedTrack", "enrich_track", "enriched"]

FEW = 5
"""Recordings asked for, of which the best that fits is taken."""

LEAST_SCORE = 80
"""Of 100. Below it a search has found some of the words, elsewhere."""

T = TypeVar("T")
Source = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrichedTrack:
    """What is known of a track.

    Attributes:
        title: As it was asked for; so is *artist*.
        spotify: The first that Spotify finds; None when it finds none, failed or was not asked.
        musicbrainz: The best that MusicBrainz finds of that title and artist, with a score of at least
            80 of 100, when Spotify has nothing to say; None otherwise.
        tags: What Last.fm's listeners call it, the most frequent first.
        sources: How each provider that was asked answered, by its name: ``{"from": "live" | "cache" |
            "stale", "age": seconds}``, or ``{"error": code}`` for one that failed.
    """

    title: str
    artist: str
    spotify: Track | None = None
    musicbrainz: Recording | None = None
    tags: list[Tag] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)


@operation(spotify.PROVIDER, shown=("title", "artist"))
def enrich_track(title: Title, artist: Artist) -> Steps[EnrichedTrack]:
    """What Spotify knows of a track, or else MusicBrainz, and Last.fm's tags: :class:`EnrichedTrack`.

    MusicBrainz is asked when Spotify finds nothing, refuses, is down, or has no key here. When all that were
    asked failed, the first error is raised.
    """
    keyed = {each.name for each in (spotify.PROVIDER, lastfm.PROVIDER) if choice(each).keyed}
    limit = choice(spotify.PROVIDER).option("search_limit")
    return (yield from enriched(title, artist, keyed=keyed, limit=limit))


def enriched(title: str, artist: str, *, keyed: Collection[str], limit: int) -> Steps[EnrichedTrack]:
    """The steps of :func:`enrich_track`.

    Args:
        title: Parsed.
        artist: The same.
        keyed: The names of the providers that can be asked; MusicBrainz always can.
        limit: Results of a search at Spotify, as in ``search_track``: then one answer is kept for both.
    """
    sources: dict[str, Source] = {}
    failed: list[CallError] = []
    track = recording = tags = None
    searched = _words(title, artist)
    if searched and spotify.PROVIDER.name in keyed:
        asked = spotify.search(searched, limit=limit)
        track = yield from _part(spotify.PROVIDER, asked, _first(spotify_track.found), sources, failed)
    if track is None:
        asked = musicbrainz.search_request(title, artist, FEW)
        found = yield from _part(musicbrainz.PROVIDER, asked, musicbrainz.found, sources, failed)
        recording = next((each for each in found or () if _fits(each, title, artist)), None)
    if lastfm.PROVIDER.name in keyed:
        asked = lastfm.tags_request(track=title, artist=artist)
        tags = yield from _part(lastfm.PROVIDER, asked, lastfm.found, sources, failed)
    if len(failed) == len(sources):
        raise failed[0]
    return EnrichedTrack(
        title=title, artist=artist, spotify=track, musicbrainz=recording, tags=tags or [], sources=sources
    )


def _part(
    provider: Provider,
    request: Request,
    read: Callable[[Answer], T],
    sources: dict[str, Source],
    failed: list[CallError],
) -> Steps[T | None]:
    """What *provider* says to *request*, noted in *sources*; None when it failed, noted in *failed* too."""
    try:
        answer = yield from asking(provider, _only(request))
        said = read(answer)
    except CallError as error:
        if error.passing:
            raise
        failed.append(error)
        sources[provider.name] = {"error": error.code}
        return None
    sources[provider.name] = {"from": answer.source, "age": answer.age}
    return said


def _only(request: Request) -> Steps[Answer]:
    answer: Answer = yield request
    return answer


def _first(read: Callable[[Answer], Sequence[T]]) -> Callable[[Answer], T | None]:
    """The first of what *read* finds."""
    return lambda answer: next(iter(read(answer)), None)


def _fits(found: Recording, title: str, artist: str) -> bool:
    """Whether *found* is of that title, and of that artist, alone or among others."""
    if (found.score or 0) < LEAST_SCORE or not same_name(found.title, title):
        return False
    return any(same_name(each, artist) for each in (found.artist or "", *(one.name for one in found.artists)))


def _words(title: str, artist: str) -> str:
    """What Spotify is to search for; "" when nothing of a name can be said to it."""
    try:
        return query(words(title), words(artist))
    except ValueError:
        return ""
