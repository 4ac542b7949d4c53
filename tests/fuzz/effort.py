"""How hard the fuzz tests try: seconds in every run, many minutes with ``FUZZ=long`` (make fuzz)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

__all__ = ["LONG", "examples", "times"]

LONG = os.environ.get("FUZZ") == "long"
FACTOR = 40


def times(usual: int) -> int:
    """*usual*, or many more."""
    return usual * FACTOR if LONG else usual


def examples(usual: int) -> settings:
    """*usual* examples, the same in every run, so that nobody's change fails for what it did not touch.

    The long run looks for new ones.
    """
    return settings(
        max_examples=times(usual),
        derandomize=not LONG,
        database=None,
        deadline=None,
        phases=list(Phase) if LONG else [Phase.explicit, Phase.generate],  # what fails, fails soon
        print_blob=LONG,
        suppress_health_check=list(HealthCheck),
    )
