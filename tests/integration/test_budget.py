"""The retry budget: how many of the failed calls are tried again soon, and what becomes of the others."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.integration.conftest import HeldClock
from tests.integration.held import START, Held, few, many
from worker.provider import Retry

RATIO, FLOOR = 0.2, 5
CALLS = st.tuples(st.integers(0, 4000), st.booleans())


class Outage:
    """A provider that fails some calls, whose moments of calling and of being granted a retry are kept."""

    def __init__(self, state: Redis, clock: HeldClock) -> None:
        self.held = Held(state, clock, retry=Retry(budget=RATIO, floor=FLOOR))
        self.calls: list[int] = []
        self.granted: list[int] = []
        self.slow = 0

    def call(self, task_id: str, *, fails: bool) -> str:
        """What becomes of one call that is made now."""
        held = self.held
        self.calls.append(held.clock.ms)
        if held.records.get(task_id).get("state") != "queued":
            held.records.write(task_id, "[]")
        _, report, claim = held.begin(task_id)
        report.outcome = "failure" if fails else "success"
        fate = held.end(report, claim, "retry" if fails else "end", wait=1.0, attempt=1, reason="down")
        if fate == "retry":
            self.granted.append(held.clock.ms)
        return fate

    def look(self) -> list[str]:
        """Who leaves the line; the slow ones that joined it were granted a retry."""
        held = self.held
        before = held.state.zcard(held.keys.slow)
        calls = [call.task_id for call in held.look().calls]
        self.granted += [held.clock.ms] * (before - held.state.zcard(held.keys.slow))
        return calls


def within(moments: list[int], first: int, last: int) -> int:
    """How many of *moments* lie in [first, last]."""
    return bisect_left(moments, last + 1) - bisect_left(moments, first)


@many
@given(calls=st.lists(CALLS, min_size=10, max_size=80))
def test_no_minute_sees_more_retries_than_its_calls_allow(
    state: Redis, clock: HeldClock, calls: list[tuple[int, bool]]
) -> None:
    """However unevenly calls come and fail."""
    outage = Outage(state, clock)

    for n, (gap, fails) in enumerate(calls):
        clock.ms += gap
        outage.look()
        outage.call(f"t{n}", fails=fails)

    for last in outage.granted:
        made = within(outage.calls, last - 59_999, last)
        assert within(outage.granted, last - 59_999, last) <= max(FLOOR, RATIO * made)


@few
@given(gap=st.integers(600, 2000), every=st.integers(1, 4))
def test_in_a_steady_stream_retries_are_a_fifth_of_the_calls(
    state: Redis, clock: HeldClock, gap: int, every: int
) -> None:
    """Never more, and used to the full when that many fail."""
    outage = Outage(state, clock)

    for n in range(150_000 // gap):
        clock.ms += gap
        outage.look()
        outage.call(f"t{n}", fails=n % every == 0)

    for last in outage.granted:
        made, granted = (within(all_, last - 59_999, last) for all_ in (outage.calls, outage.granted))
        assert granted <= max(FLOOR, RATIO * made)
    made, granted = (within(all_, clock.ms - 59_999, clock.ms) for all_ in (outage.calls, outage.granted))
    assert granted >= max(FLOOR, RATIO * made) - 3


def test_beyond_the_budget_a_failed_call_goes_to_the_slow_lane(state: Redis, clock: HeldClock) -> None:
    """It loses its place and its lane, and nothing else."""
    outage = Outage(state, clock)

    fates = [outage.call(f"t{n}", fails=True) for n in range(FLOOR + 2)]
    record = outage.held.records.get(f"t{FLOOR}")

    assert fates == ["retry"] * FLOOR + ["slow"] * 2
    assert (record["state"], record["lane"], record["attempt"]) == ("slow", "replay", "1")
    assert "place" not in record


def test_slow_calls_get_their_turn_however_many_fail_after_them(state: Redis, clock: HeldClock) -> None:
    """Who failed first is tried first: a fresh failure does not take the room that the budget gets."""
    outage = Outage(state, clock)
    slow = [f"s{n:02}" for n in range(40)]
    fates = [outage.call(task_id, fails=True) for task_id in slow]
    clock.ms += 60_000

    tried: list[str] = []
    for n in range(900):
        clock.ms += 200
        if n % 5 == 4:
            tried += outage.look()
        outage.call(f"t{n}", fails=True)

    expected = [task_id for task_id, fate in zip(slow, fates, strict=True) if fate == "slow"]
    assert [task_id for task_id in tried if task_id in expected] == expected


def test_after_the_outage_everybody_is_tried(state: Redis, clock: HeldClock) -> None:
    """The floor alone brings the slow lane to its end."""
    outage = Outage(state, clock)
    for n in range(60):
        outage.call(f"t{n}", fails=True)

    ended = 0
    while ended < 60:
        assert clock.ms < START + 60_000 * (60 / FLOOR + 2)
        clock.ms += 1000
        for task_id in outage.look():
            ended += outage.call(task_id, fails=False) == "end"

    assert outage.held.state.zcard(outage.held.keys.slow) == 0


def test_no_budget_is_no_bound(state: Redis, clock: HeldClock) -> None:
    """A provider may declare that all its failures are tried again."""
    held = Held(state, clock, retry=Retry(budget=None))

    for n in range(30):
        held.records.write(f"t{n}", "[]")

    assert {held.answered(f"t{n}", "retry", wait=1.0) for n in range(30)} == {"retry"}


def test_a_call_that_the_gate_held_back_costs_no_retry(state: Redis, clock: HeldClock) -> None:
    """Only failures do."""
    outage = Outage(state, clock)
    held = outage.held
    for n in range(30):
        held.records.write(f"w{n}", "[]")
        held.answered(f"w{n}", "park")

    assert outage.call("t1", fails=True) == "retry"
