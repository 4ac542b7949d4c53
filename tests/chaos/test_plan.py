"""When which blow falls."""

from __future__ import annotations

import pytest

from tests.chaos.plan import RUNNING, SUBMITTING, WAITING, Running, Waiting


def test_connections_and_valkey_are_killed_between_workers() -> None:
    """So that each has calls in flight to meet."""
    plan = Running()

    moments = plan.moments(plan.resets, shift=0.3) + plan.moments(plan.crashes, shift=0.6)

    assert len(moments) == 5
    assert all(moment % plan.kill_every == plan.kill_every / 2 for moment in moments)


@pytest.mark.parametrize("plan", [*RUNNING.values(), *SUBMITTING.values(), *WAITING.values()])
def test_blows_fall_in_order(plan: Running | Waiting) -> None:
    """A storm goes through them one by one."""
    moments = [moment for moment, _ in plan.blows]

    assert moments == sorted(moments)
    assert {"kill_worker", "crash"} <= {name for _, name in plan.blows}


def test_valkey_ends_three_times_after_a_minute_of_workers_that_die() -> None:
    """What is promised of calls that wait: 60 s, a worker every 2 s, then Valkey."""
    blows = Waiting().blows
    kills = [moment for moment, name in blows if name == "kill_worker"]
    crashes = [moment for moment, name in blows if name == "crash"]

    assert kills == [2.0 * number for number in range(1, 31)]
    assert len(crashes) == 3
    assert min(crashes) > max(kills)


@pytest.mark.parametrize("plan", WAITING.values())
def test_calls_are_still_enqueued_when_the_first_blows_fall_on_valkey(plan: Waiting) -> None:
    """A producer meets it too."""
    crash = next(moment for moment, name in plan.blows if name == "crash")

    assert (plan.calls - plan.ahead) / plan.rate > crash
