"""Arguments of the tasks about music: names as people write them, and MusicBrainz's ids."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = ["Artist", "ArtistOrNone", "MBIDOrNone", "Title", "same_name"]

LONGEST = 200
"""Characters: encoded twice over, a title and an artist still fit into a request's first line."""

_MBID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNWRITABLE = frozenset({"Cc", "Cs"})
"""Control characters, and halves of characters that no server can be sent."""


def name(example: str) -> Parsed:
    """Takes a text of 1 to 200 characters; blanks at its ends and double ones inside are dropped."""
    wanted = f'takes a text of 1 to {LONGEST} characters in one line, for example "{example}"'

    def parse(value: Any) -> str:
        text = unicodedata.normalize("NFC", " ".join(value.split())) if isinstance(value, str) else ""
        if not 1 <= len(text) <= LONGEST or any(unicodedata.category(each) in _UNWRITABLE for each in text):
            raise ValueError(wanted)
        return text

    return Parsed(parse)


def mbid(value: Any) -> str | None:
    """A MusicBrainz id in lower case; None stays None."""
    if value is None:
        return None
    text = value.strip().lower() if isinstance(value, str) else ""
    if not _MBID.fullmatch(text):
        raise ValueError(
            'takes a MusicBrainz recording id, for example "bf7845cc-eac3-48a3-8b06-543b4b7ba117"'
        )
    return text


def same_name(one: str, other: str) -> bool:
    """Whether two names are one, but for capitals, accents, blanks and punctuation."""
    return _bare(one) == _bare(other)


def _bare(text: str) -> str:
    """Its letters and digits; all of it where there are none."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filter(str.isalnum, folded)) or folded


def _or_none(parsed: Parsed) -> Parsed:
    return Parsed(lambda value: None if value is None else parsed.parse(value))


Title = Annotated[str, name("Hey Boy Hey Girl")]
Artist = Annotated[str, name("The Chemical Brothers")]
ArtistOrNone = Annotated[str | None, _or_none(name("The Chemical Brothers"))]
MBIDOrNone = Annotated[str | None, Parsed(mbid)]
