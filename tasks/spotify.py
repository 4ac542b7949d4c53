"""Spotify: tracks, by search and by id.

Docs     https://developer.spotify.com/documentation/web-api/reference/search  .../reference/get-track
         https://developer.spotify.com/documentation/web-api/tutorials/client-credentials-flow
Limits   https://developer.spotify.com/documentation/web-api/concepts/rate-limits
         so many calls in any 30 s, the number unpublished; 10 a second is our own politeness
Kept     a track by its id 30 d in Redis
Quirks   Retry-After may be hours, and asking meanwhile makes it longer; an app in development mode
         (February 2026) gets ten results of a search at most and fewer fields; the accounts host
         has error envelopes of its own; some failures are HTML; 404 is an answer to a long query
Unverified  a query of more than 100 characters (refused in 2022: spotipy #845); the words of a
         400 for an id that is none, and of a 404 for an address that is none
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks import spotify_track
from tasks.arguments.isrc import OptionalISRC
from tasks.spotify_track import Track
from tasks.spotify_words import Limit, Market, OptionalText, Text, TrackId, limit, query
from worker.auth.pieces import ClientCredentials
from worker.choice import choice
from worker.errors import ResourceMissing, ResponseUnreadable
from worker.operation import Steps, operation
from worker.provider import Breaker, Caching, Option, Provider, Rate, Signs, Verdict
from worker.request import Request

__all__ = ["PROVIDER", "Track", "get_track", "search_track"]

GOOD, MISSING = 2, 404
DAY = 86_400.0
SIGNS = Signs(
    message="error.message",
    words={"invalid id": "missing", "Invalid base62 id": "missing", "Service not found": "rejected"},
)


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
    """What the status alone does not say: a 404 that is not the API's own is no word about a track.

    An answer with anything in it that is no track is not to be kept for a month.
    """
    if status // 100 == GOOD:
        try:
            return "ok" if spotify_track.tracks(body) else "empty"
        except ResponseUnreadable:
            return "unreadable"
    own = isinstance(body, dict) and isinstance(body.get("error"), dict)
    return "rejected" if status == MISSING and not own else SIGNS(status, headers, body)


PROVIDER = Provider(
    name="spotify",
    base_url="https://api.spotify.com/v1",
    rate=Rate(calls=10, burst=10),
    breaker=Breaker(failures=5, reset_after=60.0, successes=2),
    caching=Caching(memory=300.0, redis=7 * DAY, stale_if_error=7 * DAY),
    auth=ClientCredentials(url="https://accounts.spotify.com/api/token"),
    cooldown=30.0,
    judge=judge,
    options={
        "search_limit": Option(
            about="results of a search that does not say how many, 1 to 50; 10 at most in development mode",
            default=5,
            parse=limit,
        )
    },
)

TRACKS = Caching(memory=300.0, redis=30 * DAY, stale_if_error=30 * DAY)


@operation(PROVIDER, shown=("title", "artist", "isrc", "limit", "market"))
def search_track(
    title: Text,
    artist: OptionalText = None,
    isrc: OptionalISRC = None,
    limit: Limit = None,
    market: Market = None,
) -> Steps[list[Track]]:
    """Tracks of that title and artist, best first; with an ISRC, those of that recording and no others.

    *limit* is the option ``search_limit`` unless given. Without a *market*, tracks of all of them.
    """
    many = limit or choice(PROVIDER).option("search_limit")
    answer = yield search(query(title, artist, isrc), limit=many, market=market)
    return spotify_track.found(answer)


@operation(PROVIDER, shown=("track_id", "market"))
def get_track(track_id: TrackId, market: Market = None) -> Steps[Track | None]:
    """The track of that id, its URI or its page's address; None when there is none."""
    try:
        answer = yield lookup(track_id, market=market)
    except ResourceMissing:
        return None
    return spotify_track.track(answer.data)


def search(words: str, *, limit: int, market: str | None = None) -> Request:
    """The request for the first *limit* tracks that *words* find."""
    asked = {"q": words, "type": "track", "limit": str(limit)}
    return Request(path="/search", params=_in(market, asked), label="tracks")


def lookup(track_id: str, *, market: str | None = None) -> Request:
    """The request for one track."""
    return Request(path=f"/tracks/{track_id}", params=_in(market, {}), label="track", caching=TRACKS)


def _in(market: str | None, params: dict[str, str]) -> dict[str, str]:
    return {**params, "market": market} if market else params
