"""Last.fm, mounted under its provider's name.

    GET /2.0/?method=track.getTopTags&artist=&track=&api_key=&format=json    {"toptags": {"tag": [...]}}

A track without tags, or one that is not known, is a 200; so is every failure but that of a key (403) and of a
method (400). One tag is an object in place of a list.

Assumed: that a throttled answer is a 200. Recorded: the list, the empty list, the text in place of a list,
counts as texts, error 6 with 200, 400 and 404, error 4 with 403.

Read on  2026-11-21, from PROVIDERS.md section 7 and contracts/recorded/lastfm
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote_plus

from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["LastfmPlayer"]

MESSAGES = {
    3: "Invalid Method - No method with that name in this package",
    4: "Authentication Failed - You do not have permissions to access the service",
    6: "Track not found",
    8: "Operation failed - Most likely the backend service failed. Please try again.",
    10: "Invalid API key - You must be granted a valid key by last.fm",
    11: "Service Offline - This service is temporarily offline. Try again later.",
    16: "The service is temporarily unavailable, please try again.",
    26: "Suspended API key - Access for your account has been suspended, please contact Last.fm",
    29: "Rate Limit Exceeded - Your IP has made too many requests in a short period",
}
NEEDED = "Invalid parameters - Your request is missing a required parameter"
FAILURES = {429: (200, 29), 503: (200, 11), 400: (400, 6), 404: (404, 6), 401: (403, 10), 403: (403, 10)}
"""How a status that others would use is said here: another status, and the code in the body."""

SLIPS = ("The Ferry Slips", "Slack Water")
MBIDS = {"c0000000-0000-4000-8000-000000000002": SLIPS}


def _tag(name: str, count: int | str) -> dict[str, Any]:
    return {"count": count, "name": name, "url": f"https://www.last.fm/tag/{quote_plus(name)}"}


TAGGED: Mapping[tuple[str, str], Any] = {
    ("AC/DC", "Hells Bells"): [_tag("hard rock", 100), _tag("rock", 58), _tag("classic rock", 53)],
    ("The Chemical Brothers", "Hey Boy Hey Girl"): [_tag("electronic", "100"), _tag("dance", "67")],
    ("Pharrell Williams", "Happy"): [_tag("pop", 100), _tag("happy", 83)],
    SLIPS: _tag("harbour", 100),
    ("The Ferry Slips", "Unheard"): [],
    ("The Ferry Slips", "Unsaid"): "\n",
}


class LastfmPlayer:
    """Plays Last.fm's web service.

    Attributes:
        keys: API keys that are known.
        error: A code that every question with a good key is answered with, in a 200; None is none.
    """

    name = "lastfm"

    def __init__(self, *, tokens: Iterable[str]) -> None:
        self.keys = set(tokens)
        self.error: int | None = None

    async def answer(self, request: Request) -> Reply:
        asked = request.params
        if request.path != "/2.0/":
            return Reply(status=404, headers={"Content-Type": "text/html"}, body=b"<html>404</html>")
        if asked.get("format") != "json":
            xml = b'<?xml version="1.0" encoding="UTF-8"?>\n<lfm status="ok"></lfm>\n'
            return Reply(headers={"Content-Type": "text/xml; charset=UTF-8"}, body=xml)
        if asked.get("api_key") not in self.keys:
            return _failed(10, status=403)
        if self.error is not None:
            return _failed(self.error)
        if asked.get("method", "").lower() != "track.gettoptags":
            return _failed(3, status=400)
        return _tags(asked)

    def failure(self, status: int) -> Reply:
        """The code for *status* in Last.fm's own way: too often and offline are a 200."""
        status, code = FAILURES.get(status, (status, 8))
        return _failed(code, status=status)


def _tags(asked: Mapping[str, str]) -> Reply:
    if "mbid" in asked:
        named = MBIDS.get(asked["mbid"])
    elif asked.get("artist") and asked.get("track"):
        named = _named(asked["artist"], asked["track"], corrected=asked.get("autocorrect") == "1")
    else:
        return _failed(6, said=NEEDED)
    if named is None:
        return _failed(6)
    names = dict(zip(("artist", "track"), named, strict=True))
    tag = TAGGED[named]
    if isinstance(tag, str):
        return json_reply({"toptags": {"#text": tag, **names}})
    return json_reply({"toptags": {"tag": tag, "@attr": names}})


def _named(artist: str, track: str, *, corrected: bool) -> tuple[str, str] | None:
    """The track that is meant: in any case, and when *corrected* without its punctuation."""

    def plain(text: str) -> str:
        text = text.casefold()
        return "".join(filter(str.isalnum, text)) if corrected else text

    wanted = plain(artist), plain(track)
    return next((each for each in TAGGED if tuple(map(plain, each)) == wanted), None)


def _failed(code: int, *, status: int = 200, said: str = "") -> Reply:
    message = said or MESSAGES.get(code, "Something else")
    return json_reply({"error": code, "message": message, "links": []}, status=status)
