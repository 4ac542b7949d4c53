"""What is wrong after a storm over calls that run; ``findings.py`` says it of calls that wait."""

from __future__ import annotations

from tests.chaos.plan import Running
from tests.chaos.report import Outcome

__all__ = ["wrong"]

TAKEN_WITHIN = 45.0
"""Seconds in which a lost worker's call runs again, on a machine that runs what it is given: for as long as
Celery alone, which takes nothing back, was silent too, nobody ran."""


def wrong(plan: Running, ours: Outcome, theirs: Outcome, left: int) -> dict[str, float]:
    """What should have been 0: every call of ours was taken and ended once, and soon."""
    promised = TAKEN_WITHIN + theirs.silence
    return {
        "calls were not taken": plan.calls - ours.calls,
        "calls were lost": ours.lost,
        "calls ended twice": ours.ended_twice,
        "records are left": left,
        f"seconds to recover, and {promised:.0f} promised": round(ours.silence * (ours.silence > promised)),
    }
