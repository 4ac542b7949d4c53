"""The gate's promises, against a real server whose clock the test holds."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.integration.conftest import HeldClock
from worker.claim import Claim
from worker.days import day_ends
from worker.gate import Decision, Gate, Report
from worker.keys import keys
from worker.provider import Breaker, Provider, Quota, Rate, Timeouts

NEVER_TRIPS = Breaker(failures=None)
FOR_PROPERTIES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def gate_of(state: Redis, clock: HeldClock, **declared: object) -> Gate:
    """A gate with an unlimited provider except for what is declared."""
    state.flushdb()
    clock.ms = HeldClock().ms
    fields = {"name": "acme", "base_url": "http://127.0.0.1", "breaker": NEVER_TRIPS, **declared}
    return Gate(state, Provider(**fields), now=clock)  # type: ignore[arg-type]


def ask(gate: Gate) -> tuple[Decision, Report]:
    """One call without a record."""
    return gate.begin(Claim())


def end(gate: Gate, report: Report, outcome: str = "success", pause: float = 0.0) -> str:
    """Report *outcome*; the state that the breaker moved to."""
    report.outcome, report.pause = outcome, pause  # type: ignore[assignment]
    return gate.finish(report, Claim())[0]


@FOR_PROPERTIES
@given(
    gaps=st.lists(st.integers(0, 400), min_size=5, max_size=80),
    rate=st.floats(0.5, 200),
    burst=st.integers(1, 20),
)
def test_no_interval_ever_sees_more_than_burst_plus_rate_times_its_length(
    state: Redis, clock: HeldClock, gaps: list[int], rate: float, burst: int
) -> None:
    """However calls arrive, the long-run rate holds."""
    gate = gate_of(state, clock, rate=Rate(calls=rate, burst=burst))

    admitted = []
    for gap in gaps:
        clock.ms += gap
        if ask(gate)[0].word == "admit":
            admitted.append(clock.ms)

    for first, start in enumerate(admitted):
        for last in range(first, len(admitted)):
            allowed = burst + rate * (admitted[last] - start) / 1000 + 1e-6
            assert last - first + 1 <= allowed


@FOR_PROPERTIES
@given(
    gaps=st.lists(st.integers(0, 50), min_size=3, max_size=30),
    rate=st.floats(0.5, 100),
    burst=st.integers(1, 5),
    quota=st.integers(1, 40),
    most=st.integers(1, 4),
    pauses=st.lists(st.sampled_from([0.0, 0.5, 3.0]), min_size=30, max_size=30),
)
def test_whoever_comes_back_after_the_wait_first_in_line_is_admitted(
    state: Redis,
    clock: HeldClock,
    gaps: list[int],
    rate: float,
    burst: int,
    quota: int,
    most: int,
    pauses: list[float],
) -> None:
    """Every wait is honest, whichever of the limits holds the call."""
    gate = gate_of(
        state,
        clock,
        rate=Rate(calls=rate, burst=burst),
        quota=Quota(limit=quota),
        max_concurrency=most,
        breaker=Breaker(failures=3),
    )

    for gap, pause in zip(gaps, pauses, strict=False):
        clock.ms += gap
        decision, report = ask(gate)
        if decision.word == "admit":
            end(gate, report, "throttled" if pause else "failure", pause)
            continue
        clock.ms += round(decision.wait * 1000)
        again, report = ask(gate)
        assert again.word == "admit", decision
        end(gate, report)


@FOR_PROPERTIES
@given(rate=st.floats(0.5, 50), burst=st.integers(1, 5), quota=st.integers(0, 5), calls=st.integers(5, 12))
def test_a_call_held_back_spends_nothing(
    state: Redis, clock: HeldClock, rate: float, burst: int, quota: int, calls: int
) -> None:
    """No limit is touched by a denial, whichever limit it was."""
    declared = {"quota": Quota(limit=quota)} if quota else {}
    gate = gate_of(state, clock, rate=Rate(calls=rate, burst=burst), **declared)
    at = keys("acme")

    for _ in range(calls):
        before = state.hgetall(at.limits), state.zrange(at.leases, 0, -1), state.hgetall(at.breaker)
        decision, _ = ask(gate)
        if decision.word != "admit":
            after = state.hgetall(at.limits), state.zrange(at.leases, 0, -1), state.hgetall(at.breaker)
            assert after == before


def test_a_call_held_back_by_the_quota_keeps_its_token(state: Redis, clock: HeldClock) -> None:
    """The quota is asked before the bucket is touched."""
    gate = gate_of(state, clock, rate=Rate(calls=1, burst=2), quota=Quota(limit=1))
    ask(gate)

    denied, _ = ask(gate)

    assert denied.word == "quota"
    assert denied.tokens == 1.0


def test_a_quota_lasts_until_the_providers_own_midnight(state: Redis, clock: HeldClock) -> None:
    """Eleven in the evening in New York is past midnight in London, and the quota is New York's."""
    zone = ZoneInfo("America/New_York")
    today = datetime.now(zone).replace(hour=23, minute=0, second=0, microsecond=0)
    gate = gate_of(state, clock, quota=Quota(limit=1, zone="America/New_York"))
    clock.ms = round(today.timestamp() * 1000)
    ask(gate)

    denied, _ = ask(gate)
    clock.ms += round(denied.wait * 1000)
    again, _ = ask(gate)

    assert denied.word == "quota"
    assert denied.wait <= 3600.0
    assert again.word == "admit"


def test_days_of_23_and_25_hours_end_at_midnight() -> None:
    """The clocks went forward on 8 March 2026 and back on 1 November 2026."""
    noon = ZoneInfo("America/New_York")
    spring = day_ends("America/New_York", datetime(2026, 3, 8, 12, tzinfo=noon).timestamp())
    autumn = day_ends("America/New_York", datetime(2026, 11, 1, 12, tzinfo=noon).timestamp())

    assert (spring[1] - spring[0]) / 3_600_000 == 23
    assert (autumn[1] - autumn[0]) / 3_600_000 == 25


def test_a_killed_workers_leases_come_back(state: Redis, clock: HeldClock) -> None:
    """A call that is never heard of again frees its place when its lease ends."""
    gate = gate_of(state, clock, max_concurrency=1, timeouts=Timeouts(total=30))
    ask(gate)

    denied, _ = ask(gate)
    clock.ms += round(denied.wait * 1000)
    again, _ = ask(gate)

    assert (denied.word, denied.wait) == ("concurrency", 35.0)
    assert again.word == "admit"


def test_a_cooldown_holds_everybody_and_ends_paced(state: Redis, clock: HeldClock) -> None:
    """After the pause calls resume at the rate, not as a herd."""
    gate = gate_of(state, clock, rate=Rate(calls=10, burst=10))
    _, report = ask(gate)
    end(gate, report, "throttled", 60.0)

    held, _ = ask(gate)
    clock.ms += 60_000
    at_once = [ask(gate)[0].word for _ in range(3)]
    clock.ms += 1000
    later = [ask(gate)[0].word for _ in range(12)]

    assert held.word in {"cooldown", "bucket"}
    assert held.wait == 60.1
    assert "admit" not in at_once
    assert later.count("admit") == 10


def test_a_shorter_cooldown_does_not_cut_a_longer_one(state: Redis, clock: HeldClock) -> None:
    """The provider's latest word is not always its last."""
    gate = gate_of(state, clock)
    (_, first), (_, second) = ask(gate), ask(gate)
    end(gate, first, "throttled", 60.0)
    end(gate, second, "throttled", 5.0)

    assert ask(gate)[0].wait == 60.0


def test_failures_in_a_row_open_the_breaker_and_successes_close_it(state: Redis, clock: HeldClock) -> None:
    """Closed, open after the fifth, half-open after the pause, closed after two probes."""
    gate = gate_of(state, clock, breaker=Breaker(failures=5, reset_after=60, successes=2))

    moves = [end(gate, ask(gate)[1], "failure") for _ in range(5)]
    denied, _ = ask(gate)
    clock.ms += 60_000
    first, one = ask(gate)
    after_one = end(gate, one)
    _, two = ask(gate)
    after_two = end(gate, two)

    assert moves == ["", "", "", "", "open"]
    assert (denied.word, denied.wait) == ("breaker", 60.0)
    assert (first.word, first.moved) == ("admit", "half_open")
    assert (after_one, after_two) == ("", "closed")


def test_a_success_between_failures_starts_the_count_again(state: Redis, clock: HeldClock) -> None:
    """Only failures in a row count for the consecutive rule."""
    gate = gate_of(state, clock, breaker=Breaker(failures=3))
    outcomes = ["failure", "failure", "success", "failure", "failure"]

    moves = [end(gate, ask(gate)[1], outcome) for outcome in outcomes]

    assert moves == [""] * 5


def test_half_of_the_last_twenty_calls_opens_the_breaker(state: Redis, clock: HeldClock) -> None:
    """The rate rule waits for a full window."""
    gate = gate_of(state, clock, breaker=Breaker(failures=None, ratio=0.5, window=20))
    outcomes = ["failure", "success"] * 9 + ["success"]

    early = [end(gate, ask(gate)[1], outcome) for outcome in outcomes]
    last = end(gate, ask(gate)[1], "failure")

    assert set(early) == {""}
    assert last == "open"


def test_half_open_lets_the_declared_number_of_probes_through(state: Redis, clock: HeldClock) -> None:
    """Twenty workers that ask at once send one probe, and a failed probe opens the breaker again."""
    gate = gate_of(state, clock, breaker=Breaker(failures=1, reset_after=10, probes=1))
    end(gate, ask(gate)[1], "failure")
    clock.ms += 10_000

    asked = [ask(gate) for _ in range(20)]
    probes = [report for decision, report in asked if decision.word == "admit"]
    moved = end(gate, probes[0], "failure")

    assert len(probes) == 1
    assert {decision.word for decision, _ in asked[1:]} == {"probing"}
    assert moved == "open"
    assert ask(gate)[0].wait == 10.0


def test_a_killed_workers_probe_comes_back(state: Redis, clock: HeldClock) -> None:
    """A probe that is never heard of again does not hold the breaker shut."""
    gate = gate_of(state, clock, breaker=Breaker(failures=1, reset_after=10), timeouts=Timeouts(total=5))
    end(gate, ask(gate)[1], "failure")
    clock.ms += 10_000
    ask(gate)

    denied, _ = ask(gate)
    clock.ms += round(denied.wait * 1000)
    again, _ = ask(gate)

    assert denied.word == "probing"
    assert again.word == "admit"


def test_a_probe_that_the_bucket_denies_is_not_taken(state: Redis, clock: HeldClock) -> None:
    """The probe is claimed last, so a denied one leaves room for the next."""
    gate = gate_of(state, clock, rate=Rate(calls=0.01, burst=1), breaker=Breaker(failures=1, reset_after=10))
    end(gate, ask(gate)[1], "failure")
    clock.ms += 10_000

    denied, _ = ask(gate)

    assert denied.word == "bucket"
    assert state.zcard(keys("acme").probes) == 0


def test_calls_from_before_the_outage_do_not_close_the_breaker(state: Redis, clock: HeldClock) -> None:
    """A late success is no probe."""
    gate = gate_of(state, clock, breaker=Breaker(failures=1, reset_after=10, successes=1))
    _, early = ask(gate)
    end(gate, ask(gate)[1], "failure")

    moved = end(gate, early, "success")

    assert moved == ""
    assert ask(gate)[0].word == "breaker"


def test_a_report_counts_once(state: Redis, clock: HeldClock) -> None:
    """A finish repeated after a lost reply does not count twice."""
    gate = gate_of(state, clock, breaker=Breaker(failures=2))
    _, report = ask(gate)

    moves = [end(gate, report, "failure") for _ in range(3)]

    assert moves == ["", "", ""]


def test_throttling_leaves_the_breaker_alone(state: Redis, clock: HeldClock) -> None:
    """429 means too often, not down."""
    gate = gate_of(state, clock, breaker=Breaker(failures=1))

    moved = end(gate, ask(gate)[1], "throttled", 1.0)

    assert moved == ""
    assert state.hget(keys("acme").breaker, "state") is None


def test_the_same_question_flies_once(state: Redis, clock: HeldClock) -> None:
    """A second asker of the same thing waits until the first has its answer."""
    gate = gate_of(state, clock)
    _, first = gate.begin(Claim(), flight="f00")

    second, _ = gate.begin(Claim(), flight="f00")
    other, _ = gate.begin(Claim(), flight="ba5")
    end(gate, first, "failure")
    third, _ = gate.begin(Claim(), flight="f00")

    assert second.word == "in_flight"
    assert (other.word, third.word) == ("admit", "admit")


def test_who_missed_the_answer_by_a_moment_does_not_ask_again(state: Redis, clock: HeldClock) -> None:
    """It looked in the cache before the answer was kept, and comes to the gate after."""
    gate = gate_of(state, clock)
    _, first = gate.begin(Claim(), flight="f00")
    end(gate, first)

    late, _ = gate.begin(Claim(), flight="f00")

    assert late.word == "in_flight"
    assert late.wait <= 0.25


def test_a_firm_reason_is_told_before_one_that_is_polled(state: Redis, clock: HeldClock) -> None:
    """An open breaker lasts; another call's lease ends any moment."""
    gate = gate_of(state, clock, max_concurrency=2, breaker=Breaker(failures=1, reset_after=20))
    (_, first), _ = ask(gate), ask(gate)
    end(gate, first, "failure")
    ask(gate)

    denied, _ = ask(gate)

    assert (denied.word, denied.wait) == ("breaker", 20.0)


def test_a_pause_is_told_before_somebody_elses_probe(state: Redis, clock: HeldClock) -> None:
    """The probe's lease may be long, but the probe is not; the pause lasts."""
    gate = gate_of(state, clock, breaker=Breaker(failures=1, reset_after=10))
    (_, first), (_, second) = ask(gate), ask(gate)
    end(gate, first, "failure")
    clock.ms += 10_000
    ask(gate)
    end(gate, second, "throttled", 5.0)

    denied, _ = ask(gate)

    assert (denied.word, denied.wait) == ("cooldown", 5.0)
