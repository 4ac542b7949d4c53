"""Arguments of tasks: annotations that parse and check a value where the task is called.

A refusal names what the argument takes and shows a right value; it never repeats the wrong one.
pydantic loads with the first call and not with the import, which a producer pays for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

__all__ = ["IsoDate", "Parsed", "iso_date", "several", "some_of", "whole_number"]

EARLIEST, LATEST = date(2000, 1, 1), date(2099, 12, 31)


@dataclass(frozen=True, slots=True)
class Parsed:
    """Marks an ``Annotated`` type whose values go through *parse* first; a ValueError refuses them."""

    parse: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The type's own schema, with *parse* before it."""
        from pydantic_core import core_schema

        return core_schema.no_info_before_validator_function(self.parse, handler(source))


def whole_number(lowest: int, highest: int, *, example: int) -> Parsed:
    """Takes an int from *lowest* to *highest*. True is not a number here."""
    wanted = f"takes a whole number from {lowest} to {highest}, for example {example}"

    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
            raise ValueError(wanted)
        return value

    return Parsed(parse)


def iso_date(value: Any) -> str | None:
    """The day as ``YYYY-MM-DD``, from such a string or a date; None stays None."""
    if value is None:
        return None
    wanted = f'takes a day as YYYY-MM-DD, for example "2026-01-31", from {EARLIEST} to {LATEST}'
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    try:
        day = date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(wanted) from None
    # fromisoformat also reads 20260131 and 2026-W05-6; one spelling is enough for a fingerprint.
    if day.isoformat() != value or not EARLIEST <= day <= LATEST:
        raise ValueError(wanted)
    return day.isoformat()


IsoDate = Annotated[str | None, Parsed(iso_date)]


def some_of(names: Sequence[str]) -> Parsed:
    """Takes a list of some of *names*; a name given twice counts once."""
    wanted = "takes a list of " + ", ".join(names)

    def known(name: Any) -> str:
        if isinstance(name, str) and name in names:
            return name
        near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.3)
        raise ValueError(f"{wanted}; for one of those given, did you mean {near[0]}?" if near else wanted)

    def parse(value: Any) -> tuple[str, ...]:
        if not isinstance(value, list | tuple | set | frozenset) or not value:
            raise ValueError(f'{wanted}, for example ["{names[0]}"]')
        return tuple(dict.fromkeys(known(name) for name in value))

    return Parsed(parse)


def several(most: int, *, example: str) -> Parsed:
    """Takes a list of 1 to *most* values; what each may be is the item type's business."""
    wanted = f'takes a list of 1 to {most} values, for example ["{example}"]'

    def parse(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple | set | frozenset) or not 1 <= len(value) <= most:
            raise ValueError(wanted)
        return list(value)

    return Parsed(parse)
