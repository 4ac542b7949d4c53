"""A track as Spotify shows it: what stands in its answer, and what of it we promise.

Since February 2026 an app in development mode is not shown every field, so only four are always there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.errors import ResponseUnreadable
from worker.request import Answer

__all__ = ["Track", "found", "items", "track", "tracks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One track. What Spotify does not say is None.

    Attributes:
        id: 22 letters and digits. In a market it may be another one than was asked for: the same recording
            as that market may play it.
        title: Its name.
        artists: Their names, the main one first.
        album: The album's name.
        isrc: The recording's code.
        duration_ms: Milliseconds.
        release_date: The album's: ``1981``, ``1981-12`` or ``1981-12-15``.
        release_date_precision: Which of these it is: ``year``, ``month`` or ``day``.
        explicit: Its lyrics are; False may also mean that nobody knows.
        playable: In the market that was asked for.
        popularity: 0 to 100; not shown in development mode, and neither are the next two.
        preview_url: Thirty seconds of it.
        available_markets: Countries, two letters each.
        url: Its page, for people.
    """

    id: str
    title: str
    artists: list[str]
    album: str | None = None
    isrc: str | None = None
    duration_ms: int | None = None
    release_date: str | None = None
    release_date_precision: str | None = None
    explicit: bool | None = None
    playable: bool | None = None
    popularity: int | None = None
    preview_url: str | None = None
    available_markets: list[str] | None = None
    url: str | None = None


def found(answer: Answer) -> list[Track]:
    """The tracks that a search found.

    Raises:
        ResponseUnreadable: It is no search's answer.
    """
    listed = items(answer.data)
    if listed is None:
        raise ResponseUnreadable("spotify: a search's answer has no items", status=answer.status)
    return [track(each) for each in listed]


def tracks(data: Any) -> list[Track]:
    """The tracks in a search's answer, or the one that *data* is.

    Raises:
        ResponseUnreadable: One is none.
    """
    listed = items(data)
    return [track(each) for each in ([data] if listed is None else listed)]


def track(data: Any) -> Track:
    """The track that *data* is.

    Raises:
        ResponseUnreadable: It lacks an id, a name or its artists.
    """
    fields = _object(data)
    artists = _texts([_object(each).get("name") for each in _list(fields.get("artists")) or ()])
    its_id, title = _text(fields.get("id")), _text(fields.get("name"))
    if not its_id or title is None or not artists:
        raise ResponseUnreadable("spotify: a track has no id, name or artist", status=200)
    album = _object(fields.get("album"))
    return Track(
        id=its_id,
        title=title,
        artists=artists,
        album=_text(album.get("name")),
        isrc=_text(_object(fields.get("external_ids")).get("isrc")),
        duration_ms=_number(fields.get("duration_ms")),
        release_date=_text(album.get("release_date")),
        release_date_precision=_text(album.get("release_date_precision")),
        explicit=_truth(fields.get("explicit")),
        playable=_truth(fields.get("is_playable")),
        popularity=_number(fields.get("popularity")),
        preview_url=_text(fields.get("preview_url")),
        available_markets=_texts(_list(fields.get("available_markets"))),
        url=_text(_object(fields.get("external_urls")).get("spotify")),
    )


def items(data: Any) -> list[Any] | None:
    """What a search found, the gaps in it left out; None when *data* is no search's answer."""
    found = _list(_object(_object(data).get("tracks")).get("items"))
    return None if found is None else [each for each in found if each is not None]


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any] | None:
    return value if isinstance(value, list) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _texts(values: list[Any] | None) -> list[str] | None:
    return None if values is None else [each for each in values if isinstance(each, str)]
