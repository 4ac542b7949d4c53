"""Pools of credentials: which one serves, and that each is only asked for what it may give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.integration.conftest import HeldClock
from tests.integration.held import START, Held, excess, few, many
from worker.days import day_ends
from worker.http.retry_after import Headroom
from worker.provider import Quota, Rate

RATE, BURST, QUOTA = 10, 3, 25
KEYS = ("one", "two", "three")
STEPS = st.tuples(
    st.integers(0, 1500),
    st.sampled_from(["success", "success", "success", "throttled", "refused", "neutral"]),
    st.sampled_from([0.5, 2.0, 900.0]),
)


@dataclass
class Credential:
    """One credential as the documentation has it."""

    tokens: float = BURST
    at: int = START
    cooling: int = 0
    refused: int = 0
    used: int = 0

    def holds(self, now: int) -> float:
        """Tokens in the bucket."""
        return min(BURST, self.tokens + (now - self.at) * RATE / 1000)

    def headroom(self, now: int) -> tuple[bool, int, float]:
        """Whether it can be used now, and by what it is compared: quota left, then tokens."""
        free = self.cooling <= now and self.refused <= now and self.used < QUOTA
        return free and self.holds(now) >= 1 - 1e-6, QUOTA - self.used, self.holds(now)

    def spend(self, now: int) -> None:
        """A call goes out with it."""
        self.tokens, self.at, self.used = self.holds(now) - 1, now, self.used + 1

    def cool(self, now: int, ends: int) -> None:
        """The provider said "too often" to it."""
        if ends > self.cooling:
            self.tokens, self.at, self.cooling = (
                min(0.0, self.holds(now) + (ends - now) * RATE / 1000),
                ends,
                ends,
            )


@many
@given(steps=st.lists(STEPS, min_size=10, max_size=80), number=st.integers(2, 3))
def test_the_credential_with_most_headroom_serves(
    state: Redis, clock: HeldClock, steps: list[tuple[int, str, float]], number: int
) -> None:
    """Never one that cools, is refused or has spent its quota; of the others most quota, then most tokens."""
    held = pool(state, clock, number)
    pooled = [Credential() for _ in range(number)]
    moments: list[list[int]] = [[] for _ in range(number)]

    for gap, outcome, pause in steps:
        clock.ms += gap
        decision, report, _ = held.begin()
        ranks = [one.headroom(clock.ms) for one in pooled]
        assert (decision.word == "admit") == any(free for free, _, _ in ranks)
        if decision.word != "admit":
            continue
        chosen = report.credential
        assert ranks[chosen][0]
        best = max(rank for rank in ranks if rank[0])
        assert ranks[chosen][1] == best[1]
        assert ranks[chosen][2] >= best[2] - 1e-6
        pooled[chosen].spend(clock.ms)
        moments[chosen].append(clock.ms)
        # The factor is another test's: here each storm is the first.
        state.hdel(held.gate.limits[chosen], "throttles", "throttled_at")
        held.told(report, outcome, pause)
        if outcome == "throttled":
            pooled[chosen].cool(clock.ms, clock.ms + round(pause * 1000))
        if outcome == "refused":
            pooled[chosen].refused = clock.ms + round(pause * 1000)

    assert all(excess(each, rate=RATE, burst=BURST) <= 1e-6 for each in moments)
    assert all(len(each) <= QUOTA for each in moments)


@few
@given(number=st.integers(1, 3), rate=st.floats(5, 50), burst=st.integers(1, 5), every=st.integers(20, 50))
def test_the_sum_of_the_rates_is_used(
    state: Redis, clock: HeldClock, number: int, rate: float, burst: int, every: int
) -> None:
    """Three keys make three times the calls, and each sees no more than its own share."""
    held = Held(state, clock, credentials=KEYS[:number], rate=Rate(calls=rate, burst=burst))
    held.park(*[f"t{n:03}" for n in range(200)])
    moments: list[list[int]] = [[] for _ in range(number)]

    while sum(map(len, moments)) < 200:
        for call in held.look(1000).calls:
            decision, report, claim = held.begin(call.task_id)
            assert decision.word == "admit"
            moments[report.credential].append(clock.ms + round(decision.wait * 1000))
            held.end(report, claim)
        clock.ms += every

    span = (max(map(max, moments)) - START) / 1000
    assert 0.99 * number * (burst + rate * span) - number <= 200
    assert all(excess(each, rate=rate, burst=burst) <= 1e-6 for each in moments)


def test_a_refused_credential_comes_back_after_its_time(state: Redis, clock: HeldClock) -> None:
    """Another serves meanwhile, the line with it; then it is asked like any other."""
    held = pool(state, clock, 2)
    _, first, _ = held.begin()
    held.told(first, "refused", 900.0)

    meanwhile = {held.begin()[1].credential for _ in range(3)}
    clock.ms += 900_000
    later = {held.begin()[1].credential for _ in range(4)}

    assert (first.credential, meanwhile, later) == (0, {1}, {0, 1})


def test_when_all_are_refused_calls_wait_for_the_first_that_comes_back(
    state: Redis, clock: HeldClock
) -> None:
    """The reason is the credentials', in the gate's word and in the line's."""
    held = pool(state, clock, 2)
    held.told(held.begin()[1], "refused", 900.0)
    clock.ms += 1000
    held.told(held.begin()[1], "refused", 900.0)
    held.park("t1")

    decision, _, _ = held.begin()
    look = held.look()

    assert (decision.word, decision.wait) == ("credentials", 899.0)
    assert (look.word, look.calls, look.again) == ("credentials", [], 0.5)


def test_one_credentials_pause_is_not_the_others(state: Redis, clock: HeldClock) -> None:
    """The line goes on at the other's rate."""
    held = pool(state, clock, 2)
    held.told(held.begin()[1], "throttled", 60.0)
    held.park(*[f"t{n}" for n in range(10)])

    calls = held.look().calls
    chosen = {held.begin(call.task_id)[1].credential for call in calls}

    assert len(calls) == BURST + 2  # in the bucket, and within the quarter of a second ahead
    assert chosen == {1}


def test_the_sum_of_the_quotas_is_used(state: Redis, clock: HeldClock) -> None:
    """And not a call more, until the provider's day ends."""
    zone = "America/New_York"
    held = Held(state, clock, credentials=KEYS, quota=Quota(limit=4, zone=zone))
    held.park(*[f"t{n:02}" for n in range(20)])
    clock.ms = day_ends(zone)[0] - 3_600_000

    today = [held.begin(call.task_id)[1].credential for call in held.look().calls]
    left = state.zcard(held.keys.parked)
    denied, _, _ = held.begin()
    look = held.look()
    clock.ms += 3_600_000
    tomorrow = held.look().calls

    assert sorted(today) == [0] * 4 + [1] * 4 + [2] * 4
    assert (left, denied.word, look.word) == (8, "quota", "quota")
    assert len(tomorrow) == 8


def test_what_one_credential_learnt_is_its_own(state: Redis, clock: HeldClock) -> None:
    """Throttled twice, it serves at half its rate; the other's is as declared."""
    held = pool(state, clock, 2)
    for _ in range(2):
        _, report, _ = held.begin()
        while report.credential:
            _, report, _ = held.begin()
        held.told(report, "throttled", 1.0)
        clock.ms += 5000

    factors: list[Any] = [held.field("factor", number) for number in range(2)]

    assert factors == [0.5, None]


def test_what_the_provider_counts_of_one_credential_leaves_out_the_others_calls(
    state: Redis, clock: HeldClock
) -> None:
    """Four of its calls are under way, and ten of the others: no pause comes of that."""
    held = Held(state, clock, credentials=KEYS, rate=Rate(calls=1, burst=6))
    asked = [held.begin()[1] for _ in range(15)]
    told = next(report for report in asked if report.credential == 1)
    told.headroom = Headroom(5, 60.0)
    held.told(told, "success")

    assert [report.credential for report in asked].count(1) == 5
    assert held.field("tokens", 1) == 1.0
    assert held.field("cooldown_until", 1) is None


def pool(state: Redis, clock: HeldClock, number: int) -> Held:
    """A provider with *number* credentials, each with a bucket and a quota of its own."""
    quota = Quota(limit=QUOTA)
    return Held(state, clock, credentials=KEYS[:number], rate=Rate(calls=RATE, burst=BURST), quota=quota)
