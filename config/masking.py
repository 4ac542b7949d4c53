"""Text and values as they may be shown: without credentials, addresses and telephone numbers.

What a program does not know to be harmless it masks. The patterns are a second line of defence: the first
is to hand over constants, numbers and identifiers only. Every pattern is bounded, so a hostile text costs
time in proportion to its length, and a text is cut before it is searched.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from itertools import pairwise

__all__ = ["HIDDEN", "Plain", "is_secret_name", "mask_url", "masked", "plain"]

HIDDEN = "***"

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]
"""What JSON can hold."""

_LONGEST = 2000
_MOST_ITEMS = 20
_DEEPEST = 4
_MOST_BITS = 1024

_QUERY = re.compile(r"([?&][\w.\[\]$%-]{1,64}=)[^&\s'\"<>;]+")
_USERINFO = re.compile(r"([a-zA-Z][\w+.-]{0,20}://)(?:(?![;,][a-zA-Z][\w+.-]{0,20}://)[^\s'\"<>])*@")
_SCHEME = re.compile(r"(?i)\b(?:(bearer)\s+[\w.~+/=-]{6,}|(basic)\s+[\w+/=-]{16,})")
_NAMED = re.compile(
    r"(?i)((?:password|passwd|pwd|passphrase|secret|token|authorization|credentials?|cookie|appid"
    r"|(?:api|app|access|private|subscription)[_-]?key)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)[^\s\"'&,;]+"
)
_EMAIL = re.compile(r"[\w.+'-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63})+")
_PHONE = re.compile(
    r"(?<![\w.])(?:\+\d[\d\s().-]{5,18}\d|\(\d{3}\)\s?\d{3}[-.\s]?\d{4}|\d{3}[-.\s]\d{3}[-.\s]\d{4})(?!\w)"
)
_DIGITS = re.compile(r"(?<![\w.-])\d{9,}(?![\w-])")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

_SECRET_WORDS = frozenset({
    "appid", "apikey", "authorization", "bearer", "cookie", "credential", "credentials", "passphrase",
    "passwd", "password", "pwd", "secret", "signature", "ssn", "token",
})  # fmt: skip
_KEYS_TO = frozenset({"api", "app", "access", "private", "secret", "subscription"})
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")


def masked(text: str, *, digits: bool = False) -> str:
    """*text* with what looks like a secret or a person's address replaced by ``***``.

    Args:
        text: Anything; cut at 2,000 characters.
        digits: Also hide long runs of digits. Off, because a BBL has as many as a telephone number.
    """
    text = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    if " " in text:
        text = _SCHEME.sub(r"\1\2 ***", text)
    if "=" in text or ":" in text:
        text = _QUERY.sub(r"\1***", text)
        text = _USERINFO.sub(r"\1***@", text) if "://" in text else text
        text = _NAMED.sub(r"\1***", text)
    if "@" in text or "%40" in text:
        text = _EMAIL.sub(HIDDEN, text)
    text = _PHONE.sub(HIDDEN, text)
    if digits:
        text = _DIGITS.sub(HIDDEN, text)
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def mask_url(url: str) -> str:
    """*url* without user, password, fragment and the values of its query; several may stand in a row."""
    return masked(url.partition("#")[0])


@lru_cache(maxsize=1024)
def is_secret_name(name: str) -> bool:
    """Whether a value under that name is a credential: ``api_key``, ``X-Api-Key``, ``authToken``, …."""
    words = [word.lower() for word in _WORD.findall(name[:100])]
    keys = any(first in _KEYS_TO and second == "key" for first, second in pairwise(words))
    return keys or not _SECRET_WORDS.isdisjoint(words)


def plain(value: object, *, depth: int = 0) -> Plain:
    """*value* as JSON that may be shown: texts masked, credentials hidden, unknown objects by their type."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return f"<{type(value).__name__} of {value.bit_length()} bits>"  # Python writes none of 4,300 digits
    if value is None or isinstance(value, (bool, int, float)):
        return value if not isinstance(value, float) or math.isfinite(value) else str(value)
    if isinstance(value, Mapping) and depth < _DEEPEST:
        return _mapping(value, depth + 1)
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _DEEPEST:
        return _items(value, len(value), depth + 1)
    return _simple(value)


def _mapping(value: Mapping[object, object], depth: int) -> dict[str, Plain]:
    shown: dict[str, Plain] = {}
    for name, held in value.items():
        if len(shown) == _MOST_ITEMS:
            shown["…"] = len(value)
            break
        key = masked(name, digits=True) if isinstance(name, str) else str(_simple(name))
        shown[key] = HIDDEN if is_secret_name(key) else plain(held, depth=depth)
    return shown


def _items(value: Iterable[object], size: int, depth: int) -> list[Plain]:
    shown = [plain(item, depth=depth) for item, _ in zip(value, range(_MOST_ITEMS), strict=False)]
    return [*shown, f"… {size} in all"] if size > _MOST_ITEMS else shown


def _simple(value: object) -> Plain:
    """Dates, times, paths, numbers and enumerations by their text; all else by its type."""
    from datetime import date, time, timedelta
    from decimal import Decimal
    from enum import Enum
    from pathlib import PurePath
    from uuid import UUID

    if isinstance(value, Enum):
        return value.name
    if isinstance(value, (int, date, time, timedelta, Decimal, PurePath, UUID)):
        return masked(str(value))
    return f"<{type(value).__name__}>"
