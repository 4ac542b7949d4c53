"""``python -m tests.chaos``: is anything lost or doubled when everything is killed? Exits with 1 if so.

Four storms: over calls that run (``running.py``), calls that wait (``waiting.py``), submissions
(``submitting.py``) and dead letters that are replayed (``replaying.py``).
What tells what became of each is outside of Redis.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos import replaying, running, submitting, waiting
from tests.chaos.plan import RUNNING, SUBMITTING, WAITING

STORMS = ("running", "waiting", "submitting", "replaying")


def main() -> int:
    """Run them as the command line says; the process's exit code."""
    given = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    given.add_argument("storm", nargs="?", choices=STORMS, help="only one of them")
    given.add_argument("--chance", type=int, help="the number that a storm over submissions said")
    given.add_argument("--short", action="store_true", help="a part of it, in two minutes")
    chosen = given.parse_args()
    size = "short" if chosen.short else "full"
    logging.getLogger("narrows").setLevel(logging.CRITICAL)  # the supervisor's view of what we do here
    folder = Path(tempfile.mkdtemp(prefix="narrows-chaos-"))
    try:
        held = [storm(name, size, folder, chosen.chance) for name in STORMS if chosen.storm in {None, name}]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(held) else 1


def storm(name: str, size: str, folder: Path, chance: int | None) -> bool:
    """Whether everything held in the storm of that name."""
    if name == "running":
        return running.run(RUNNING[size], folder)
    if name == "waiting":
        return waiting.run(WAITING[size], folder)
    if name == "replaying":
        return replaying.run(replaying.REPLAYING[size], folder)
    return submitting.run(SUBMITTING[size], chance=chance)


if __name__ == "__main__":
    sys.exit(main())
