"""A response's body: read against a limit, then parsed strictly as JSON."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

__all__ = ["BodyTooLarge", "parsed", "read_body"]

STEP = 64 * 1024
"""Bytes decompressed at a time: all that a compressed bomb may hold beyond the limit."""


_CHARSET = re.compile(r"""charset\s*=\s*["']?([\w.:+-]+)""", re.ASCII | re.IGNORECASE)
"""By hand, since :mod:`email` trips over parameters that are written in parts."""


class BodyTooLarge(Exception):
    """The body is longer than the provider's ``max_body``."""


def read_body(response: BaseHTTPResponse, limit: int) -> bytes:
    """The whole body, decompressed.

    Raises:
        BodyTooLarge: It has more than *limit* bytes after decompression, or says so beforehand.
    """
    if (getattr(response, "length_remaining", None) or 0) > limit:
        raise BodyTooLarge
    chunks: list[bytes] = []
    size = 0
    while True:
        chunk = response.read(STEP)  # urllib3 returns less only at the end of the body
        size += len(chunk)
        if size > limit:
            raise BodyTooLarge
        chunks.append(chunk)
        if len(chunk) < STEP:
            return b"".join(chunks) if len(chunks) > 1 else chunk


def parsed(body: bytes, content_type: str) -> Any:
    """The JSON value of *body*.

    Bytes that are not in the charset they claim are refused: half-read names are worse than none.
    So are ``NaN`` and ``Infinity``, which are not JSON (RFC 8259, 6), and numbers like 1e999, which would
    become that where they are written again.

    Raises:
        ValueError: It is not JSON, or not in its charset.
    """
    try:
        return _DECODER.decode(body.decode(_charset(content_type)))
    except (LookupError, RecursionError):
        raise ValueError("unreadable") from None


def _charset(content_type: str) -> str:
    named = _CHARSET.search(content_type)
    charset = named[1].lower() if named else "utf-8"
    return "utf-8-sig" if charset in {"utf-8", "utf8"} else charset  # some servers put a mark before it


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError("infinite")
    return number


_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
