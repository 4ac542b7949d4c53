"""Where a call is and why, read from what the real gate and records wrote."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery import states
from pydantic import SecretStr

from config.settings import ProviderSettings
from tests.integration.conftest import HeldClock
from tests.integration.deployment import NAME, Deployment, letter
from tests.integration.quay import Quay, declared
from worker.claim import Claim
from worker.cli.desk import Desk
from worker.gate import Gate
from worker.keys import keys
from worker.letters.deadletter import iso
from worker.whereabouts import Whereabouts
from worker.why import explain, whereabouts

CHOSEN = ProviderSettings(rate=1.0, burst=1, daily_quota=1000)


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """An empty deployment whose provider takes a call each second."""
    made = Deployment(url=redis_url, chosen=CHOSEN)
    made.app.conf.result_backend = f"worker.results:Results+{redis_url}"
    return made


def why(here: Deployment, task_id: str) -> Whereabouts:
    """What is known of one call."""
    return explain(here.engine, here.app, task_id)


def park(here: Deployment, count: int, lane: str = "interactive") -> None:
    """Calls ``c1``, ``c2`` and so on, in line; the bucket is empty."""
    here.call("success")
    here.records.park([(f"c{number + 1}", "[]") for number in range(count)], lane=lane)


def begun(here: Deployment, task_id: str, *, gate: Gate | None = None) -> tuple[Any, Claim, Gate]:
    """A task whose call is under way: its report, its claim and its gate."""
    gate = gate or here.gate()
    here.records.write(task_id, "[]", behind=False)
    claim = Claim(home=NAME, task_id=task_id, recorded=True)
    _, report = gate.begin(claim, patience=60_000.0)
    return report, claim, gate


def seconds_until(found: Whereabouts) -> float:
    """How long it is expected to wait."""
    assert found.expected is not None
    return found.expected - found.at


# --- in the queue, and running --------------------------------------------------------------------


def test_a_queued_call_says_when_it_was_published_and_how_many_are_before_it(here: Deployment) -> None:
    """Two were published before the third."""
    for task_id in ("a", "b", "c"):
        here.records.write(task_id, "[]")
        time.sleep(0.002)

    found = why(here, "c")

    assert (found.state, found.provider, found.position) == ("queued", NAME, 3)
    assert found.since is not None
    assert 0 <= found.at - found.since < 5
    assert str(found).endswith("2 before it")


def test_a_running_call_says_since_when_and_how_long_its_lease_lasts(here: Deployment) -> None:
    """Thirty seconds, unless its worker says more."""
    begun(here, "t1")

    found = why(here, "t1")

    assert found.state == "running"
    assert found.since is not None
    assert 0 <= found.at - found.since < 5
    assert found.until is not None
    assert 25 < found.until - found.at <= 30


def test_a_running_call_that_waited_before_is_not_running_since_then(
    here: Deployment, clock: HeldClock
) -> None:
    """It was parked an hour ago and has been released just now."""
    clock.ms -= 3_600_000
    report, claim, gate = begun(here, "t1", gate=here.gate(now=clock))
    gate.finish(report, claim, "park", reason="bucket")
    here.records.release(here.gate(), "worker", 8)
    here.gate().begin(Claim(home=NAME, task_id="t1", recorded=True))

    found = why(here, "t1")

    assert found.state == "running"
    assert found.since is not None
    assert found.at - found.since < 60


# --- in line --------------------------------------------------------------------------------------


def test_a_parked_call_says_its_place_and_when_it_is_expected(here: Deployment) -> None:
    """At one a second place 30 is half a minute, and nobody serves it yet."""
    park(here, 40)

    found = why(here, "c30")

    assert (found.state, found.reason, found.position, found.lane) == ("parked", "bucket", 30, "interactive")
    assert 28 < seconds_until(found) <= 30
    assert str(found).startswith(f"parked · {NAME} bucket · position 30 · about ")


def test_the_place_counts_across_lanes(here: Deployment) -> None:
    """The first of a batch stands behind as many others as leave before it."""
    here.records.park([(f"b{number}", "[]") for number in range(5)], lane="batch")
    park(here, 10)

    assert (why(here, "c1").position, why(here, "b0").position, why(here, "b4").position) == (1, 4, 15)
    assert why(here, "b0").lane == "batch"


def test_a_line_that_no_worker_serves_says_so(here: Deployment, clock: HeldClock) -> None:
    """A worker that looks at it is seen for five seconds."""
    clock.ms -= 60_000
    report, claim, gate = begun(here, "t1", gate=here.gate(now=clock))
    gate.finish(report, claim, "park", reason="bucket")
    gate = here.gate()
    Desk(here.engine, here.app).breaker(NAME).open_for(60)

    before = why(here, "t1")
    here.records.release(gate, "worker", 8)

    assert not before.served
    assert str(before).endswith("no worker serves it now")
    assert why(here, "t1").served


def test_the_reason_is_what_holds_the_line_now(here: Deployment) -> None:
    """Parked for want of a token; then the provider asks for a pause, and then its breaker opens."""
    report, claim, gate = begun(here, "other")
    here.records.park([("c1", "[]"), ("c2", "[]")], lane="batch")
    short = why(here, "c1")
    report.outcome, report.pause = "throttled", 30.0
    gate.finish(report, claim, "end")
    cooling = why(here, "c1")
    Desk(here.engine, here.app).breaker(NAME).open_for(90)

    found = why(here, "c2")

    assert short.reason == "bucket"
    assert cooling.reason == "cooldown"
    assert 25 < seconds_until(cooling) <= 32
    assert found.reason == "breaker"
    assert 85 < seconds_until(found) <= 92


def test_a_breaker_held_open_by_hand_has_no_end_to_be_expected(here: Deployment) -> None:
    """No date in the next century."""
    park(here, 1)
    Desk(here.engine, here.app).breaker(NAME).open_for()

    found = why(here, "c1")

    assert (found.reason, found.expected) == ("breaker", None)
    assert str(found) == f"parked · {NAME} breaker · position 1"


def test_what_the_quota_does_not_reach_is_expected_on_another_day(redis_url: str) -> None:
    """Three calls are left of today, and three come each day."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(rate=100.0, burst=100, daily_quota=3))
    here.records.park([(f"c{number + 1}", "[]") for number in range(7)], lane="batch")

    first, tomorrow, after = why(here, "c3"), why(here, "c4"), why(here, "c7")

    assert seconds_until(first) < 5
    assert 82_000 < seconds_until(after) - seconds_until(tomorrow) < 91_000
    assert tomorrow.expected is not None
    assert f"about {iso(tomorrow.expected)[:10]} " in str(tomorrow)


def test_a_spent_quota_is_the_reason(redis_url: str) -> None:
    """Until the provider's midnight."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(burst=10, daily_quota=2))
    here.call("success", times=2)
    here.records.park([("c1", "[]")], lane="batch")

    assert why(here, "c1").reason == "quota"


def test_all_credentials_that_can_be_used_serve_the_line(redis_url: str) -> None:
    """Two of three keys, one call a second each."""
    secrets = tuple(SecretStr(f"canary-{letter}") for letter in "abc")
    here = Deployment(url=redis_url, chosen=CHOSEN.model_copy(update={"api_keys": secrets}))
    here.call("refused", pause=9000.0)
    here.call("success", times=2)
    here.records.park([(f"c{number + 1}", "[]") for number in range(100)], lane="batch")

    assert 48 < seconds_until(why(here, "c100")) <= 50.1


def test_a_lowered_rate_is_reckoned_with(here: Deployment, clock: HeldClock) -> None:
    """Half the rate is twice the wait."""
    gate = here.gate(now=clock)
    clock.ms -= 20_000
    here.call("throttled", pause=2.0, gate=gate)
    clock.ms += 10_000
    here.call("throttled", pause=1.0, gate=gate)
    clock.ms += 9000
    here.call("success", times=4, gate=gate)
    here.records.park([(f"c{number + 1}", "[]") for number in range(50)], lane="batch")

    factor = 0.55  # halved, and raised by one answer since
    assert 45 / factor < seconds_until(why(here, "c50")) < 53 / factor


# --- waiting for a time ---------------------------------------------------------------------------


def test_a_call_that_backs_off_says_after_what_and_until_when(here: Deployment) -> None:
    """The error's code and the record's own time."""
    report, claim, gate = begun(here, "t1")
    gate.finish(report, claim, "retry", wait=90.0, attempt=1, reason="upstream_error")

    found = why(here, "t1")

    assert (found.state, found.reason, found.attempts) == ("waiting", "upstream_error", 1)
    assert 85 < seconds_until(found) <= 90
    assert found.since is not None


def test_a_call_for_later_says_when(here: Deployment) -> None:
    """It was enqueued with a countdown."""
    here.records.write("t1", "[]", due=round((time.time() + 60) * 1000))

    found = why(here, "t1")

    assert (found.state, found.reason) == ("waiting", "")
    assert 55 < seconds_until(found) <= 60


def test_a_back_off_does_not_end_before_the_provider_can_be_asked(here: Deployment) -> None:
    """The breaker is open for longer than the call backs off."""
    report, claim, gate = begun(here, "t1")
    gate.finish(report, claim, "retry", wait=5.0, attempt=1, reason="upstream_error")
    Desk(here.engine, here.app).breaker(NAME).open_for(300)

    assert 290 < seconds_until(why(here, "t1")) <= 300


def test_a_slow_call_waits_for_the_retry_budget(redis_url: str) -> None:
    """One retry a minute: the second in the slow lane waits for two of them."""
    here = Deployment(url=redis_url, chosen=ProviderSettings(retry_floor=1, burst=50))
    for number in range(3):
        report, claim, gate = begun(here, f"t{number}")
        report.outcome = "neutral"
        gate.finish(report, claim, "retry", wait=1.0, attempt=1, reason="upstream_error")

    found = why(here, "t2")

    assert (found.state, found.reason, found.position) == ("slow", "upstream_error", 2)
    assert str(found).startswith(f"slow · {NAME} retry budget, after upstream_error · position 2 · about ")
    assert 100 < seconds_until(found) <= 120


# --- over -----------------------------------------------------------------------------------------


def test_a_revoked_call_is_revoked(here: Deployment) -> None:
    """By its tombstone, and by its result once that is gone."""
    here.records.write("t1", "[]")
    here.records.cancel("t1")
    here.app.backend.mark_as_revoked("t2", "revoked")

    assert (why(here, "t1").state, why(here, "t2").state) == ("revoked", "revoked")


def test_a_running_call_that_was_revoked_says_so(here: Deployment) -> None:
    """Its worker hears of it at its next begin."""
    begun(here, "t1")
    here.records.cancel("t1")

    assert (why(here, "t1").state, why(here, "t1").reason) == ("running", "revoked")


def test_a_call_that_succeeded_is_finished(here: Deployment) -> None:
    """And its result says when."""
    here.app.backend.mark_as_done("t1", {"rows": []})

    found = why(here, "t1")

    assert (found.state, found.outcome) == ("finished", "SUCCESS")
    assert found.since is not None
    assert abs(found.at - found.since) < 5


def test_a_dead_letter_is_found_by_its_id_among_many(here: Deployment) -> None:
    """On the third page."""
    here.bury(*(letter(f"letter-{number}") for number in range(1200)))
    here.app.backend.mark_as_failure("letter-1100", ValueError("canary-argument"))

    found = why(here, "letter-1100")

    assert (found.state, found.provider, found.reason) == ("dead letter", NAME, "upstream_error")
    assert (found.attempts, found.since) == (3, 1_795_168_830.0)
    assert "canary" not in str(found)


def test_a_dead_letter_is_found_when_its_result_is_gone(here: Deployment) -> None:
    """Results expire after a day, letters do not."""
    here.bury(letter("t1"))

    assert why(here, "t1").state == "dead letter"


def test_a_failure_without_a_letter_is_finished(here: Deployment) -> None:
    """Somebody discarded it, or the task is none of a provider's."""
    here.app.backend.mark_as_failure("t1", ValueError("canary-argument"))

    assert (why(here, "t1").state, why(here, "t1").outcome) == ("finished", "FAILURE")


def test_a_call_that_ended_without_a_trace_has_ended(here: Deployment) -> None:
    """Its result was not wanted; only the tombstone is left."""
    gate = here.gate()
    claim = Claim(home=NAME, task_id="t1", silent=True, rebuild=lambda: "[]")
    _, report = gate.begin(claim)
    gate.finish(report, claim, "end")

    assert why(here, "t1").state == "ended"


def test_a_task_that_only_celery_knows_is_unrecorded(here: Deployment) -> None:
    """One of upkeep's, perhaps."""
    here.app.backend.store_result("t1", {"done": 1}, "PROGRESS")

    assert (why(here, "t1").state, why(here, "t1").outcome) == ("unrecorded", "PROGRESS")


# --- what it costs --------------------------------------------------------------------------------


def test_a_look_is_one_round_trip_and_writes_nothing(here: Deployment) -> None:
    """While the call has a record."""
    park(here, 30)
    state = here.engine.state
    why(here, "c3")
    before = {key: state.dump(key) for key in state.keys("*")}
    read = state.info("stats")["total_reads_processed"]

    whereabouts(here.engine, "c30", [NAME, NAME])

    assert state.info("stats")["total_reads_processed"] - read == 2  # the look and this question
    assert {key: state.dump(key) for key in state.keys("*")} == before


# --- the command ----------------------------------------------------------------------------------


def test_the_command_says_it_in_one_line_and_then_in_full(
    here: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    """Since when, too, and how far each moment is."""
    park(here, 12)

    code = here.narrows("why", "c12")

    first, *rest = capsys.readouterr().out.splitlines()
    assert code == 0
    assert first.startswith(f"parked · {NAME} bucket · position 12 · about ")
    assert first.count("UTC") == 1
    fields = {line.split()[0] for line in rest if line.strip()}
    assert {"Task", "Provider", "Lane", "Since", "Expected"} <= fields


def test_the_command_tells_programs_the_same(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """Moments in ISO 8601, and the line."""
    park(here, 12)

    code = here.narrows("why", "c12", "--json")

    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert (found["state"], found["reason"], found["position"]) == ("parked", "bucket", 12)
    assert found["expected"].endswith("Z")
    assert found["since"].endswith("Z")
    assert found["text"].startswith("parked · ")


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_an_id_that_nobody_knows_is_code_1_and_a_sentence(
    here: Deployment, capsys: pytest.CaptureFixture[str], form: tuple[str, ...]
) -> None:
    """Not an empty answer."""
    code = here.narrows("why", "nobody", *form)

    captured = capsys.readouterr()
    assert code == 1
    assert "no call 'nobody' is known" in captured.out + captured.err
    assert not form or json.loads(captured.out)["state"] == "unknown"


def test_results_that_do_not_answer_are_named(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The state Redis is there, the other is not."""
    gone = SecretStr("redis://127.0.0.1:1/0")
    half = Deployment(url=redis_url, changed={"result_url": gone})

    code = half.narrows("why", "nobody")

    assert code == 3
    assert "the result Redis at redis://127.0.0.1:1/0 does not serve us" in capsys.readouterr().err


def test_the_words_of_celery_are_those_of_this_page() -> None:
    """What is over is told by Celery's own states."""
    assert {"SUCCESS", "FAILURE", "REVOKED"} == set(states.READY_STATES)


# --- a submission ---------------------------------------------------------------------------------


@pytest.fixture
def quay(redis_url: str) -> Iterator[Quay]:
    """An empty deployment whose provider takes submissions."""
    with declared():
        yield Quay(url=redis_url)


def test_a_submission_says_whether_it_was_sent(quay: Quay) -> None:
    """Beside where its call is."""
    quay.queued("q1")
    quay.sending("s1")
    quay.accepted("a1", "ext-1")

    said = [str(why(quay, name)) for name in ("q1", "s1", "a1")]

    assert said[0].endswith(" · not sent yet")
    assert said[1].startswith("running · quay")
    assert said[1].endswith(" · sent, not answered yet")
    assert said[2].endswith(" · accepted as ext-1")


def test_a_submission_in_doubt_says_when_its_provider_is_asked(quay: Quay) -> None:
    """It waits for that as a call that failed waits for its next attempt."""
    quay.waiting("d1", 600.0)

    found = why(quay, "d1")

    assert (found.state, found.reason) == ("waiting", "in_doubt")
    assert 590 < seconds_until(found) <= 600
    assert str(found).endswith(" · in doubt, the provider is asked when it runs")


@pytest.mark.parametrize("buried", [True, False])
def test_a_submission_that_a_person_must_decide_on_says_with_which_command(
    quay: Quay,
    buried: bool,  # noqa: FBT001
) -> None:
    """Also when its dead letter is gone."""
    quay.doubted("d1")
    if not buried:
        quay.engine.state.delete(keys("quay").dlq)

    found = why(quay, "d1")

    assert found.state == ("dead letter" if buried else "finished")
    assert str(found).endswith(" · in doubt, a person decides: narrows submission resolve d1")


def test_a_call_that_is_no_submission_says_nothing_of_one(here: Deployment) -> None:
    """Neither in words nor in fields."""
    park(here, 1)

    found = why(here, "c1")

    assert found.submission is None
    assert found.as_dict()["submission"] is None
    assert "sent" not in str(found)
