"""The tracks that the sandbox's Spotify has: one that everybody knows, and many numbered ones.

A track is made in full, as an app with extended quota sees it; ``seen_in_development`` takes away what one
in development mode has not been shown since February 2026.
"""

from __future__ import annotations

import re
from functools import cached_property
from itertools import islice
from typing import Any

__all__ = ["HAPPY", "HAPPY_ISRC", "Catalogue", "numbered", "seen_in_development"]

HAPPY, HAPPY_ISRC = "6NPVjNh8Jhru9xOmyQigds", "USQ4E1300686"
"""The one that was recorded (contracts/recorded/spotify/beets/track_request.json)."""

DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
NUMBERED = re.compile(r"0{18}[0-9a-zA-Z]{4}")
TAKEN_AWAY = ("available_markets", "linked_from", "popularity", "preview_url")
_FILTER = re.compile(r"\b(track|artist|album|isrc|year|genre):")


def numbered(number: int) -> str:
    """The id of the track of that *number*, from 1."""
    text = ""
    while number:
        number, digit = divmod(number, len(DIGITS))
        text = DIGITS[digit] + text
    return text.rjust(22, "0")


def seen_in_development(track: dict[str, Any]) -> dict[str, Any]:
    """*track* without what an app in development mode is not shown."""
    return {name: value for name, value in track.items() if name not in TAKEN_AWAY}


class Catalogue:
    """Tracks by id: the known one, and numbered ones up to *most*."""

    def __init__(self, *, most: int = 2000) -> None:
        self._most = most

    @cached_property
    def _all(self) -> list[dict[str, Any]]:
        ids = (HAPPY, *map(numbered, range(1, self._most + 1)))
        return [track for each in ids if (track := self.track(each))]

    def track(self, track_id: str) -> dict[str, Any] | None:
        """The track of that id."""
        if track_id == HAPPY:
            return _track(HAPPY, "Happy", "Pharrell Williams", "Despicable Me 2", HAPPY_ISRC, 233_305)
        if not NUMBERED.fullmatch(track_id):
            return None
        number = 0
        for digit in track_id:
            number = number * len(DIGITS) + DIGITS.index(digit)
        return self._numbered(number) if 1 <= number <= self._most else None

    def found(self, query: str, *, most: int) -> list[dict[str, Any]]:
        """The first *most* tracks that *query* takes, those of its ISRC or of all its words."""
        asked = re.fullmatch(r"\s*isrc:(\S+)\s*", query)
        words = _FILTER.sub(" ", query).casefold().split()
        taken = (
            each for each in self._all if (_has_isrc(each, asked[1]) if asked else _has_words(each, words))
        )
        return list(islice(taken, most))

    @staticmethod
    def _numbered(number: int) -> dict[str, Any]:
        made = (f"Tide Number {number}", "The Ferrymen", "Harbor Songs", f"QZNRW26{number:05d}")
        return _track(numbered(number), *made, 180_000 + number)


def _has_isrc(track: dict[str, Any], isrc: str) -> bool:
    return bool(track["external_ids"]["isrc"] == isrc)


def _has_words(track: dict[str, Any], words: list[str]) -> bool:
    text = f"{track['name']} {track['artists'][0]['name']} {track['album']['name']}".casefold().split()
    return bool(words) and all(word in text for word in words)


def _track(track_id: str, title: str, artist: str, album: str, isrc: str, duration: int) -> dict[str, Any]:
    by = [{**_thing("artist", track_id[::-1]), "name": artist}]
    return {
        **_thing("track", track_id),
        "name": title,
        "artists": by,
        "album": {
            **_thing("album", track_id),
            "album_type": "album",
            "artists": by,
            "available_markets": ["CA", "US"],
            "images": [],
            "name": album,
            "release_date": "2013-06",
            "release_date_precision": "month",
            "total_tracks": 12,
        },
        "available_markets": ["CA", "US"],
        "disc_number": 1,
        "duration_ms": duration,
        "explicit": False,
        "external_ids": {"isrc": isrc},
        "is_local": False,
        "popularity": 40,
        "preview_url": None,
        "track_number": 4,
    }


def _thing(kind: str, its_id: str) -> dict[str, Any]:
    return {
        "type": kind,
        "id": its_id,
        "uri": f"spotify:{kind}:{its_id}",
        "href": f"https://api.spotify.com/v1/{kind}s/{its_id}",
        "external_urls": {"spotify": f"https://open.spotify.com/{kind}/{its_id}"},
    }
