"""MusicBrainz's recordings as they come, and which of several is meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.errors import ResponseUnreadable

__all__ = ["Credit", "Recording", "Recordings", "Release", "chosen", "recordings"]

UNKNOWN_DATE = "9999"
MOST_SCORE = 100

_DATE = re.compile(r"[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credit:
    """One of the artists of a recording.

    Attributes:
        id: The artist's MusicBrainz id.
        name: As it stands on this recording, which may differ from the artist's own.
    """

    id: str | None
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Something that a recording came out on.

    Attributes:
        date: ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``; None when it is not known.
        country: Two letters, or ``XW`` for the whole world.
        status: ``Official``, ``Promotion``, ``Bootleg`` and so on.
    """

    id: str
    title: str | None
    date: str | None
    country: str | None
    status: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recording: a take and its mix, on however many releases.

    Attributes:
        id: Its MusicBrainz id.
        artist: All its artists in one line, as they are credited.
        length_ms: Milliseconds; None when nobody has measured it.
        first_release_date: ``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``; None when it is not known.
        video: Whether it is a film of the music.
        releases: At most 25: the API gives no more with a recording.
        isrcs: Empty where the API does not give them, as in a look-up by one.
        score: How well it fits a search, 0 to 100; None when it was not searched for.
    """

    id: str
    title: str
    artist: str | None
    artists: tuple[Credit, ...]
    length_ms: int | None
    first_release_date: str | None
    video: bool
    disambiguation: str | None
    releases: tuple[Release, ...]
    isrcs: tuple[str, ...] = ()
    score: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recordings:
    """Every recording under one ISRC.

    Attributes:
        isrc: Twelve characters without hyphens.
        recordings: In the API's own order, which means nothing. Empty when the code is not known.
        chosen: The one that :func:`chosen` takes; None when there is none.
    """

    isrc: str
    recordings: tuple[Recording, ...]
    chosen: Recording | None


def chosen(found: Sequence[Recording]) -> Recording | None:
    """The one that is meant by a code that stands for several, the same whatever their order.

    1. Music before its film: a code of a song is often set on its video by mistake.
    2. The one on most releases: duplicates and mistakes hang on a single one.
    3. The one that came out first: what came later is a remaster or another edit. No date is the latest; of
       dates that agree as far as they go, the shorter is the earlier.
    4. The smallest id, which means nothing, and is the same tomorrow.
    """
    return min(found, key=_rank, default=None)


def _rank(one: Recording) -> tuple[bool, int, str, str]:
    return one.video, -len(one.releases), one.first_release_date or UNKNOWN_DATE, one.id


def recordings(data: Any) -> tuple[Recording, ...]:
    """The recordings in the body of a look-up or a search.

    Raises:
        ResponseUnreadable: It has no list of them, or one without an id or a title.
    """
    found = data.get("recordings") if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise ResponseUnreadable("musicbrainz: the answer holds no list of recordings")
    return tuple(_recording(each) for each in found)


def _recording(data: Any) -> Recording:
    known = data if isinstance(data, dict) else {}
    key, title = _text(known.get("id")), _text(known.get("title"))
    if key is None or title is None:
        raise ResponseUnreadable("musicbrainz: a recording has no id or no title")
    credited, score = _objects(known.get("artist-credit")), _number(known.get("score"))
    return Recording(
        id=key,
        title=title,
        artist=_line(credited),
        artists=tuple(filter(None, map(_credit, credited))),
        length_ms=_number(known.get("length")),
        first_release_date=_date(known.get("first-release-date")),
        video=known.get("video") is True,
        disambiguation=_text(known.get("disambiguation")),
        releases=tuple(filter(None, map(_release, _objects(known.get("releases"))))),
        isrcs=tuple(each for each in _list(known.get("isrcs")) if isinstance(each, str)),
        score=None if score is None else min(score, MOST_SCORE),
    )


def _line(credited: list[dict[str, Any]]) -> str | None:
    parts = [_text(each.get(key)) or "" for each in credited for key in ("name", "joinphrase")]
    return "".join(parts).strip() or None


def _credit(data: dict[str, Any]) -> Credit | None:
    artist = data.get("artist")
    artist = artist if isinstance(artist, dict) else {}
    name = _text(data.get("name")) or _text(artist.get("name"))
    return None if name is None else Credit(id=_text(artist.get("id")), name=name)


def _release(data: dict[str, Any]) -> Release | None:
    key = _text(data.get("id"))
    if key is None:
        return None
    return Release(
        id=key,
        title=_text(data.get("title")),
        date=_date(data.get("date")),
        country=_text(data.get("country")),
        status=_text(data.get("status")),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in _list(value) if isinstance(each, dict)]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _date(value: Any) -> str | None:
    return value if isinstance(value, str) and _DATE.fullmatch(value) else None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
