"""A part that must never stand still is missed when it does."""

from __future__ import annotations

import pytest

from tests.clock import Clock
from worker.doctor.pulse import Pulse


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def pulse(clock: Clock) -> Pulse:
    """Nobody is waited for yet; who is, for a minute."""
    return Pulse(60.0, clock=clock)


def test_nobody_is_missed_before_their_first_word(pulse: Pulse, clock: Clock) -> None:
    """A worker that only starts is not dead."""
    clock.now += 10_000

    assert pulse.silent() == []


def test_who_is_overdue_by_more_than_the_patience_is_silent(pulse: Pulse, clock: Clock) -> None:
    """Counted from when they said that they would be heard again."""
    pulse.hear("slow", again=100.0)
    pulse.hear("quick", again=1.0)

    clock.now += 62.0
    assert pulse.silent() == ["quick"]
    clock.now += 98.1
    assert pulse.silent() == ["quick", "slow"]
    pulse.hear("quick")
    assert pulse.silent() == ["slow"]


def test_a_long_turn_is_no_silence_while_it_goes_on(pulse: Pulse, clock: Clock) -> None:
    """A hundred messages to a broker that is away take longer than a minute."""
    pulse.hear("releaser", again=0.5)
    for _ in range(10):
        clock.now += 50.0
        pulse.busy("releaser")

    assert pulse.silent() == []
    clock.now += 61.0
    assert pulse.silent() == ["releaser"]


def test_who_ends_in_order_is_not_missed_and_not_called_back_by_being_busy(
    pulse: Pulse, clock: Clock
) -> None:
    """A consumer without a broker, or a worker that was asked to end."""
    pulse.hear("consumer")
    pulse.forget("consumer")
    pulse.busy("consumer")
    clock.now += 10_000

    assert pulse.silent() == []


def test_what_seems_to_hang_is_silent_when_that_lasts(pulse: Pulse, clock: Clock) -> None:
    """Said again and again it is as long ago as the first time; one that comes back begins anew."""
    for _ in range(2):
        for _ in range(7):
            pulse.miss("slots")
            assert pulse.silent() == []
            clock.now += 10.0
        assert pulse.silent() == ["slots"]
        pulse.forget("slots")
        assert pulse.silent() == []
