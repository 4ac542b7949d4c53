"""``python -m tests.audit [FOLDER]``: secrets in its files, and known flaws of what its locks hold.

Exit codes: 0 nothing found; 1 found something; 3 nothing found, but nobody could be asked about flaws.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.audit import flaws, leaks

ROOT = Path(__file__).resolve().parents[2]
FOUND, NOT_ASKED = 1, 3


def main() -> int:
    """The exit code; what was found goes to standard output."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT, help="of files to look through")
    parser.add_argument("--only", choices=["secrets", "flaws"], help="one of the two")
    parser.add_argument("--service", choices=flaws.SERVICES, action="append", help="to ask about flaws")
    given = parser.parse_args()
    found, unknown = False, ""
    if given.only != "flaws":
        found = _secrets(given.folder)
    if given.only != "secrets":
        locks = sorted((given.folder / "requirements").glob("*.lock"))
        answer = flaws.asked(locks, services=given.service or flaws.SERVICES)
        _say(*answer.flaws, answer.told)
        found, unknown = found or bool(answer.flaws), answer.unknown
    if unknown:
        _say("NOT ASKED: whether packages have known flaws. " + unknown)
    return FOUND if found else NOT_ASKED if unknown else 0


def _secrets(folder: Path) -> bool:
    """Whether there are any; each is told by its place, never by its value."""
    looked, places = leaks.found(folder)
    _say(*places, f"secrets: {len(places)} in {looked} files")
    return bool(places)


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines if line))


if __name__ == "__main__":
    sys.exit(main())
