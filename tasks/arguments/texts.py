"""Texts that people read, as arguments: they can be encoded, and are neither empty nor endless."""

from __future__ import annotations

import json
from typing import Any

from tasks.arguments import Parsed

__all__ = ["json_object", "one_line", "some_text"]


def some_text(longest: int, *, example: str) -> Parsed:
    """Takes a text of 1 to *longest* characters, not all of them spaces."""
    wanted = f"takes a text of 1 to {longest} characters, for example '{example}'"

    def parse(value: Any) -> str:
        if not isinstance(value, str) or not value.strip() or len(value) > longest or not _is_unicode(value):
            raise ValueError(wanted)
        return value

    return Parsed(parse)


def one_line(longest: int, *, example: str) -> Parsed:
    """Takes the same without a line break or another control character, as headers are."""
    wanted = f"takes one line of 1 to {longest} characters, for example '{example}'"

    def parse(value: Any) -> str:
        text = value.strip() if isinstance(value, str) else ""
        # str.splitlines knows more breaks than CR and LF, and so do mail programs.
        if not 0 < len(text) <= longest or len(text.splitlines()) > 1 or any(map(_is_control, text)):
            raise ValueError(wanted)
        return text

    return Parsed(parse)


def json_object(most: int, *, example: str) -> Parsed:
    """Takes a dictionary of JSON values that is written in *most* characters at most."""
    wanted = f"takes an object of JSON values, {most} characters at most, for example {example}"

    def parse(value: Any) -> dict[str, Any]:
        try:
            text = json.dumps(value, allow_nan=False, ensure_ascii=False)
            fits = isinstance(value, dict) and len(text) <= most and _is_unicode(text)
        except (TypeError, ValueError, RecursionError):
            fits = False
        if not fits or not isinstance(value, dict):
            raise ValueError(wanted)
        return value

    return Parsed(parse)


def _is_control(letter: str) -> bool:
    """Whether it is a control character, or half of a pair, which no encoding has."""
    return letter < " " or "\x7f" <= letter <= "\x9f" or "\ud800" <= letter <= "\udfff"


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
