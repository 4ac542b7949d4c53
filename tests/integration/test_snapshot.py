"""How the providers stand, read from what the real gate and records wrote."""

from __future__ import annotations

import time

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from config.settings import ProviderSettings
from tests.integration.conftest import HeldClock
from tests.integration.deployment import NAME, Deployment, letter
from worker.claim import Claim
from worker.cli.desk import Desk
from worker.concerns import concerns
from worker.metrics.gauges import ProviderState
from worker.snapshot import Standing, provider_states, standings

CHOSEN = ProviderSettings(rate=1.0, burst=10, daily_quota=20)


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment with a small bucket and a small quota."""
    return Deployment(url=redis_url, chosen=CHOSEN)


def standing(here: Deployment) -> Standing:
    """The provider as it stands now."""
    return standings(here.engine, [NAME])[0]


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
    here.bury(letter("dead"))

    states = provider_states(here.engine)

    assert [state.provider for state in states].count(NAME) == 1
    (found,) = (state for state in states if state.provider == NAME)
    assert found == ProviderState(
        provider=NAME,
        breaker_state=1,
        tokens=found.tokens,
        quota_remaining=15,
        parked=1,
        dlq_depth=1,
    )


def test_a_state_redis_that_is_gone_is_an_error_and_not_a_row_of_zeros() -> None:
    """An empty dead-letter list would be a statement."""
    gone = Deployment(url="redis://127.0.0.1:1/0")

    with pytest.raises(RedisConnectionError):
        provider_states(gone.engine)


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
