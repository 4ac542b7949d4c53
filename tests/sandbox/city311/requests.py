"""Service requests as a city files them, and how each interface shows one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Filed", "Files"]

WORDS = {"open": "Open", "in_progress": "In Progress", "closed": "Closed", "cancelled": "Cancelled"}
CODES = {
    "cancelled": "614110000",
    "open": "614110001",
    "in_progress": "614110002",
    "closed": "614110003",
}


@dataclass(slots=True, kw_only=True)
class Filed:
    """One request. ``looks`` is how often it was asked for before it can be found."""

    number: str
    mark: str
    agency: str
    status: str = "open"
    correlation: str = ""
    looks: int = 0
    updated: int = 0

    def as_handbook(self) -> dict[str, Any]:
        """As the handbook's interface shows it."""
        shown = {
            "trackingNumber": self.number,
            "status": WORDS[self.status],
            "agency": self.agency,
            "updatedAt": f"2026-11-21T09:00:{self.updated % 60:02d}-05:00",
        }
        return {**shown, "correlationId": self.correlation} if self.correlation else shown

    def as_public(self) -> dict[str, Any]:
        """As the public API shows it: statuses are numbers, and what was not touched has no such date."""
        shown: dict[str, Any] = {
            "SRNumber": self.number,
            "Agency": self.agency,
            "Problem": "Unsanitary Condition",
            "ProblemDetails": "Garbage/Recycling Storage",
            "AdditionalDetails": "N/A",
            "Status": CODES[self.status],
            "DateTimeSubmitted": "2026-11-21T09:00:00",
            "Address": {"Borough": "MANHATTAN", "FullAddress": "1 CENTRE STREET, MANHATTAN, NY, 10007"},
        }
        if self.updated:
            shown["ResolutionActionUpdatedDate"] = f"2026-11-21T10:00:{self.updated % 60:02d}"
        return shown


@dataclass(slots=True, kw_only=True)
class Files:
    """All requests of one city.

    Attributes:
        arrivals: How many creates arrived and were taken, by mark: two for one mark are a double submission.
        lag: How often a new one is asked for in vain.
    """

    lag: int = 0
    filed: dict[str, Filed] = field(default_factory=dict)
    arrivals: Counter[str] = field(default_factory=Counter)
    known_keys: dict[str, str] = field(default_factory=dict)

    def file(self, mark: str, agency: str, *, correlation: str = "", key: str = "") -> Filed:
        """A new request; the first one again for a *key* that was seen."""
        if key in self.known_keys:
            return self.filed[self.known_keys[key]]
        self.arrivals[mark] += 1
        number = f"311-{10_000_000 + len(self.filed):08d}"
        made = Filed(number=number, mark=mark, agency=agency, correlation=correlation, looks=self.lag)
        self.filed[number] = made
        if key:
            self.known_keys[key] = number
        return made

    def found(self, number: str) -> Filed | None:
        """The request of that number, once it can be found."""
        one = self.filed.get(number)
        if one is not None and one.looks > 0:
            one.looks -= 1
            return None
        return one

    def correlated(self, correlation: str) -> Iterator[Filed]:
        """Those that came with that id of the caller's."""
        return (one for one in self.filed.values() if one.correlation == correlation)

    def move(self, number: str, status: str) -> None:
        """Let the city have gone on with it; ValueError for a status or number that there is not."""
        if status not in WORDS or number not in self.filed:
            raise ValueError(f"no such status or number; statuses are {', '.join(WORDS)}")
        self.filed[number].status = status
        self.filed[number].updated += 1
