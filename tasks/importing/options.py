"""What a deployment chooses about imports: ``NARROWS_PROVIDERS__NYC_OPEN_DATA__OPTIONS__…``."""

from __future__ import annotations

from worker.provider import Option

__all__ = ["OPTIONS"]

MOST_ROWS = 20_000
"""Rows of a page: more of them, of any width, are more than one answer may hold."""


def overlap(text: str) -> float:
    """Seconds, none or more."""
    seconds = float(text)
    if not 0 <= seconds <= 31 * 86_400:
        raise ValueError("takes seconds from 0 to 2678400, for example 3600")
    return seconds


def rows(text: str) -> int:
    """Rows, one at least."""
    number = int(text)
    if not 1 <= number <= MOST_ROWS:
        raise ValueError(f"takes a number from 1 to {MOST_ROWS}, for example 10000")
    return number


def kept_in(text: str) -> str:
    """*text* itself, when watermarks can be kept there."""
    if text not in {"redis", "storage"}:
        raise ValueError("takes redis or storage")
    return text


OPTIONS = {
    "import_overlap": Option(
        about="seconds that an import goes back behind its watermark", default=3600.0, parse=overlap
    ),
    "import_rows": Option(about="rows of an import's page and file", default=10_000, parse=rows),
    "watermarks": Option(about="where imports keep theirs, redis or storage", default="redis", parse=kept_in),
}
