"""How the providers stand, read from what the real gate and records wrote."""

from __future__ import annotations

import time
from typing import get_args

import pytest
from pydantic import SecretStr
from redis.exceptions import ConnectionError as RedisConnectionError

from config.settings import ProviderSettings
from tasks.upkeep import EVENTS
from tests.integration.conftest import HeldClock
from tests.integration.deployment import NAME, Deployment, letter
from worker.claim import Claim
from worker.cli.desk import Desk
from worker.concerns import Kind, all_concerns, concerns
from worker.gate import Gate
from worker.keys import keys
from worker.limits import forget
from worker.metrics.gauges import ProviderState, families
from worker.record import Records
from worker.snapshot import Standing, look, provider_states, standings, view

CHOSEN = ProviderSettings(rate=1.0, burst=10, daily_quota=20)


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment with a small bucket and a small quota."""
    return Deployment(url=redis_url, chosen=CHOSEN)


@pytest.fixture
def pooled(redis_url: str) -> Deployment:
    """The same with two keys."""
    keys = (SecretStr("key-a"), SecretStr("key-b"))
    return Deployment(url=redis_url, chosen=CHOSEN.model_copy(update={"api_keys": keys}))


def standing(here: Deployment) -> Standing:
    """The provider as it stands now."""
    return standings(here.engine, [NAME])[0]


def park(here: Deployment, count: int, lane: str = "interactive") -> None:
    """So many calls more in line."""
    before = here.engine.state.zcard(keys(NAME).parked)
    here.records.park([(f"{lane}-{before + number}", "[]") for number in range(count)], lane=lane)


def fail(here: Deployment, task_id: str, *, gate: Gate | None = None) -> str:
    """One task whose call failed and is to be tried again; what became of it."""
    gate = gate or here.gate()
    here.records.write(task_id, "[]", behind=False)
    claim = Claim(home=NAME, task_id=task_id, recorded=True)
    _, report = gate.begin(claim, patience=1000.0)
    report.outcome = "neutral"
    return gate.finish(report, claim, "retry", wait=60.0, attempt=1, reason="upstream_error")[1]


def test_a_provider_that_was_never_called_has_everything_left(here: Deployment) -> None:
    """No key in Redis means full, closed and empty, not unknown."""
    found = standing(here)

    assert (found.breaker, found.open_until, found.opened_at) == ("closed", None, None)
    assert (found.tokens, found.burst) == (10.0, 10)
    assert (found.quota_left, found.quota_limit) == (20, 20)
    assert (found.queued, found.running, found.waiting, found.in_flight, found.dead_letters) == (0,) * 5
    assert found.quota_until is not None
    assert 0 < found.quota_until - found.at <= 86_400


def test_a_tripped_breaker_is_open_until_its_rule_ends_it(here: Deployment) -> None:
    """Five failures in a row; a minute."""
    here.call("failure", times=5)

    found = standing(here)

    assert found.breaker == "open"
    assert found.open_until is not None
    assert 55 < found.open_until - found.at <= 60
    assert found.open_for < 5
    assert not found.by_hand


def test_an_open_breaker_whose_time_is_up_is_half_open(here: Deployment, clock: HeldClock) -> None:
    """As the next call will find it: the script that moves it has not run yet."""
    clock.ms -= 400_000
    here.call("failure", times=5, gate=here.gate(now=clock))

    found = standing(here)
    decision, _ = here.gate().begin(Claim())

    assert (found.breaker, found.open_until) == ("half_open", None)
    assert decision.moved == "half_open"
    assert 395 < found.open_for < 410


def test_a_failed_probe_does_not_make_the_outage_younger(here: Deployment, clock: HeldClock) -> None:
    """Open for ten minutes is open for ten minutes, however often it was tried."""
    clock.ms -= 600_000
    gate = here.gate(now=clock)
    here.call("failure", times=5, gate=gate)
    clock.ms += 590_000
    here.call("failure", gate=gate)

    found = standing(here)

    assert found.breaker == "open"
    assert found.open_for > 595


def test_a_breaker_opened_by_hand_stays_until_it_is_closed_by_hand(here: Deployment) -> None:
    """And says so instead of a date in the next century."""
    Desk(here.engine, here.app).breaker(NAME).open_for()

    found = standing(here)

    assert (found.breaker, found.by_hand) == ("open", True)


def test_the_bucket_refills_as_the_gate_refills_it(here: Deployment, clock: HeldClock) -> None:
    """All ten tokens were taken three seconds ago; one comes back each second."""
    clock.ms -= 3000
    here.call("success", times=10, gate=here.gate(now=clock))

    found = standing(here)

    assert found.tokens is not None
    assert 2.9 < found.tokens < 6


def test_a_cooldown_is_shown_with_its_end_and_an_empty_bucket(here: Deployment) -> None:
    """Nobody calls until then, and afterwards the bucket starts from nothing."""
    here.call("throttled", pause=30.0)

    found = standing(here)

    assert found.cooldown_until is not None
    assert 25 < found.cooldown_until - found.at <= 30
    assert found.tokens == 0.0
    assert found.breaker == "closed"


def test_a_cooldown_that_is_over_is_none(here: Deployment, clock: HeldClock) -> None:
    """The key stays in Redis; what it says is past."""
    clock.ms -= 60_000
    here.call("throttled", pause=30.0, gate=here.gate(now=clock))

    assert standing(here).cooldown_until is None


def test_a_quota_of_yesterday_is_whole_again(here: Deployment, clock: HeldClock) -> None:
    """The counter in Redis is reset by the next call, the reader does not wait for it."""
    clock.ms -= 2 * 86_400_000
    here.call("success", times=5, gate=here.gate(now=clock))

    found = standing(here)

    assert found.quota_left == 20
    assert found.quota_until is not None
    assert found.quota_until > found.at


def test_todays_calls_are_taken_from_the_quota(here: Deployment) -> None:
    """Three calls, seventeen left."""
    here.call("success", times=3)

    assert standing(here).quota_left == 17


def test_calls_are_counted_where_they_are(here: Deployment) -> None:
    """Queued, running, waiting, dead: each call in one of them."""
    here.records.write("queued", "[]")
    here.records.write("later", "[]", due=round((time.time() + 60) * 1000))
    here.records.write("runs", "[]")
    here.gate().begin(Claim(home=NAME, task_id="runs", recorded=True))
    here.bury(letter("dead"))

    found = standing(here)

    assert (found.queued, found.running, found.waiting, found.dead_letters) == (1, 1, 1, 1)
    assert found.in_flight == 1
    assert found.oldest_queued is not None
    assert abs(found.at - found.oldest_queued) < 5
    assert found.next_due is not None
    assert 50 < found.next_due - found.at <= 60


def test_an_exchange_whose_worker_died_is_not_in_flight(here: Deployment, clock: HeldClock) -> None:
    """Its lease is over, though nobody has swept it away."""
    clock.ms -= 600_000
    here.gate(now=clock).begin(Claim())

    assert standing(here).in_flight == 0


def test_the_gauges_get_what_the_snapshot_found(here: Deployment) -> None:
    """One state for each known provider."""
    here.call("failure", times=5)
    here.records.write("later", "[]", due=round((time.time() + 60) * 1000))
    here.records.park([("p1", "[]"), ("p2", "[]")], lane="batch")
    here.bury(letter("dead"))

    states = provider_states(look(here.engine))

    assert [state.provider for state in states].count(NAME) == 1
    (found,) = (state for state in states if state.provider == NAME)
    assert found == ProviderState(
        provider=NAME,
        breaker_state=1,
        tokens=found.tokens,
        rate_factor=1.0,
        retry_budget_left=10,
        quota_remaining=15,
        quota_limit=20,
        quota_exhaustion=found.quota_exhaustion,
        parked=2,
        waiting=1,
        oldest_parked=found.oldest_parked,
        dlq_depth=1,
    )


def test_messages_that_no_worker_could_take_are_counted_and_a_concern(here: Deployment) -> None:
    """They belong to no provider: nothing is known of them but how many there are."""
    before = all_concerns(look(here.engine))
    here.engine.state.rpush("dlq:unroutable", "{}", "{}")

    last = provider_states(look(here.engine))[-1]
    shown = {
        (sample.name, sample.labels["provider"]): sample.value
        for family in families([last])
        for sample in family.samples
        if sample.labels
    }

    (concern,) = all_concerns(look(here.engine))
    assert before == []
    assert shown == {("dlq_depth", "unroutable"): 2}
    assert str(concern) == "unroutable: dead letters: 2; see narrows dlq list unroutable"


def test_a_state_redis_that_is_gone_is_an_error_and_not_a_row_of_zeros() -> None:
    """An empty dead-letter list would be a statement."""
    gone = Deployment(url="redis://127.0.0.1:1/0")

    with pytest.raises(RedisConnectionError):
        look(gone.engine)


def test_a_person_is_told_of_what_does_not_heal_by_itself(here: Deployment, clock: HeldClock) -> None:
    """A long outage and dead letters; each by its kind."""
    clock.ms -= 400_000
    here.call("failure", times=5, gate=here.gate(now=clock))
    here.bury(letter("dead"))

    found = {concern.kind: concern.amount for concern in concerns(standing(here))}

    assert set(found) == {"breaker_open", "dead_letters"}
    assert found["breaker_open"] > 300
    assert found["dead_letters"] == 1


def test_a_tenth_of_the_quota_is_a_concern(redis_url: str) -> None:
    """Two of twenty are; three are none yet."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(burst=50, daily_quota=20))
    here.call("success", times=17)
    before = concerns(standing(here))

    here.call("success")

    assert before == []
    assert [(concern.kind, concern.amount) for concern in concerns(standing(here))] == [("quota_low", 2)]


def test_a_short_outage_is_no_concern(here: Deployment) -> None:
    """The breaker rides it out."""
    here.call("failure", times=5)

    assert concerns(standing(here)) == []


def test_whoever_stands_in_line_is_counted_by_lane_and_beside_those_that_wait(here: Deployment) -> None:
    """Parked are those in line and those that wait for the retry budget; a back-off is no parking."""
    park(here, 3)
    park(here, 2, "batch")
    here.records.write("later", "[]", due=round((time.time() + 60) * 1000))

    found = standing(here)

    assert (found.in_line, found.parked, found.waiting, found.under_way) == (5, 5, 1, 0)
    assert found.lanes == {"interactive": 3, "batch": 2, "replay": 0}
    assert found.parked_for < 5


def test_the_oldest_in_line_is_found_behind_younger_ones(here: Deployment, clock: HeldClock) -> None:
    """A batch of an hour ago stands behind what was asked just now."""
    clock.ms -= 3_600_000
    Records(here.engine.state, here.engine.line, NAME, now=clock).park([("old", "[]")], lane="replay")
    park(here, 10)

    assert 3599 < standing(here).parked_for < 3610


def test_calls_that_left_the_line_are_under_way_until_they_are_begun(here: Deployment) -> None:
    """Their turn has come; ten tokens let ten of them go."""
    park(here, 12)
    here.records.release(here.gate(), "worker", 32)

    found = standing(here)

    assert (found.in_line, found.under_way, found.queued, found.slots) == (2, 10, 10, 32)


def test_failures_beyond_the_retry_budget_are_slow_and_parked(redis_url: str) -> None:
    """Two retries are allowed; the third is for later."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(retry_floor=2, burst=50))

    fates = [fail(here, f"t{number}") for number in range(3)]

    found = standing(here)
    assert fates == ["retry", "retry", "slow"]
    assert (found.waiting, found.slow, found.parked, found.in_line) == (2, 1, 1, 0)
    assert (round(found.budget.retries), found.budget.left) == (2, 0)


def test_a_retry_counts_for_a_minute(redis_url: str, clock: HeldClock) -> None:
    """As the script counts it."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(retry_floor=2, burst=50))
    clock.ms -= 50_000
    fail(here, "t1", gate=here.gate(now=clock))
    inside = standing(here).budget
    here.engine.state.flushall()
    clock.ms -= 20_000
    fail(here, "t2", gate=here.gate(now=clock))

    assert (inside.retries, inside.left) == (1, 1)
    assert standing(here).budget.retries == 0


def test_a_rate_that_was_lowered_is_shown_with_its_share(here: Deployment, clock: HeldClock) -> None:
    """The second cooldown within five minutes halves it."""
    gate = here.gate(now=clock)
    clock.ms -= 10_000
    here.call("throttled", pause=2.0, gate=gate)
    clock.ms += 9000
    here.call("throttled", pause=30.0, gate=gate)

    found = standing(here)

    assert found.factor == 0.5
    assert [(each.rate, each.throttles) for each in found.credentials] == [(0.5, 2)]
    assert found.hold[0] == "cooldown"


def test_a_debt_of_tokens_is_shown_as_none_left(here: Deployment) -> None:
    """Calls that were let out ahead wait for their moment in their slots."""
    gate = here.gate()
    for _ in range(12):
        gate.begin(Claim(), patience=1000.0)

    found = standing(here)

    assert found.tokens == 0.0
    assert found.credentials[0].tokens is not None
    assert found.credentials[0].tokens < 0


def test_a_pool_is_the_sum_of_its_credentials(pooled: Deployment) -> None:
    """Bucket, quota and rate of two keys."""
    pooled.call("success", times=3)

    found = standing(pooled)

    assert (found.burst, found.quota_limit, found.quota_left) == (20, 40, 37)
    assert found.tokens is not None
    assert 17 <= found.tokens < 19
    assert len({each.digest for each in found.credentials}) == 2
    assert all(len(each.digest) == 12 for each in found.credentials)


def test_a_credential_that_was_refused_is_set_aside_and_a_concern(pooled: Deployment) -> None:
    """The other one serves, so nothing holds the line."""
    pooled.call("refused", pause=900.0)

    found = standing(pooled)

    assert found.set_aside == 1
    assert found.hold == ("bucket", None)
    assert [(concern.kind, concern.amount) for concern in concerns(found)] == [("credentials_refused", 1)]
    assert "narrows limits show" in str(concerns(found)[0])


def test_a_pool_cools_down_when_all_of_it_does(pooled: Deployment) -> None:
    """Until the first may be used again."""
    pooled.call("throttled", pause=30.0)
    half = standing(pooled)
    pooled.call("throttled", pause=90.0)

    whole = standing(pooled)

    assert half.cooldown_until is None
    assert whole.cooldown_until is not None
    assert 20 < whole.cooldown_until - whole.at <= 30
    assert whole.hold == ("cooldown", whole.cooldown_until)


def test_what_was_learnt_is_forgotten_but_not_what_was_used(pooled: Deployment, clock: HeldClock) -> None:
    """Rate, throttling, cooldown, refusal; calls resume paced."""
    gate = pooled.gate(now=clock)
    clock.ms -= 5000
    pooled.call("refused", pause=900.0, gate=gate)
    pooled.call("throttled", pause=1.0, gate=gate)
    clock.ms += 4000
    pooled.call("throttled", pause=60.0, gate=gate)
    learnt = standing(pooled)
    limits = view(pooled.engine, NAME).limits

    touched = forget(pooled.engine.state, limits)

    found = standing(pooled)
    assert (learnt.factor, learnt.set_aside, learnt.hold[0]) == (0.75, 1, "cooldown")
    assert touched == 2
    assert (found.factor, found.set_aside, found.cooldown_until, found.quota_left) == (1.0, 0, None, 37)
    assert found.hold == ("bucket", None)
    assert forget(pooled.engine.state, limits) == 0
    assert forget(pooled.engine.state, limits, quota=True) == 2
    assert standing(pooled).quota_left == 40


def test_a_quota_that_will_not_do_is_foreseen(here: Deployment) -> None:
    """Twenty calls today, a line of fifty at one a second: thirty of them slip to tomorrow."""
    here.call("success", times=10)
    park(here, 50)

    found = standing(here)

    assert found.slipping == 40
    assert found.quota_spent_at is not None
    assert 5 < found.quota_spent_at - found.at <= 11
    assert found.drained_at is not None
    assert found.quota_until is not None
    assert found.drained_at > found.quota_until


def test_a_quota_ends_at_the_pace_of_the_last_minute(redis_url: str) -> None:
    """Thirty calls a minute, sixty left: two minutes; and a quota that lasts has no end."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(rate=100.0, burst=50, daily_quota=90))
    here.call("success", times=30)

    found = standing(here)

    assert found.quota_spent_at is not None
    assert 110 < found.quota_spent_at - found.at < 130
    assert standings(Deployment(url=redis_url).engine, [NAME])[0].quota_spent_at is None


def test_a_look_is_one_round_trip_and_writes_nothing(pooled: Deployment) -> None:
    """However many providers and credentials, and whatever there is to see."""
    park(pooled, 30)
    pooled.call("throttled", pause=30.0)
    standing(pooled)
    state = pooled.engine.state
    before = {key: state.dump(key) for key in state.keys("*")}
    read = state.info("stats")["total_reads_processed"]

    standings(pooled.engine, [NAME, NAME])

    assert state.info("stats")["total_reads_processed"] - read == 2  # the look and this question
    assert {key: state.dump(key) for key in state.keys("*")} == before


def test_as_many_calls_as_are_allowed_hold_the_line(redis_url: str) -> None:
    """Until one of them ends, and nobody knows when."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(max_concurrency=2))
    gate = here.gate()
    reports = [gate.begin(Claim())[1] for _ in range(2)]
    full = standing(here)
    gate.finish(reports[0], Claim())

    assert full.hold == ("concurrency", None)
    assert standing(here).hold[0] != "concurrency"


def test_a_probe_under_way_holds_the_line(here: Deployment, clock: HeldClock) -> None:
    """What it hears decides for all."""
    clock.ms -= 70_000
    here.call("failure", times=5, gate=here.gate(now=clock))
    here.gate().begin(Claim())

    found = standing(here)

    assert (found.breaker, found.probes) == ("half_open", 1)
    assert found.hold == ("probing", None)


def test_every_concern_has_a_line_in_the_log() -> None:
    """Or beat would fail over the first one that has none."""
    assert set(get_args(Kind)) == set(EVENTS)
