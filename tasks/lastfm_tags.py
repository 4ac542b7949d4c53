"""Last.fm's tags as they come: a list, one alone, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.errors import ResponseUnreadable

__all__ = ["Tag", "tags"]

LONGEST_COUNT = 9
"""Digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """A word that listeners gave a track.

    Attributes:
        count: How often, beside the most frequent one, which has 100; None when it is not said.
        url: Its page.
    """

    name: str
    count: int | None
    url: str | None


def tags(data: Any) -> list[Tag]:
    """The tags in a body: a list of them, one alone, or none.

    Raises:
        ResponseUnreadable: It does not speak of tags, or one has no name.
    """
    top = data.get("toptags") if isinstance(data, dict) else None
    if not isinstance(top, dict) or not top.keys() & {"tag", "#text", "@attr"}:
        raise ResponseUnreadable("lastfm: the answer does not speak of tags")
    tagged = top.get("tag") or []
    return [_tag(each) for each in (tagged if isinstance(tagged, list) else [tagged])]


def _tag(data: Any) -> Tag:
    name, count, url = (data.get(key) if isinstance(data, dict) else None for key in ("name", "count", "url"))
    if not isinstance(name, str) or not name:
        raise ResponseUnreadable("lastfm: a tag has no name")
    return Tag(name=name, count=_count(count), url=url if isinstance(url, str) else None)


def _count(value: Any) -> int | None:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= LONGEST_COUNT else None
