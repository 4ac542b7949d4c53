"""What callers say to Spotify: ids in any of their spellings, and words of a search that stay words.

Docs     https://developer.spotify.com/documentation/web-api/concepts/spotify-uris-ids
Quirks   there is no way to escape what has a meaning in a query, so it is taken out: quotes, the colon of a
         field filter (``year:``, ``tag:``), and the operators, which are so only in capitals
Read on  2026-11-21
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = [
    "LONGEST",
    "Limit",
    "Market",
    "OptionalText",
    "Text",
    "TrackId",
    "limit",
    "market",
    "query",
    "track_id",
    "words",
]

LONGEST = 100
"""Characters of a query that are known to be taken; words beyond are left out, of the title first."""

RESULTS = 50
"""Of a search with extended quota; ten in development mode, beyond which it is refused."""

MOST = 1000
_ID = re.compile(
    r"(?:spotify:track:|(?:https?://)?open\.spotify\.com/(?:intl-[a-z-]+/)?track/)?([0-9A-Za-z]{22})(?:[/?#].*)?"
)
_MEANT = re.compile(r"[\":\x00-\x1f\x7f\ud800-\udfff]")
"""What means something else in a query, or cannot be sent at all (halves of characters)."""

_OPERATOR = re.compile(r"\b(?:AND|NOT|OR)\b")


def track_id(value: Any) -> str:
    """The 22 letters and digits in an id, a ``spotify:track:`` URI or a track's page.

    Raises:
        ValueError: says what it takes, without the value.
    """
    match = _ID.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            "takes a track's id of 22 letters and digits, its URI or its page's address, "
            'for example "11dFghVXANMlKmJXsNCbNl"'
        )
    return match[1]


def words(value: Any) -> str:
    """*value* with single spaces between its words, and nothing in it that means something else to a search.

    Raises:
        ValueError: Nothing is left of it, or it is too long.
    """
    text = " ".join(_MEANT.sub(" ", value).split()) if isinstance(value, str) else ""
    if not text or len(text) > MOST:
        raise ValueError(f'takes a text of 1 to {MOST} characters, for example "Do I Wanna Know?"')
    return _OPERATOR.sub(lambda operator: operator[0].lower(), text)


def query(title: str, artist: str | None = None, isrc: str | None = None) -> str:
    """What is searched for, of LONGEST characters at most: a recording's code says more than its name."""
    if isrc:
        return f"isrc:{isrc}"
    by = f" artist:{_within(artist, LONGEST // 2)}" if artist else ""
    return f"track:{_within(title, LONGEST - len('track:') - len(by))}{by}"


def _within(text: str, most: int) -> str:
    """*text*, without its last words when it has more than *most* characters."""
    if len(text) <= most:
        return text
    return text[: most + 1].rpartition(" ")[0] or text[:most]


def limit(value: Any) -> int:
    """How many results, from a setting's text or an argument."""
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= RESULTS:
        raise ValueError(f"takes a whole number from 1 to {RESULTS}, for example 5")
    return number


def market(value: Any) -> str:
    """The country, as two capital letters."""
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z]{2}", value):
        raise ValueError('takes a country as two letters (ISO 3166-1), for example "US"')
    return value.upper()


def _or_none(parse: Callable[[Any], Any]) -> Parsed:
    return Parsed(lambda value: None if value is None else parse(value))


Text = Annotated[str, Parsed(words)]
OptionalText = Annotated[str | None, _or_none(words)]
TrackId = Annotated[str, Parsed(track_id)]
Limit = Annotated[int | None, _or_none(limit)]
Market = Annotated[str | None, _or_none(market)]
