"""How much was held against what owners published, counted by provider and printed at the end of a run.

The counts travel in the tests' own reports, so that they add up over several processes (pytest-xdist).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pytest

__all__ = ["Tally", "pytest_terminal_summary"]

COLUMNS = {
    "validated": "requests validated",
    "played": "sandbox answers validated",
    "parsed": "recorded answers parsed",
}
MARK = "contract"


class Tally:
    """What one test has held against a provider's contract; it counts only when the test passes."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties

    def validated(self, provider: str, count: int = 1) -> None:
        """*count* requests of ours are such as the owner documents."""
        self._add("validated", provider, count)

    def played(self, provider: str, count: int = 1) -> None:
        """*count* answers of the sandbox are such as the owner documents, or has sent."""
        self._add("played", provider, count)

    def parsed(self, provider: str, count: int = 1) -> None:
        """*count* answers of the owner became a result, or the right error."""
        self._add("parsed", provider, count)

    def _add(self, column: str, provider: str, count: int) -> None:
        self._properties.append((f"{MARK}:{column}:{provider}", count))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was counted, if anything was."""
    counts: Counter[tuple[str, str]] = Counter()
    for report in terminalreporter.stats.get("passed", ()):
        for name, count in report.user_properties:
            mark, _, rest = str(name).partition(":")
            if mark == MARK:
                column, _, provider = rest.partition(":")
                counts[provider, column] += count
    if counts:
        terminalreporter.section("contracts")
        for line in _table(counts):
            terminalreporter.write_line(line)


def _table(counts: Counter[tuple[str, str]]) -> Iterable[str]:
    """A line for each provider, and their sum."""
    providers = sorted({provider for provider, _ in counts})
    width = max(map(len, [*providers, "together"]))
    yield "  ".join([" " * width, *COLUMNS.values()])
    rows = {each: [counts[each, column] for column in COLUMNS] for each in providers}
    rows["together"] = [sum(row[n] for row in rows.values()) for n in range(len(COLUMNS))]
    for name, row in rows.items():
        cells = [f"{count:>{len(head)}}" for head, count in zip(COLUMNS.values(), row, strict=True)]
        yield "  ".join([f"{name:<{width}}", *cells])
