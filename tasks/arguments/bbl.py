"""BBL: the number of a tax lot, split and joined here and nowhere else.

Ten digits: borough (1), block (5), lot (4). The City's data sets spell the same lot as
``1012650001``, as a number ``1012650001.00000000``, or in columns of their own, padded to five
digits, to four, or not at all. Reading one spelling only reads as "no violations".

Docs     https://www.nyc.gov/site/finance/property/property-borough-block-and-lot.page
Read on  2026-11-21
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any

from tasks.arguments import Parsed

__all__ = ["BBL", "BOROUGHS", "BBLText"]

BOROUGHS = ("MANHATTAN", "BRONX", "BROOKLYN", "QUEENS", "STATEN ISLAND")
EXAMPLE = 'for example "1012650001": borough 1 to 5, block of 5 digits, lot of 4'

_NUMBERS = {spelling: n for n, name in enumerate(BOROUGHS, 1) for spelling in (name, str(n))}
_DASHED = re.compile(r"([0-9])-([0-9]{1,5})-([0-9]{1,4})")
_COLUMN = re.compile(r"([1-5])([0-9]{5})([0-9]{4})(?:\.0+)?")
_WHOLE = re.compile(r"0*([0-9]{1,5})(?:\.0+)?")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BBL:
    """One tax lot. ``str()`` gives its ten digits."""

    borough: int
    block: int
    lot: int

    def __str__(self) -> str:
        """Ten digits, as callers and most data sets write it."""
        return f"{self.borough}{self.block:05d}{self.lot:04d}"

    @classmethod
    def parse(cls, value: object) -> BBL:
        """The lot that a caller means by ``"1012650001"``, ``1012650001`` or ``"1-01265-0001"``.

        Raises:
            ValueError: says what a BBL is and shows one, without the value.
        """
        if isinstance(value, cls):
            return value
        spelled = isinstance(value, int | str) and not isinstance(value, bool)
        digits = _DASHED.sub(_undashed, str(value).strip()) if spelled else ""
        if not (digits.isascii() and digits.isdigit()):
            raise ValueError(f"takes 10 digits as text or as a whole number, {EXAMPLE}")
        if len(digits) != len("1012650001"):
            raise ValueError(f"takes 10 digits, not {len(digits)}, {EXAMPLE}")
        if not 1 <= int(digits[0]) <= len(BOROUGHS):
            raise ValueError(f"begins with a borough from 1 to 5 (1 is Manhattan), {EXAMPLE}")
        if not int(digits[1:6]):
            raise ValueError(f"has a block from 00001 to 99999, {EXAMPLE}")
        return cls._of(digits[0], digits[1:6], digits[6:])

    @classmethod
    def from_column(cls, value: object) -> BBL | None:
        """The lot in a ``bbl`` column, text or number; None when the column holds something else."""
        match = _COLUMN.fullmatch(str(value).strip())
        return cls._of(*match.groups()) if match and int(match[2]) else None

    @classmethod
    def from_columns(cls, borough: object, block: object, lot: object) -> BBL | None:
        """The lot in three columns of any padding, borough as name or number; None for garbage."""
        number = _NUMBERS.get(str(borough).strip().upper())
        numbers = [_WHOLE.fullmatch(str(value).strip()) for value in (block, lot)]
        if number is None or not all(numbers):
            return None
        made = cls._of(number, *(match[1] for match in numbers if match))
        return made if made.block and len(str(made.lot)) <= len("0001") else None

    @property
    def borough_name(self) -> str:
        """As the permits spell it."""
        return BOROUGHS[self.borough - 1]

    @property
    def blocks(self) -> tuple[str, ...]:
        """The block in every padding, five digits first."""
        return tuple(f"{self.block:0{width}d}" for width in range(5, len(str(self.block)) - 1, -1))

    @property
    def lot_in_full(self) -> str:
        """The lot in five digits, the widest that any data set pads it to."""
        return f"{self.lot:05d}"

    @classmethod
    def _of(cls, borough: str | int, block: str | int, lot: str | int) -> BBL:
        return cls(borough=int(borough), block=int(block), lot=int(lot))


def _undashed(match: re.Match[str]) -> str:
    return f"{match[1]}{match[2]:0>5}{match[3]:0>4}"


def _text(value: Any) -> str:
    return str(BBL.parse(value))


BBLText = Annotated[str, Parsed(_text)]
"""A task's argument: any spelling that :meth:`BBL.parse` takes; ten digits on the wire."""
