"""A provider's own name for what it was given, as an answer, a caller or a person tells it."""

from __future__ import annotations

__all__ = ["LONGEST", "external_id"]

LONGEST = 255


def external_id(value: object) -> str | None:
    """*value* as such a name, without the space around it; None when it can be none.

    One rule for all who tell it, so that whatever was taken as a name can be asked about: a printable text
    with a letter or a digit in it, which ``.`` and ``..`` are without, that would lead a path elsewhere.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value).strip()
    fits = len(text) <= LONGEST and text.isprintable() and any(map(str.isalnum, text))
    return text if fits else None
