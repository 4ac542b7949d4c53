"""What is wrong after a storm over calls that run."""

from __future__ import annotations

from dataclasses import replace

from tests.chaos.plan import Running
from tests.chaos.report import Outcome
from tests.chaos.verdict import wrong

HELD = Outcome(
    name="either",
    calls=3000,
    refused=5,
    ended_once=3000,
    lost=0,
    held=0,
    ended_twice=0,
    made_again=143,
    dead_letters=0,
    silence=33.0,
    longest=60.0,
    restarts=50,
)
THEIRS = replace(HELD, lost=250, ended_twice=20, silence=2.0)


def told(ours: Outcome, *, theirs: Outcome = THEIRS, left: int = 0) -> dict[str, float]:
    """What is not 0."""
    return {what: count for what, count in wrong(Running(), ours, theirs, left).items() if count}


def test_what_celery_alone_loses_is_not_ours() -> None:
    """Each call of ours ended once; one that was made again is no loss."""
    assert told(HELD) == {}


def test_each_kind_of_loss_is_told() -> None:
    """By its own words."""
    assert told(replace(HELD, calls=2998)) == {"calls were not taken": 2}
    assert told(replace(HELD, lost=3)) == {"calls were lost": 3}
    assert told(replace(HELD, ended_twice=4)) == {"calls ended twice": 4}
    assert told(HELD, left=5) == {"records are left": 5}


def test_a_recovery_may_take_as_long_as_the_lease_and_as_the_machine_stood_still() -> None:
    """Which shows in the silence of Celery alone, since that takes nothing back."""
    late = replace(HELD, silence=52.0)

    assert told(late) == {"seconds to recover, and 47 promised": 52}
    assert told(late, theirs=replace(THEIRS, silence=8.0)) == {}
