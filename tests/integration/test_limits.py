"""Pacing and what is learnt of a provider's limits: whoever asks, in whatever mix, with a held clock."""

from __future__ import annotations

import heapq
from itertools import count
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.integration.conftest import HeldClock
from tests.integration.held import START, Held, excess, few, many
from worker.claim import Claim
from worker.gate import Report
from worker.http.retry_after import Headroom
from worker.provider import Rate
from worker.scripts import script

EVENTS = st.one_of(
    st.tuples(st.just("newcomer"), st.sampled_from([0.0, 0.5])),
    st.tuples(st.just("begun"), st.just(10.0)),
    st.tuples(st.just("look"), st.integers(1, 40)),
    st.tuples(st.just("deliver"), st.integers(1, 20)),
    st.tuples(st.just("success"), st.integers(0, 40)),
    st.tuples(st.just("throttled"), st.floats(0, 3)),
    st.tuples(st.just("told"), st.integers(0, 5)),
    st.tuples(st.just("reset"), st.none()),
)


class Traffic:
    """Calls of every kind at one gate, and the moments at which the provider sees them."""

    def __init__(self, held: Held) -> None:
        self.held, self.names = held, count()
        self.moments: list[int] = []
        self.published: list[str] = []
        self.admitted: list[Report] = []

    def asks(self, claim: Claim, patience: float = 0.0) -> bool:
        """Begin; an admitted call is seen at its moment, one that was held back stands in line."""
        decision, report = self.held.gate.begin(claim, patience=patience)
        if decision.word == "admit":
            self.moments.append(self.held.clock.ms + round(decision.wait * 1000))
            self.admitted.append(report)
        elif claim.task_id:
            self.held.end(None, claim, "park", reason=decision.word)
        return decision.word == "admit"

    def newcomer(self, patience: float) -> None:
        """A call that nobody has heard of yet; behind others in line it is parked at once."""
        task_id = f"n{next(self.names)}"
        if self.held.records.write(task_id, "[]"):
            self.asks(Claim(home="acme", task_id=task_id, recorded=True), patience)

    def begun(self, patience: float) -> None:
        """A task's second call."""
        self.asks(Claim(begun=True), patience)

    def look(self, slots: int) -> None:
        """A releaser publishes."""
        self.published += [call.task_id for call in self.held.look(slots).calls]

    def deliver(self, number: int) -> None:
        """Workers get some of the messages, the last first."""
        for _ in range(min(number, len(self.published))):
            self.asks(Claim(home="acme", task_id=self.published.pop(), recorded=True))

    def success(self, number: int) -> None:
        """Some calls are answered."""
        for _ in range(min(number, len(self.admitted))):
            self.held.told(self.admitted.pop(0), "success")

    def throttled(self, pause: float) -> None:
        """The provider says "too often"."""
        if self.admitted:
            self.held.told(self.admitted.pop(0), "throttled", pause)

    def told(self, left: int) -> None:
        """The provider says how many calls are left for two seconds."""
        if self.admitted:
            self.admitted[0].headroom = Headroom(left, 2.0)
            self.held.told(self.admitted.pop(0), "success")

    def reset(self, _: None) -> None:
        """A person has it all forgotten."""
        forget(self.held)


@many
@given(
    events=st.lists(st.tuples(st.integers(0, 400), EVENTS), min_size=10, max_size=80),
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 10),
    waiting=st.integers(0, 60),
)
def test_no_interval_sees_more_than_burst_and_rate_whoever_asks(
    state: Redis,
    clock: HeldClock,
    events: list[tuple[int, tuple[str, Any]]],
    rate: float,
    burst: int,
    waiting: int,
) -> None:
    """Newcomers, released and begun calls in any mix, pauses, learnt limits and their reset included."""
    held = Held(state, clock, rate=Rate(calls=rate, burst=burst))
    held.park(*[f"p{n:02}" for n in range(waiting)])
    traffic = Traffic(held)

    for gap, (what, given_) in events:
        clock.ms += gap
        getattr(traffic, what)(given_)

    assert excess(traffic.moments, rate=rate, burst=burst) <= 1e-6


def test_a_newcomer_takes_no_moment_of_those_who_left_the_line(state: Redis, clock: HeldClock) -> None:
    """It stands in line, patient or not, as long as their messages are on their way."""
    held = Held(state, clock, rate=Rate(calls=10, burst=1))
    held.begin()
    clock.ms += 50
    held.park("parked")
    assert [call.task_id for call in held.look().calls] == ["parked"]

    newcomer, _, _ = held.begin(patience=0.5)
    released, _, _ = held.begin("parked")

    assert newcomer.word == "bucket"
    assert (released.word, released.wait) == ("admit", 0.05)


def test_a_newcomer_goes_at_once_when_there_is_a_token_to_spare(state: Redis, clock: HeldClock) -> None:
    """Calls under way need one token each, and no more than that."""
    held = Held(state, clock, rate=Rate(calls=1, burst=3))
    held.park("t1", "t2")
    held.look()

    words = [held.begin()[0].word for _ in range(2)]

    assert words == ["admit", "bucket"]


def test_a_message_that_vanished_is_not_waited_for(state: Redis, clock: HeldClock) -> None:
    """A second later newcomers have its token."""
    held = Held(state, clock, rate=Rate(calls=1, burst=1))
    held.park("lost")
    held.look()

    before, _, _ = held.begin()
    clock.ms += 1001
    after, _, _ = held.begin()

    assert (before.word, after.word) == ("bucket", "admit")


@few
@given(
    rate=st.floats(2, 150),
    burst=st.integers(1, 10),
    workers=st.integers(1, 4),
    latency=st.integers(1, 400),
    seed=st.integers(0, 2**32),
)
def test_a_steady_backlog_uses_the_rate(
    state: Redis, clock: HeldClock, rate: float, burst: int, workers: int, latency: int, seed: int
) -> None:
    """Some workers look every 50 ms at the latest, messages take up to 100 ms: not a hundredth is wasted."""
    held, chance = Held(state, clock, rate=Rate(calls=rate, burst=burst)), Random(seed)
    held.park(*[f"p{n:03}" for n in range(160)])
    slots = int(rate * (latency + 500) / 1000) + burst + 5

    moments = served_by(held, workers, slots, latency, chance)

    assert len(moments) == 160
    span = (max(moments) - START) / 1000
    assert excess(moments, rate=rate, burst=burst) <= 1e-6
    assert 0.99 * (burst + rate * span) - 1 <= 160


def served_by(held: Held, workers: int, slots: int, latency: int, chance: Random) -> list[int]:
    """When the provider sees the calls of a line that *workers* serve."""
    moments: list[int] = []
    order = count()
    events: list[tuple[int, int, str, Any]] = [(START, next(order), "look", n) for n in range(workers)]
    while len(moments) < 160 and held.clock.ms < START + 600_000:
        held.clock.ms, _, what, which = heapq.heappop(events)
        now = held.clock.ms
        if what == "look":
            look = held.look(slots, f"w{which}")
            for call in look.calls:
                heapq.heappush(events, (now + chance.randint(1, 100), next(order), "begin", call.task_id))
            again = now + max(1, min(round(look.again * 1000), chance.randint(1, 50)))
            heapq.heappush(events, (again, next(order), "look", which))
        elif what == "begin":
            decision, report, claim = held.begin(which)
            if decision.word == "admit":
                moments.append(now + round(decision.wait * 1000))
                heapq.heappush(events, (moments[-1] + latency, next(order), "end", (report, claim)))
            else:
                held.end(None, claim, "park", reason=decision.word)
        else:
            held.end(*which)
    return moments


@many
@given(pause=st.integers(1, 5000), rate=st.floats(1, 50), burst=st.integers(1, 10), ahead=st.integers(0, 20))
def test_after_a_pause_calls_resume_one_by_one(
    state: Redis, clock: HeldClock, pause: int, rate: float, burst: int, ahead: int
) -> None:
    """The nth that is let out leaves when n calls could, behind those that had been let out before."""
    held = Held(state, clock, rate=Rate(calls=rate, burst=burst))
    _, report, _ = held.begin()
    before = [clock.ms, *[moment(held) for _ in range(ahead)]]
    held.told(report, "throttled", pause / 1000)
    ends = clock.ms + pause

    held_back = held.begin(patience=10.0)[0]
    clock.ms = ends
    after = [moment(held) for _ in range(5)]

    assert held_back.word == "cooldown"
    last = max(ends, *before)
    for n, at in enumerate(after, 1):
        assert at >= last - 1 + n / rate * 1000 - 1
    assert excess(before + after, rate=rate, burst=burst) <= 1e-6


def forget(held: Held) -> None:
    """What ``narrows limits reset`` does, on the held clock."""
    script("limits_reset")(held.state, held.gate.limits, [held.clock(), ""])


def moment(held: Held) -> int:
    """When a task's next call may leave, however long that is."""
    decision, _ = held.gate.begin(Claim(begun=True), patience=1000.0)
    assert decision.word == "admit"
    return held.clock.ms + round(decision.wait * 1000)


def test_repeated_throttling_halves_the_rate_and_answers_restore_it(state: Redis, clock: HeldClock) -> None:
    """The first only pauses; each within five minutes of another halves; a second's answers add 5 %."""
    held = Held(state, clock, rate=Rate(calls=100, burst=1))
    factors = []

    for _ in range(7):
        _, report, _ = held.begin()
        held.told(report, "throttled", 1.0)
        factors.append(held.field("factor"))
        clock.ms += 2000
    seconds = 0
    while held.field("factor") is not None:
        clock.ms += 1000
        seconds += 1
        for _ in range(3):
            held.told(held.begin(patience=1.0)[1], "success")

    assert factors == [None, 0.5, 0.25, 0.125, 0.0625, 0.05, 0.05]
    assert seconds == 19


def test_a_rate_that_changes_moves_no_moment_that_was_given(state: Redis, clock: HeldClock) -> None:
    """Who was let out ahead leaves as it was told, and the next one at the new rate after it."""
    held = Held(state, clock, rate=Rate(calls=10, burst=1))
    held.told(held.begin()[1], "throttled", 0.1)
    clock.ms += 1000
    _, report, _ = held.begin()
    before = [moment(held) for _ in range(20)]
    held.told(report, "throttled", 0.1)
    clock.ms += 100
    halved = moment(held)
    clock.ms += 1000
    _, report = held.gate.begin(Claim(begun=True), patience=1000.0)
    last = moment(held)
    held.told(report, "success")
    raised = moment(held)

    assert halved - before[-1] == 200
    assert raised - last == 182  # at 5.5 a second


def test_a_pause_long_after_the_last_one_is_a_first_one(state: Redis, clock: HeldClock) -> None:
    """Once in a while every provider is busy; that says nothing about its limit."""
    held = Held(state, clock, rate=Rate(calls=100, burst=1))

    for _ in range(3):
        held.told(held.begin()[1], "throttled", 1.0)
        clock.ms += 300_001

    assert held.field("factor") is None


@many
@given(
    storms=st.lists(
        st.lists(st.tuples(st.integers(0, 3000), st.floats(0, 1)), min_size=1, max_size=8),
        min_size=1,
        max_size=5,
    )
)
def test_the_answers_of_one_storm_count_once(
    state: Redis, clock: HeldClock, storms: list[list[tuple[int, float]]]
) -> None:
    """Calls that had left before the pause was over hear "too often" for the same reason, however late."""
    held = Held(state, clock)

    for storm in storms:
        reports = [held.begin()[1] for _ in storm]
        for report, (later, pause) in zip(reports, storm, strict=True):
            clock.ms += later
            held.told(report, "throttled", pause)
        clock.ms += 1001

    assert held.field("throttles") == len(storms)
    assert (held.field("factor") or 1.0) == max(0.05, 0.5 ** (len(storms) - 1))


def test_what_was_learnt_is_forgotten_by_hand(state: Redis, clock: HeldClock) -> None:
    """Calls go out at the declared rate again, after those that were let out at the lower one."""
    held = Held(state, clock, rate=Rate(calls=10, burst=1))
    for _ in range(2):
        held.told(held.begin(patience=1.0)[1], "throttled", 0.1)
        clock.ms += 400
    slow = [moment(held) for _ in range(3)]

    forget(held)
    fast = [moment(held) for _ in range(3)]

    assert [slow[1] - slow[0], slow[2] - slow[1]] == [200, 200]
    assert [fast[0] - slow[2], fast[1] - fast[0], fast[2] - fast[1]] == [100, 100, 100]


def test_a_begin_whose_reply_was_lost_hears_the_same_moment_and_credential(
    state: Redis, clock: HeldClock
) -> None:
    """The second try does not leave before its time, nor with a credential that paid nothing."""
    held = Held(state, clock, rate=Rate(calls=1, burst=1), credentials=("one", "two"))
    for _ in range(3):
        moment(held)
    heard: list[Any] = []

    class Twice:
        """Sends each script twice."""

        def execute_command(self, *command: object) -> object:
            heard.append(state.execute_command(*command))
            held.clock.ms += 250
            heard.append(state.execute_command(*command[:-1], command[-1]))
            return heard[-1]

    held.gate.redis = Twice()
    _, report = held.gate.begin(Claim(begun=True), patience=10.0)

    first, second = heard
    assert (first[0], first[1], first[12]) == (b"admit", 1000, 2)
    assert (second[0], second[1], second[12]) == (b"admit", 1000, 2)
    assert report.credential == 1


def test_what_the_provider_counts_lowers_the_bucket_and_never_fills_it(
    state: Redis, clock: HeldClock
) -> None:
    """Calls that are under way may be among those it has counted, or not: it is taken for the worse."""
    held = Held(state, clock, rate=Rate(calls=1, burst=10))
    (_, first, _), (_, second, _), _ = held.begin(), held.begin(), held.begin()

    first.headroom = Headroom(5, 60.0)
    held.told(first, "success")
    lowered = held.field("tokens")
    second.headroom = Headroom(100, 60.0)
    held.told(second, "success")

    assert lowered == 3.0
    assert held.field("tokens") == 3.0


def test_none_left_holds_everybody_until_the_providers_reset(state: Redis, clock: HeldClock) -> None:
    """It is no throttling: nothing was refused, and the rate stays."""
    held = Held(state, clock, rate=Rate(calls=1, burst=10))
    _, report, _ = held.begin()
    report.headroom = Headroom(0, 30.0)
    held.told(report, "success")

    denied, _, _ = held.begin()

    assert denied.word == "cooldown"
    assert denied.wait == 31.0
    assert held.field("throttles") is None
