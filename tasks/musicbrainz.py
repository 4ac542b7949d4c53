"""MusicBrainz: recordings by their code, or by title and artist.

Docs     https://musicbrainz.org/doc/MusicBrainz_API
         https://musicbrainz.org/doc/MusicBrainz_API/Search
Limits   https://musicbrainz.org/doc/MusicBrainz_API/Rate_Limiting
         one call per second and source address, so one for the whole fleet; no daily quota
Kept     what a search found 1 d in Redis
Quirks   throttling is answered 503, as an overload is, and above the rate every call is, not only those that
         are too many; a User-Agent that is blank or says nothing is refused with 403, so set NARROWS_CONTACT;
         one ISRC stands for several recordings; lengths and dates may be null, dates may be years; at most 25
         releases come with a recording; searches take Lucene's language, in which eighteen characters mean
         something; a 404 speaks of a code only where it has MusicBrainz's own words
Unverified  the headers of a 503, and any search as JSON: neither was ever recorded
Read on  2026-11-21
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from tasks.arguments import whole_number
from tasks.arguments.isrc import ISRC
from tasks.music import ArtistOrNone, Title
from tasks.musicbrainz_recordings import Recording, Recordings, chosen, recordings
from worker.errors import ResponseUnreadable
from worker.operation import Steps, operation
from worker.provider import Breaker, Caching, Provider, Rate, Signs, Verdict
from worker.request import Answer, Request

__all__ = ["PROVIDER", "found", "isrc_request", "lookup_isrc", "search_recording", "search_request"]

GOOD, MISSING = 2, 404
UNKNOWN = "Not Found"
"""The error in the answer to a code that nobody knows; beside it stands where to find help."""

DAY = 86_400.0
SEARCH = Caching(memory=300.0, redis=DAY, stale_if_error=30 * DAY)
"""A search's answer changes with every edit; a code's seldom does."""

Limit = Annotated[int, whole_number(1, 100, example=25)]

_SPECIAL = re.compile(r'[+\-&|!(){}\[\]^"~*?:\\/]')
_SIGNS = Signs(statuses={404: "rejected", 503: "throttled"})


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
    """What :data:`_SIGNS` say; an answer without what it promises is not to be kept for a month.

    A 404 speaks of a code in MusicBrainz's own words, or else of an address of ours that is wrong.
    """
    if status == MISSING and isinstance(body, dict) and body.get("error") == UNKNOWN and "help" in body:
        return "empty"
    if status // 100 != GOOD:
        return _SIGNS(status, headers, body)
    try:
        return "ok" if recordings(body) else "empty"
    except ResponseUnreadable:
        return "unreadable"


PROVIDER = Provider(
    name="musicbrainz",
    base_url="https://musicbrainz.org",
    rate=Rate(calls=1.0, burst=1),
    breaker=Breaker(failures=3, reset_after=30.0),
    caching=Caching(memory=300.0, redis=30 * DAY, stale_if_error=30 * DAY),
    judge=judge,
    identifies=True,
)


@operation(PROVIDER, shown=("isrc",))
def lookup_isrc(isrc: ISRC) -> Steps[Recordings]:
    """Every recording under an ISRC, and the one that is meant (by which rule: :func:`chosen`).

    A code that MusicBrainz does not know has none.
    """
    answer: Answer = yield isrc_request(isrc)
    listed = () if answer.status == MISSING else found(answer)
    return Recordings(isrc=isrc, recordings=listed, chosen=chosen(listed))


@operation(PROVIDER, shown=("title", "artist", "limit"))
def search_recording(title: Title, artist: ArtistOrNone = None, limit: Limit = 25) -> Steps[list[Recording]]:
    """At most *limit* recordings of that title, by that artist if one is named, the best first by score."""
    return list(found((yield search_request(title, artist, limit))))


def isrc_request(isrc: str) -> Request:
    """Asks for the recordings of a code, with their artists and releases."""
    # A blank is written as the plus sign that separates the parts.
    params = {"inc": "artist-credits releases", "fmt": "json"}
    return Request(path=f"/ws/2/isrc/{isrc}", params=params, label="isrc")


def search_request(title: str, artist: str | None = None, limit: int = 25) -> Request:
    """Asks for recordings whose title, and artist, hold these words in this order."""
    parts = {"recording": title, "artist": artist}
    query = " AND ".join(f'{field}:"{escaped(text)}"' for field, text in parts.items() if text)
    params = {"query": query, "limit": str(limit), "fmt": "json"}
    return Request(path="/ws/2/recording", params=params, label="search", caching=SEARCH)


def escaped(text: str) -> str:
    """*text* with a backslash before each character that means something in a Lucene query."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def found(answer: Answer) -> tuple[Recording, ...]:
    """The recordings in an answer.

    Raises:
        ResponseUnreadable: It holds no list of them, as a 404 to a search does not.
    """
    return recordings(answer.data)
