"""Private things that are looked for wherever they should not be."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from functools import cache
from urllib.parse import quote, quote_plus

__all__ = ["CANARIES", "OWN_KEY", "PERSON", "forms", "hits", "leaked"]

PERSON = {
    "name": "canaryname7d41",
    "phone": "2125550147901",
    "email": "canarymail7d41@example.org",
    "street": "77 Canarystreet7d41",
    "key": "canarykey7d41",
}
OWN_KEY = "canarycredential7d41"
"""With which the provider knows us."""

CANARIES = ("canaryname7d41", "2125550147901", "canarymail7d41", "Canarystreet7d41", "canarykey7d41", OWN_KEY)

_SHORTEST = 10
"""Characters below which a form may stand somewhere by chance."""


@cache
def forms(canary: str) -> tuple[str, ...]:
    """The canary as it stands, escaped, in hexadecimal, and in base64 in any of its places; in small letters.

    Of a telephone number also its digits, with and without the country's, and as people write it.
    """
    plain = {canary, *_dialled(canary)}
    escaped = {each(canary) for each in (quote, quote_plus, html.escape, _in_json, _in_python)}
    inside = {_in_base64(canary.encode(), shift) for shift in range(3)}
    encoded = {
        quote(canary, safe=""),
        canary.encode().hex(),
        *inside,
        *(each.translate(_URL_SAFE) for each in inside),
    }
    return tuple(sorted({each.lower() for each in plain | escaped | encoded if len(each) >= _SHORTEST}))


_URL_SAFE = str.maketrans("+/", "-_")


def _in_base64(raw: bytes, shift: int) -> str:
    """The characters that are its own, whatever stands *shift* bytes before it, and after it."""
    whole = base64.b64encode(bytes(shift) + raw + bytes(3)).decode()
    return whole[-(-shift * 4 // 3) : (shift + len(raw)) * 4 // 3]


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _in_python(text: str) -> str:
    return repr(text.encode())[2:-1]


def _dialled(text: str) -> Iterable[str]:
    if not re.fullmatch(r"\+1\d{10}", text):
        return ()
    area, exchange, line = text[2:5], text[5:8], text[8:]
    return (text[1:], text[2:], f"{area}-{exchange}-{line}", f"({area}) {exchange}-{line}")


def hits(text: str | bytes, canaries: Iterable[str] = CANARIES) -> list[str]:
    """What of *canaries* stands in *text*, in any form and any case of its letters, and around where."""
    seen = (text if isinstance(text, str) else text.decode("utf-8", "replace")).lower()
    found = []
    for canary in canaries:
        places = ((seen.find(form), len(form)) for form in forms(canary))
        at, size = next((place for place in places if place[0] >= 0), (-1, 0))
        if size:
            found.append(f"{canary}: {seen[max(0, at - 120) : at + size + 40]!r}")
    return found


def leaked(text: str | bytes) -> list[str]:
    """What of the person's private things stands in *text*, and around where."""
    return hits(text)
