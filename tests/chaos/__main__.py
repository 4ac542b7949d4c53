"""``python -m tests.chaos``: is anything lost or doubled when everything is killed? Exits with 1 if so.

Two storms: one over calls that run (``running.py``) and one over calls that wait (``waiting.py``). A ledger
outside of Redis tells what became of each call.
"""

from __future__ import annotations

import argparse
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos import running, waiting
from tests.chaos.plan import RUNNING, WAITING

STORMS = ("running", "waiting")


def main() -> int:
    """Run them as the command line says; the process's exit code."""
    given = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    given.add_argument("storm", nargs="?", choices=STORMS, help="only one of the two")
    given.add_argument("--short", action="store_true", help="a tenth of it, in little more than a minute")
    chosen = given.parse_args()
    size = "short" if chosen.short else "full"
    logging.getLogger("narrows").setLevel(logging.CRITICAL)  # the supervisor's view of what we do here
    folder = Path(tempfile.mkdtemp(prefix="narrows-chaos-"))
    try:
        held = [storm(name, size, folder) for name in STORMS if chosen.storm in {None, name}]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(held) else 1


def storm(name: str, size: str, folder: Path) -> bool:
    """Whether everything held in the storm of that name."""
    return running.run(RUNNING[size], folder) if name == "running" else waiting.run(WAITING[size], folder)


if __name__ == "__main__":
    sys.exit(main())
