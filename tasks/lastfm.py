"""Last.fm: what listeners call a track.

Docs     https://www.last.fm/api/show/track.getTopTags
         https://www.last.fm/api/errorcodes
Limits   https://www.last.fm/api/tos
         about five calls a second and source address, and answers are to be cached; no header says what is
         left
Quirks   errors come in a 200 as well as in a 400, 403 or 404, under a code of their own; one tag is an object
         where several are a list, none is a list, a text or nothing; counts may be texts; the key is a query
         parameter, so it stands in every address
Unverified  a throttled answer (29) was never recorded, nor what an unknown id is answered with
Read on  2026-11-21
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.lastfm_tags import Tag, tags
from tasks.music import Artist, MBIDOrNone, Title
from worker.errors import ResponseUnreadable
from worker.operation import Steps, operation
from worker.provider import Auth, Breaker, Caching, Provider, Rate, Signs, Verdict
from worker.request import Answer, Request

__all__ = ["PROVIDER", "found", "get_track_tags", "tags_request"]

GOOD = 2
WEEK = 7 * 86_400.0
CODES: Mapping[str, Verdict] = {
    **dict.fromkeys(("6", "7"), "empty"),
    **dict.fromkeys(("8", "11", "16"), "unavailable"),
    **dict.fromkeys(("4", "9", "10", "13", "14", "15", "17", "26"), "credentials"),
    "29": "throttled",
}
_SIGNS = Signs(at="error", codes=CODES)


def judge(status: int, headers: Mapping[str, str], body: Any) -> Verdict | None:
    """What the code in the body says, whatever the status; tags, or none of them, otherwise."""
    if meaning := _SIGNS(status, headers, body):
        return meaning
    if status // 100 != GOOD:
        return None
    if isinstance(body, dict) and "error" in body:
        return "rejected"
    try:
        return "ok" if tags(body) else "empty"
    except ResponseUnreadable:
        return "unreadable"


PROVIDER = Provider(
    name="lastfm",
    base_url="https://ws.audioscrobbler.com",
    rate=Rate(calls=5.0, burst=5),
    breaker=Breaker(failures=5, reset_after=60.0),
    caching=Caching(memory=300.0, redis=WEEK, stale_if_error=WEEK),
    auth=Auth(query="api_key"),
    judge=judge,
    identifies=True,
)


@operation(PROVIDER, shown=("track", "artist", "mbid", "autocorrect"))
def get_track_tags(
    track: Title,
    artist: Artist,
    mbid: MBIDOrNone = None,
    autocorrect: bool = True,  # noqa: FBT001, FBT002 - callers by bare name pass arguments by place
) -> Steps[list[Tag]]:
    """The tags of a track, the most frequent first; none when Last.fm does not know it.

    One with a MusicBrainz id is asked for by that first, and by its names where Last.fm knows nothing of it.
    *autocorrect* lets Last.fm put names right that are spelt in another way.
    """
    if mbid and (known := found((yield tags_request(mbid=mbid, autocorrect=autocorrect)))):
        return known
    return found((yield tags_request(track=track, artist=artist, autocorrect=autocorrect)))


def tags_request(*, autocorrect: bool = True, **what: str) -> Request:
    """Asks for the tags of the track that *what* names: ``track`` and ``artist``, or ``mbid``."""
    params = {"method": "track.getTopTags", "autocorrect": str(int(autocorrect)), "format": "json", **what}
    return Request(path="/2.0/", params=params, label="tags")


def found(answer: Answer) -> list[Tag]:
    """The tags in an answer; none in one that says that there is no such track."""
    return [] if answer.empty else tags(answer.data)
