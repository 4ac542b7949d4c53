"""Who leaves the line when: order within a lane, shares between lanes, and what that costs Redis."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.integration.conftest import HeldClock
from tests.integration.held import START, STRIDES, Held, few, many
from worker.claim import Claim
from worker.provider import Breaker, Quota, Rate, Retry
from worker.record import HORIZON

LANES = st.sampled_from(sorted(STRIDES))
FATES = st.sampled_from(["end", "park", "wait", "retry"])
STEPS = st.one_of(
    st.tuples(st.just("park"), LANES, st.integers(1, 5)),
    st.tuples(st.just("write"), LANES, st.integers(0, 20_000)),
    st.tuples(st.just("release"), st.integers(1, 6), st.lists(FATES, min_size=6, max_size=6)),
    st.tuples(st.just("cancel"), st.integers(0, 50), st.none()),
)


class Line:
    """Self-clocked fair queueing, written down plainly: what the scripts must agree with."""

    def __init__(self) -> None:
        self.now = 0
        self.last: Counter[str] = Counter()
        self.lane: dict[str, str] = {}
        self.place: dict[str, int] = {}
        self.standing: set[str] = set()
        self.waiting: dict[str, int] = {}

    def park(self, task_id: str) -> None:
        lane = self.lane[task_id]
        if task_id not in self.place:
            self.place[task_id] = max(self.now, self.last[lane]) + STRIDES[lane]
            self.last[lane] = self.place[task_id]
        self.standing.add(task_id)

    def leave(self, task_id: str) -> None:
        self.standing.remove(task_id)
        if self.lane[task_id] not in {self.lane[other] for other in self.standing}:
            self.last[self.lane[task_id]] = 0

    def release(self, room: int, clock: int) -> list[str]:
        for task_id, due in sorted(self.waiting.items(), key=lambda item: (item[1], item[0])):
            if due <= clock:
                self.waiting.pop(task_id)
                self.park(task_id)
        first = sorted(self.standing, key=lambda task_id: (self.place[task_id], task_id))[:room]
        for task_id in first:
            self.now = max(self.now, self.place[task_id])
        for task_id in first:
            self.leave(task_id)
        return first


@many
@given(steps=st.lists(STEPS, min_size=3, max_size=30))
def test_calls_leave_in_the_order_of_self_clocked_fair_queueing(
    state: Redis, clock: HeldClock, steps: list[tuple[str, Any, Any]]
) -> None:
    """Whatever is parked, released, held back again, retried or revoked in between."""
    held, line, names = Held(state, clock, retry=Retry(budget=None)), Line(), count()

    for what, first, second in steps:
        if what == "park":
            fresh = [f"{next(names):04}" for _ in range(second)]
            line.lane |= dict.fromkeys(fresh, first)
            held.park(*fresh, lane=first)
            for task_id in fresh:
                line.park(task_id)
        elif what == "write":
            later = f"{next(names):04}"
            line.lane[later] = first
            line.waiting[later] = clock.ms + 1 + second
            assert not held.records.write(later, "[]", clock.ms + 1 + second, lane=first)
        elif what == "cancel" and line.standing:
            revoked = sorted(line.standing)[first % len(line.standing)]
            assert held.records.cancel(revoked)[0] == "parked"
            line.leave(revoked)
        elif what == "release":
            left = held.released(first)
            assert left == line.release(first, clock.ms)
            for task_id, fate in zip(left, second, strict=False):
                assert held.answered(task_id, fate, wait=2.0) == fate
                if fate == "park":
                    line.park(task_id)
                elif fate != "end":
                    line.waiting[task_id] = clock.ms + 2000


@few
@given(chunks=st.lists(st.integers(1, 40), min_size=3, max_size=12))
def test_full_lanes_share_as_declared_over_any_stretch(
    state: Redis, clock: HeldClock, chunks: list[int]
) -> None:
    """No two lanes are ever further apart than one stride of each, wherever one begins to count."""
    held = Held(state, clock)
    total = sum(chunks)
    for lane in STRIDES:
        held.park(*[f"{lane}-{n:03}" for n in range(total)], lane=lane)

    left = [task_id for room in chunks for task_id in served(held, room)]

    assert len(left) == total
    assert_shared(left)


@few
@given(alone=st.integers(0, 120), together=st.integers(1, 120), waker=LANES, sleeper=LANES)
def test_a_lane_that_wakes_is_not_owed_what_it_did_not_use(
    state: Redis, clock: HeldClock, alone: int, together: int, waker: str, sleeper: str
) -> None:
    """From the moment at which both are full they share, whatever was before."""
    if waker == sleeper:
        return
    held = Held(state, clock)
    held.park(*[f"{waker}-{n:03}" for n in range(240)], lane=waker)
    for _ in range(alone // 40):
        served(held, 40)

    held.park(*[f"{sleeper}-{n:03}" for n in range(240)], lane=sleeper)
    left = [task_id for _ in range(together // 40 + 1) for task_id in served(held, 40)]

    assert_shared(left)


@few
@given(
    arrivals=st.lists(st.tuples(st.sampled_from(["interactive", "batch"]), st.integers(1, 30)), max_size=30),
    before=st.integers(0, 60),
)
def test_no_lane_starves_whatever_arrives_in_the_others(
    state: Redis, clock: HeldClock, arrivals: list[tuple[str, int]], before: int
) -> None:
    """At most 16 interactive and 4 batch calls leave before the one replayed call."""
    held, names = Held(state, clock), count()
    held.park(*[f"b{n}" for n in range(before)])
    if before:
        served(held, min(before, 40))
    held.park("replayed", lane="replay")

    left: list[str] = []
    for lane, number in [*arrivals, *[("interactive", 30)] * 25]:
        held.park(*[f"a{next(names)}" for _ in range(number)], lane=lane)
        left += served(held, 1)

    assert left.index("replayed") <= 20


def test_a_lane_does_not_pay_for_calls_that_were_revoked(state: Redis, clock: HeldClock) -> None:
    """Who revokes a thousand calls and makes another is served as if they had never been."""
    held = Held(state, clock)
    held.park(*[f"b{n:03}" for n in range(100)], lane="batch")
    held.park(*[f"i{n:04}" for n in range(1000)])
    for n in range(1000):
        held.records.cancel(f"i{n:04}")

    held.park("wanted")

    assert served(held, 3)[0] == "wanted"


def test_a_lane_does_not_pay_for_calls_that_ended_without_leaving_the_line(
    state: Redis, clock: HeldClock
) -> None:
    """A stray copy of a parked call that the cache answers ends it where it stands."""
    held = Held(state, clock)
    held.park("b", lane="batch")
    held.park(*[f"i{n:04}" for n in range(100)])
    for n in range(100):
        held.end(None, Claim(home="acme", task_id=f"i{n:04}", recorded=True))

    held.park("wanted")

    assert served(held, 2) == ["wanted", "b"]


def test_what_has_expired_leaves_without_taking_anybodys_turn(state: Redis, clock: HeldClock) -> None:
    """A line full of calls whose time is over does not hold up the one behind them."""
    held = Held(state, clock)
    held.park(*[f"e{n}" for n in range(30)], expires=clock.ms + 1000)
    held.park("wanted")
    clock.ms += 6000

    calls = held.look(1).calls

    assert [call.task_id for call in calls if not call.expired] == ["wanted"]
    assert len(calls) == 31


@pytest.mark.parametrize("rate", [None, Rate(calls=100, burst=100)])
def test_a_newcomer_does_not_overtake_the_line(state: Redis, clock: HeldClock, rate: Rate | None) -> None:
    """Whatever is in the bucket: who stands there came first."""
    held = Held(state, clock, rate=rate)
    held.park("t1", "t2")
    held.records.write("newcomer", "[]", behind=False)

    decision, _, claim = held.begin("newcomer", patience=10.0)
    held.end(None, claim, "park", reason=decision.word)

    assert (decision.word, decision.ahead) == ("bucket" if rate else "line", 2)
    assert served(held, 5) == ["t1", "t2", "newcomer"]
    assert held.records.write("another", "[]")


@many
@given(queued=st.integers(1, 30), flood=st.integers(1, 30), other=LANES)
def test_who_was_published_before_the_line_began_stands_at_its_front(
    state: Redis, clock: HeldClock, queued: int, flood: int, other: str
) -> None:
    """Workers that come up late hold the first calls of a flood back, but not behind all the others."""
    held = Held(state, clock, rate=Rate(calls=1, burst=1))
    first = [f"f{n:02}" for n in range(queued)]
    assert all(held.records.write(task_id, "[]") for task_id in first)
    clock.ms += 1
    held.park(*[f"o{n:02}" for n in range(flood)], lane=other)
    held.park(*[f"p{n:02}" for n in range(flood)])
    clock.ms += 1

    for task_id in first:
        decision, report, claim = held.begin(task_id)
        assert decision.word == "bucket"
        held.end(report, claim, "park", reason="bucket")
    held.park("later")
    places: Any = state.zrange(held.keys.parked, 0, -1)
    line = [name.decode() for name in places if not name.startswith(b"o")]

    if other != "interactive":
        assert line == [*first, *[f"p{n:02}" for n in range(flood)], "later"]
    assert line[:queued] == first


def test_a_call_enqueued_behind_others_needs_no_message(state: Redis, clock: HeldClock) -> None:
    """It would only hear that others stand in line."""
    held = Held(state, clock)
    held.park("t1")

    publish = held.records.write("t2", "[]")

    assert not publish
    assert held.records.get("t2")["state"] == "parked"


@pytest.mark.parametrize(
    ("declared", "slots"),
    [
        ({"rate": Rate(calls=1, burst=3)}, 100),
        ({"quota": Quota(limit=3)}, 100),
        ({"max_concurrency": 3}, 100),
        ({}, 3),
    ],
)
def test_who_left_the_line_counts_until_it_begins_or_a_second_is_over(
    state: Redis, clock: HeldClock, declared: dict[str, Any], slots: int
) -> None:
    """Messages on their way need what was there for them, and no more leave on its account."""
    held = Held(state, clock, **declared)
    held.park(*[f"t{n}" for n in range(20)])

    first = held.look(slots).calls
    again = held.look(slots).calls
    begun = [held.begin(call.task_id)[0].word for call in first]
    still = held.look(slots).calls
    clock.ms += 200

    assert [call.task_id for call in first] == ["t0", "t1", "t2"]
    assert (again, still, held.look(slots).calls) == ([], [], [])
    assert begun == ["admit"] * 3


def test_no_more_probes_leave_the_line_than_are_declared(state: Redis, clock: HeldClock) -> None:
    """Under way or out, each counts; when the breaker has closed the others follow."""
    held = Held(state, clock, breaker=Breaker(failures=1, reset_after=10, successes=2, probes=2))
    held.told(held.begin()[1], "failure")
    held.park(*[f"t{n}" for n in range(9)])
    shut = held.look()
    clock.ms += 10_000

    calls = held.look().calls
    left, ends = [], []
    for call in calls:
        left.append(len(held.look().calls))
        ends.append(held.begin(call.task_id)[1:])
    left.append(len(held.look().calls))
    for report, claim in ends:
        report.outcome = "success"
        held.end(report, claim)
        left.append(len(held.look().calls))

    assert (shut.word, shut.calls, shut.again) == ("breaker", [], 0.5)
    assert len(calls) == 2
    assert left == [0, 0, 0, 1, 6]


def test_only_one_worker_looks_and_another_takes_over_within_a_second(state: Redis, clock: HeldClock) -> None:
    """The others hear when to come back; a leader that is gone is not waited for longer than its lease."""
    held = Held(state, clock)
    held.park("t1", "t2")
    held.look(1, "first")

    follower = held.look(1, "second")
    clock.ms += round(follower.again * 1000)
    successor = held.look(1, "second")

    assert (follower.word, follower.calls) == ("follow", [])
    assert follower.again <= 1.0
    assert successor.word != "follow"


def test_a_line_that_no_worker_serves_is_not_looked_at_in_a_hurry(state: Redis, clock: HeldClock) -> None:
    """A worker of other queues may be the only one that is up, for hours."""
    held = Held(state, clock)
    held.park("t1")

    look = held.look(0)

    assert (look.word, look.again, look.calls) == ("concurrency", 0.5, [])


def test_many_calls_that_are_due_at_once_do_not_wait_for_each_other(state: Redis, clock: HeldClock) -> None:
    """A look takes fifty; the next follows at once while there are more."""
    held = Held(state, clock)
    for n in range(120):
        held.records.write(f"t{n:03}", "[]", clock.ms + 1)
    clock.ms += 1

    looks = [held.look(1000) for _ in range(3)]

    assert [len(look.calls) for look in looks] == [50, 50, 20]
    assert [look.again for look in looks] == [0.005, 0.005, 0.5]


@many
@given(tokens=st.integers(1, 5), rate=st.floats(0.5, 40), keys=st.integers(1, 3))
def test_a_line_held_by_the_bucket_is_looked_at_again_when_one_more_fits(
    state: Redis, clock: HeldClock, tokens: int, rate: float, keys: int
) -> None:
    """Neither long before nor long after: then the next call leaves with its moment ahead of it."""
    names = [f"key-{n}" for n in range(keys)]
    held = Held(state, clock, rate=Rate(calls=rate, burst=tokens), credentials=names)
    held.park(*[f"t{n:03}" for n in range(200)])
    left = []

    for _ in range(10):
        look = held.look()
        left.append(len(look.calls))
        for call in look.calls:
            held.answered(call.task_id)
        assert look.word == "bucket"
        clock.ms += round(look.again * 1000)

    fits = keys * int(tokens + rate * (clock.ms - START + HORIZON) / 1000)
    assert left[1:].count(0) <= (0 if keys == 1 and rate >= 2 else 9)
    assert sum(left) >= fits - keys * (1 + int(rate * look.again))


def test_a_quota_without_a_rate_is_not_polled_for(state: Redis, clock: HeldClock) -> None:
    """The last calls of the day are under way, and nothing can be known before they end."""
    held = Held(state, clock, quota=Quota(limit=2))
    held.park("t1", "t2", "t3")

    first = held.look()

    assert [call.task_id for call in first.calls] == ["t1", "t2"]
    assert (first.word, first.again) == ("bucket", 0.5)


def test_a_call_that_was_given_up_makes_room_in_the_line(state: Redis, clock: HeldClock) -> None:
    """Its message was lost eight times; it does not count as under way for ever."""
    held = Held(state, clock)
    held.park("t1")
    held.look()

    kinds = []
    for _ in range(8):
        clock.ms += 10_000_000
        kinds += [found.kind for found in held.records.orphans(grace=10, depth=0)]

    assert kinds[-1] == "poison"
    assert state.zcard(held.keys.released) == 0


def test_a_parked_call_costs_the_same_however_many_stand_in_line(state: Redis, clock: HeldClock) -> None:
    """Redis commands from enqueue to end, counted by the server: 1,000 in line or 20,000."""
    costs = [cost_of(Held(state, clock), standing) for standing in (1000, 20_000)]

    assert costs[1] <= 1.1 * costs[0]
    assert costs[1] < 40


def cost_of(held: Held, standing: int) -> float:
    """Commands per call: all of them parked, three hundred from the front run to their end."""
    state, ran = held.state, 0
    before = commands(state)
    for start in range(0, standing, 500):
        held.park(*[f"t{n:05}" for n in range(start, start + 500)])
    parked = commands(state)
    while ran < 300:
        for task_id in served(held, 50):
            ran += 1
            assert task_id == f"t{ran - 1:05}"
    return (parked - before) / standing + (commands(state) - parked) / ran


def commands(state: Redis) -> int:
    """How many commands the server has carried out, those within scripts among them."""
    stats: Any = state.info("commandstats")
    return sum(entry["calls"] for name, entry in stats.items() if name != "cmdstat_info")


def served(held: Held, room: int) -> list[str]:
    """Who leaves next; all of them are answered."""
    left = held.released(room)
    for task_id in left:
        held.answered(task_id)
    return left


def assert_shared(left: list[str]) -> None:
    """Over any stretch of *left*, no two lanes differ by more than a stride of each."""
    lanes = [task_id.split("-")[0] for task_id in left]
    for one, other in combinations(sorted(set(lanes)), 2):
        apart, seen = 0, [0]
        for lane in lanes:
            apart += STRIDES[lane] * ((lane == one) - (lane == other))
            seen.append(apart)
        assert max(seen) - min(seen) <= STRIDES[one] + STRIDES[other]


@pytest.mark.parametrize(
    ("other", "own", "ahead"),
    [
        ("interactive", "batch", True),
        ("batch", "batch", False),
        ("replay", "batch", False),
        ("batch", "replay", True),
    ],
)
@pytest.mark.parametrize("parked", [True, False])
def test_a_call_that_runs_sees_who_waits_and_goes_before_it(
    state: Redis, clock: HeldClock, other: str, own: str, *, ahead: bool, parked: bool
) -> None:
    """In line, or published and taken up by nobody; who has ended waits no more."""
    held = Held(state, clock)
    held.records.write("own", "[]", lane=own)
    held.begin("own")
    assert not held.records.ahead("own")

    if parked:
        held.park("other", lane=other)
    else:
        held.records.write("other", "[]", lane=other)

    assert held.records.ahead("own") is ahead
    held.records.cancel("other")
    assert not held.records.ahead("own")
