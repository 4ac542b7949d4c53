"""``python -m tests.chaos.summary``: all storms in one table; 1 if any lost or doubled a call, or is missing.

The storms leave their tallies in ``build/chaos``, ``make chaos`` empties that first and calls this last.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from pathlib import Path

from tests.chaos.talk import say
from tests.chaos.tally import FOLDER, STORMS, Tally, kept, together

__all__ = ["ALL", "main", "missed", "table"]

ALL = (*STORMS, "fault points", "sentinel")
"""What ``make chaos`` holds; with CHAOS=short only the first four."""

TOGETHER = "together"

_ROWS: Mapping[str, str] = {
    "faults": "faults injected",
    "calls": "calls made",
    "once": "ended once",
    "lost": "lost",
    "doubled": "doubled",
    "doubt": "in doubt, for a person",
    "recovery": "longest recovery, s",
}


def main(arguments: Collection[str] | None = None, folder: Path = FOLDER) -> int:
    """Print the table of what was kept; the process's exit code."""
    given = argparse.ArgumentParser(prog="python -m tests.chaos.summary", description=__doc__)
    given.add_argument("--short", action="store_true", help="only what CHAOS=short runs must be there")
    short = given.parse_args(None if arguments is None else list(arguments)).short
    storms = by_storm(kept(folder))
    say("", table(storms))
    wrong = missed(storms, STORMS if short else ALL)
    say(*(f"broken: {each}" for each in wrong))
    return 1 if wrong else 0


def by_storm(tallies: Iterable[Tally]) -> list[Tally]:
    """One of each storm, in the order in which they are held; parts are added up."""
    order = {name: number for number, name in enumerate(ALL)}
    found = sorted(tallies, key=lambda each: (order.get(each.storm, len(ALL)), each.storm))
    return [together(name, parts) for name, parts in groupby(found, key=lambda each: each.storm)]


def missed(storms: Iterable[Tally], wanted: Iterable[str]) -> list[str]:
    """What must not be, in words."""
    found = {each.storm: each for each in storms}
    missing = [f"the storm {name} left no tally" for name in wanted if name not in found]
    return missing + [f"the storm {each.storm}: {why(each)}" for each in found.values() if not each.well]


def why(tally: Tally) -> str:
    """What is wrong with one that is not well."""
    counts = {"lost": tally.lost, "doubled": tally.doubled, "without one end": tally.calls - tally.once}
    told = [f"{count:,} of {tally.calls:,} calls {what}" for what, count in counts.items() if count]
    return ", ".join(told) or ("no calls were made" if not tally.calls else "see what it said was broken")


def table(storms: Iterable[Tally]) -> str:
    """Each storm in a column, all of them in the last; then each fault by its kind, and what recovery is."""
    own = list(storms)
    columns = [*own, together(TOGETHER, own)]
    kinds = dict.fromkeys(kind for each in own for kind in each.faults)
    lines = [
        _line("", [each.storm for each in columns]),
        *(_line(title, [_shown(each, name) for each in columns]) for name, title in _ROWS.items()),
        "the faults:",
        *(_line(f"  {kind}", [_count(each.faults.get(kind)) for each in columns]) for kind in kinds),
        "recovery is:",
        *(f"  {each.storm:13}{each.since}" for each in own if each.since),
    ]
    return "\n".join(lines)


def _line(title: str, cells: Iterable[str]) -> str:
    return f"{title:29}" + "".join(f"{cell:>13}" for cell in cells)


def _shown(tally: Tally, name: str) -> str:
    if name == "faults":
        return _count(sum(tally.faults.values()))
    if name == "recovery":
        return "-" if tally.recovery is None else f"{tally.recovery:.1f}"
    return _count(getattr(tally, name))


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


if __name__ == "__main__":
    sys.exit(main())
