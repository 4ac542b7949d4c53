"""What a storm says on standard output."""

from __future__ import annotations

import sys
from collections.abc import Mapping

__all__ = ["broken", "say"]


def say(*lines: str) -> None:
    """Each on a line of its own, at once."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def broken(wrong: Mapping[str, float]) -> bool:
    """Whether any of *wrong* is not 0; those are said."""
    found = {what: count for what, count in wrong.items() if count}
    say(*(f"broken: {count:g} {what}" for what, count in found.items()))
    return bool(found)
