"""What the sandbox's MusicBrainz knows: one recording as it was recorded, the others made up.

Codes of the made-up ones start with ``QZNRW``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["ISRCS", "RECORDINGS", "UNKNOWN_ISRC"]

Document = dict[str, Any]

UNKNOWN_ISRC = "QZNRW2600404"
WORLD = {"country": "XW", "status": "Official"}


def _artist(number: int, name: str, joinphrase: str = "") -> Document:
    person = {"id": _id("a", number), "name": name, "sort-name": name, "disambiguation": ""}
    return {"name": name, "joinphrase": joinphrase, "artist": person}


def _release(number: int, title: str, date: str | None, **more: str) -> Document:
    """A release; one whose date is not known has none."""
    dated = {} if date is None else {"date": date}
    return {"id": _id("b", number), "title": title, **WORLD, **dated, **more}


def _id(kind: str, number: int) -> str:
    return f"{kind}0000000-0000-4000-8000-{number:012d}"


FERRY, PILOT = _artist(1, "The Ferry Slips"), _artist(2, "Pilot & Tide")

_ALL: tuple[Document, ...] = (
    {
        "id": "bf7845cc-eac3-48a3-8b06-543b4b7ba117",
        "title": "Hey Boy Hey Girl",
        "length": 289946,
        "video": False,
        "disambiguation": "",
        "first-release-date": "1999-06-21",
        "artist-credit": [_artist(3, "The Chemical Brothers")],
        "releases": [_release(1, "Surrender", "1999-06-21", country="GB")],
    },
    {  # the film of the next one, under its code by mistake, and listed first
        "id": _id("c", 1),
        "title": "Slack Water",
        "length": 201000,
        "video": True,
        "disambiguation": "official video",
        "first-release-date": "2001",
        "artist-credit": [FERRY],
        "releases": [_release(number, f"Films {number}", "2001") for number in range(2, 6)],
    },
    {
        "id": _id("c", 2),
        "title": "Slack Water",
        "length": None,
        "video": False,
        "disambiguation": "",
        "first-release-date": "2001",
        "artist-credit": [_artist(1, "The Ferry Slips", " feat. "), PILOT],
        "releases": [
            _release(6, "Upper Bay", "2001"),
            _release(7, "Upper Bay", "2002-03"),
            _release(8, "Slips of the Nineties (live)", None),
        ],
    },
    {
        "id": _id("c", 3),
        "title": "Slack Water (2019 remaster)",
        "length": 200500,
        "video": None,
        "disambiguation": "remaster",
        "first-release-date": "2019-05-03",
        "artist-credit": [FERRY],
        "releases": [_release(9, "Upper Bay (2019)", "2019-05-03")],
    },
    {
        "id": _id("c", 4),
        "title": 'What? (AC/DC + "You" && Me) [1:2] {^~*} \\ !',
        "length": 61000,
        "video": None,
        "artist-credit": [_artist(4, "!!!")],
        "releases": [],
    },
)
RECORDINGS: Mapping[str, Document] = {each["id"]: each for each in _ALL}
ISRCS: Mapping[str, tuple[str, ...]] = {
    "GBAAA9900303": ("bf7845cc-eac3-48a3-8b06-543b4b7ba117",),
    "QZNRW2600001": (_id("c", 1), _id("c", 3), _id("c", 2)),
    "QZNRW2600002": (_id("c", 4),),
}
