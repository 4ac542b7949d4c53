"""The record's promises: one runner at a time, nothing lost, nothing done twice."""

from __future__ import annotations

from typing import Any

import pytest
from redis import Redis

from tests.integration.conftest import HeldClock
from worker.claim import Claim
from worker.gate import Gate
from worker.keys import keys
from worker.provider import Provider, Rate
from worker.record import FATAL_LOSSES, Records

ACME = Provider(name="acme", base_url="http://127.0.0.1", rate=Rate(calls=1000, burst=1000))


@pytest.fixture
def records(state: Redis) -> Records:
    """The records of a provider."""
    return Records(state, state, "acme")


@pytest.fixture
def gate(state: Redis) -> Gate:
    """Its gate, on the server's own clock."""
    return Gate(state, ACME)


def claim(task_id: str = "t1", *, recorded: bool = True) -> Claim:
    """A worker that has just got the message of *task_id*."""
    return Claim(home="acme", task_id=task_id, recorded=recorded, rebuild=lambda: '["bare"]')


def index_of(records: Records, state: Redis, task_id: str) -> list[str]:
    """The indexes that hold *task_id*."""
    at = records.keys
    named = {"queued": at.queued, "running": at.running, "waiting": at.waiting}
    return [name for name, key in named.items() if state.zscore(key, task_id) is not None]


def test_a_second_copy_of_a_running_call_is_dropped(records: Records, gate: Gate) -> None:
    """One message delivered twice runs once."""
    records.write("t1", "[]")
    first, second = claim(), claim()

    words = [gate.begin(first)[0].word, gate.begin(second)[0].word]

    assert words == ["admit", "duplicate"]
    assert second.token == 0


def test_a_copy_of_a_call_that_ended_finds_no_record(records: Records, gate: Gate) -> None:
    """The result then tells whether it ended or was lost."""
    records.write("t1", "[]")
    runner = claim()
    _, report = gate.begin(runner)
    gate.finish(report, runner, "end")

    late, _ = gate.begin(claim())

    assert late.word == "gone"
    assert records.get("t1") == {}


def test_a_call_enqueued_by_bare_name_gets_its_record_when_it_is_first_seen(
    records: Records, gate: Gate
) -> None:
    """And a late copy of it is known although its producer wrote nothing."""
    runner = claim(recorded=False)
    _, report = gate.begin(runner)
    seen = records.get("t1")
    gate.finish(report, runner, "end")

    late, _ = gate.begin(claim(recorded=False))

    assert (seen["state"], seen["message"]) == ("running", '["bare"]')
    assert late.word == "duplicate"


def test_who_lost_the_lease_changes_nothing_afterwards(records: Records, gate: Gate, state: Redis) -> None:
    """A worker that slept through its lease is fenced off by the next one's token."""
    records.write("t1", "[]")
    sleeper, taker = claim(), claim()
    _, report = gate.begin(sleeper, lease=0.0)
    assert [found.kind for found in records.orphans(grace=10, depth=0)] == ["lost"]
    gate.begin(taker)

    _, fate = gate.finish(report, sleeper, "dead", letter="{}")
    word = gate.begin(sleeper)[0].word

    assert (fate, word) == ("fenced", "fenced")
    assert state.llen(keys("acme").dlq) == 0
    assert index_of(records, state, "t1") == ["running"]


def test_a_begin_repeated_after_a_lost_reply_admits_once(state: Redis) -> None:
    """The nonce tells: neither a token nor a lease is taken twice."""
    gate = Gate(state, ACME)
    sent: list[tuple[object, ...]] = []

    class Twice:
        """Sends each script twice, as after a connection that broke while the reply was on its way."""

        def execute_command(self, *command: object) -> object:
            sent.append(command)
            state.execute_command(*command)
            return state.execute_command(*command)

    Records(state, state, "acme").write("t1", "[]")
    Gate(state, ACME).begin(Claim())
    gate.redis = Twice()
    runner = claim()

    decision, _ = gate.begin(runner)

    assert decision.word == "admit"
    assert runner.token == 1
    assert state.zcard(keys("acme").leases) == 2


def test_a_waiting_call_comes_back_when_its_time_has_come(records: Records, gate: Gate, state: Redis) -> None:
    """Held back costs no attempt, and no message lies anywhere meanwhile."""
    records.write("t1", '["m"]')
    runner = claim()
    _, report = gate.begin(runner)
    gate.finish(report, runner, "wait", wait=0.0, reason="bucket")
    waited = index_of(records, state, "t1")

    found = records.release(gate, "worker", 1).calls

    assert waited == ["waiting"]
    assert [(call.task_id, call.message) for call in found] == [("t1", b'["m"]')]
    assert index_of(records, state, "t1") == ["queued"]
    assert records.get("t1")["attempt"] == "0"


def test_a_call_that_is_not_due_stays(records: Records, gate: Gate) -> None:
    """Nobody is woken early."""
    records.write("t1", "[]")
    runner = claim()
    _, report = gate.begin(runner)
    gate.finish(report, runner, "wait", wait=60.0, reason="breaker")

    assert records.orphans(grace=0, depth=0) == []


def test_a_lost_message_is_found_when_the_queue_is_shorter_than_the_records(records: Records) -> None:
    """The broker lost one of two messages: one call, the oldest, is published again."""
    records.write("1st", "[]")
    records.write("2nd", "[]")

    found = records.orphans(grace=0, depth=1)

    assert [(orphan.task_id, orphan.kind) for orphan in found] == [("1st", "unclaimed")]
    assert records.orphans(grace=10, depth=1) == []


def test_a_long_queue_is_not_published_again(records: Records) -> None:
    """Calls whose messages are in the broker only wait for a worker."""
    for number in range(20):
        records.write(f"t{number}", "[]")

    assert records.orphans(grace=0, depth=20) == []


def test_a_call_that_took_its_worker_down_three_times_is_poison(
    records: Records, gate: Gate, state: Redis
) -> None:
    """It is claimed by who finds it, so that it is buried once and never delivered again."""
    records.write("t1", "[]")
    kinds = []
    for _ in range(FATAL_LOSSES):
        gate.begin(claim(), lease=0.0)
        kinds += [(found.kind, found.token) for found in records.orphans(grace=10, depth=0)]

    undertaker = Claim(home="acme", task_id="t1", token=kinds[-1][1])
    _, fate = gate.finish(None, undertaker, "dead", letter='{"code":"worker_lost"}')

    assert [kind for kind, _ in kinds] == ["lost", "lost", "poison"]
    assert fate == "dead"
    assert state.lrange(keys("acme").dlq, 0, -1) == [b'{"code":"worker_lost"}']


def test_a_heartbeat_keeps_the_lease_of_who_still_runs(records: Records, gate: Gate) -> None:
    """And does not bring back a call that somebody else took over."""
    records.write("t1", "[]")
    records.write("t2", "[]")
    mine, lost = claim("t1"), claim("t2")
    gate.begin(mine, lease=0.0)
    gate.begin(lost, lease=0.0)
    lost.token -= 1

    extended = records.extend([mine, lost], lease=30.0)

    assert extended == 1
    assert [found.task_id for found in records.orphans(grace=10, depth=5)] == ["t2"]


@pytest.mark.parametrize("state_before", ["queued", "waiting"])
def test_a_revoked_call_does_not_start(records: Records, gate: Gate, state: Redis, state_before: str) -> None:
    """Whatever copies are still under way."""
    records.write("t1", "[]", due=None if state_before == "queued" else 99_999_999_999_999)

    was, message = records.cancel("t1")
    word = gate.begin(claim())[0].word

    assert (was, message) == (state_before, b"[]")
    assert word in {"revoked", "duplicate"}
    assert index_of(records, state, "t1") == []


def test_a_running_call_hears_of_its_revocation_at_its_next_begin(records: Records, gate: Gate) -> None:
    """An exchange under way is not torn, the next is not made."""
    records.write("t1", "[]")
    runner = claim()
    gate.begin(runner)
    records.cancel("t1")

    assert gate.begin(runner)[0].word == "revoked"


def test_a_copy_of_a_running_call_is_not_told_of_its_revocation(records: Records, gate: Gate) -> None:
    """It would show the caller REVOKED while the call goes on, and may yet be answered."""
    records.write("t1", "[]")
    gate.begin(claim())
    records.cancel("t1")

    assert gate.begin(claim())[0].word == "duplicate"


def test_a_late_copy_does_not_revoke_a_call_that_was_answered(records: Records, gate: Gate) -> None:
    """It was revoked while it ran, too late; the answer stands."""
    records.write("t1", "[]")
    runner = claim()
    runner.silent = True
    _, report = gate.begin(runner)
    records.cancel("t1")
    gate.finish(report, runner, "end")

    assert gate.begin(claim())[0].word == "duplicate"


def test_a_call_for_later_waits_without_a_message(records: Records, state: Redis) -> None:
    """An ETA is a waiting record, not a message in some worker's memory."""
    publish = records.write("t1", "[]", due=99_999_999_999_999)

    assert publish is False
    assert index_of(records, state, "t1") == ["waiting"]


def test_a_held_clock_is_honoured(state: Redis, clock: HeldClock) -> None:
    """Tests and scripts agree on what now is."""
    gate = Gate(state, ACME, now=clock)

    decision, _ = gate.begin(Claim())

    assert decision.at == clock.ms / 1000


def test_a_second_enqueue_under_one_id_is_the_first(records: Records, gate: Gate, state: Redis) -> None:
    """A call that runs is not queued again behind its worker's back."""
    records.write("t1", "[]")
    gate.begin(claim())

    publish = records.write("t1", "[]")

    assert publish is False
    assert index_of(records, state, "t1") == ["running"]
    assert gate.begin(claim())[0].word == "duplicate"


def test_an_id_whose_call_was_cancelled_may_be_used_again(records: Records, gate: Gate) -> None:
    """The caller who heard that nothing was enqueued tries once more."""
    records.write("t1", "[]")
    records.cancel("t1")

    records.write("t1", "[]")

    assert gate.begin(claim())[0].word == "admit"


def test_one_wrong_guess_does_not_make_the_whole_backlog_look_overtaken(
    records: Records, gate: Gate, state: Redis
) -> None:
    """A copied call keeps its age, so that its claim says nothing about those behind it."""
    for number in range(20):
        records.write(f"t{number:02}", "[]")
    backdate(state, records, 60_000)
    first = records.orphans(grace=10, depth=19)
    gate.begin(claim(first[0].task_id))

    assert [found.task_id for found in first] == ["t00"]
    assert records.orphans(grace=10, depth=20) == []


def test_copies_of_one_call_come_ever_more_seldom(records: Records, state: Redis) -> None:
    """A queue that nobody reads is not filled with copies."""
    records.write("t1", "[]")
    copies = 0
    for _ in range(30):
        backdate(state, records, 10_000)
        copies += len(records.orphans(grace=10, depth=0))

    assert copies <= 5


def test_a_bare_call_says_nothing_about_how_far_the_queue_was_read(
    records: Records, gate: Gate, state: Redis
) -> None:
    """Its record is as old as its claim, not as its message."""
    records.write("t1", "[]")
    backdate(state, records, 60_000)
    bare = claim("b1", recorded=False)
    for _ in range(2):
        gate.begin(bare)

    assert records.orphans(grace=10, depth=1) == []


def test_a_good_turn_forgives_lost_workers(records: Records, gate: Gate) -> None:
    """Three in a row are poison, three in a week are not."""
    records.write("t1", "[]")
    kinds = []
    for _ in range(FATAL_LOSSES + 1):
        gate.begin(claim(), lease=0.0)
        kinds += [found.kind for found in records.orphans(grace=10, depth=0)]
        runner = claim()
        _, report = gate.begin(runner)
        gate.finish(report, runner, "wait", wait=0.0, reason="bucket")
        kinds += [found.kind for found in records.orphans(grace=10, depth=0)]

    assert "poison" not in kinds


def test_standing_in_line_does_not_forgive_lost_workers(records: Records, gate: Gate) -> None:
    """A call that takes down whoever makes it is parked between any two of them."""
    records.write("t1", "[]")
    kinds = []
    for _ in range(FATAL_LOSSES):
        gate.begin(claim(), lease=0.0)
        kinds += [found.kind for found in records.orphans(grace=10, depth=0)]
        held_back = claim()
        gate.claim(held_back)
        gate.finish(None, held_back, "park", reason="bucket")
        records.release(gate, "worker", 10)

    assert kinds == ["lost", "lost", "poison"]


@pytest.mark.parametrize("recorded", [True, False])
def test_a_dead_letter_of_a_call_that_was_never_claimed_is_written_once(
    records: Records, gate: Gate, state: Redis, *, recorded: bool
) -> None:
    """Bad arguments end a call before its first begin, and its message may come twice."""
    if recorded:
        records.write("t1", "[]")

    fates = [gate.finish(None, claim(recorded=recorded), "dead", letter="{}")[1] for _ in range(2)]

    assert fates == ["dead", "fenced"]
    assert state.llen(keys("acme").dlq) == 1


def test_who_stores_no_result_leaves_a_trace_for_late_copies(records: Records, gate: Gate) -> None:
    """Nothing else would tell that the call has ended."""
    records.write("t1", "[]")
    runner = claim()
    runner.silent = True
    _, report = gate.begin(runner)
    gate.finish(report, runner, "end")

    assert gate.begin(claim())[0].word == "duplicate"


def test_a_task_with_next_steps_is_claimed_before_the_cache_may_answer_it(
    records: Records, gate: Gate
) -> None:
    """The second copy is dropped, and starts nothing again."""
    records.write("t1", "[]")
    first, second = claim(), claim()

    words = [gate.claim(first), gate.claim(second)]

    assert words == ["ok", "duplicate"]
    assert gate.begin(first)[0].word == "admit"


def backdate(state: Redis, records: Records, milliseconds: int) -> None:
    """Let the queued calls be older than they are."""
    queued: Any = state.zrange(records.keys.queued, 0, -1, withscores=True)
    for task_id, score in queued:
        state.zadd(records.keys.queued, {task_id: score - milliseconds})
        key = records.keys.call(task_id.decode())
        if state.hget(key, "copied") is None:
            state.hincrby(key, "published_at", -milliseconds)
