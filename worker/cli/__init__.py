"""The ``narrows`` command, for the people who run it."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Do what the command line says and exit with its code; see :mod:`worker.cli.root` for what they mean."""
    from config.logging import setup_logging
    from worker.cli.root import run

    setup_logging("ERROR")
    sys.exit(run(sys.argv[1:]))
