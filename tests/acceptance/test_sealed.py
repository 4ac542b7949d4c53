"""Sealed arguments with real workers: whoever reads Redis, logs, results and letters reads of nobody."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from celery import Celery, chain, chord, group
from cryptography.fernet import Fernet
from redis import Redis

from tests.acceptance.providers import STEADY, increment, keep, total
from tests.acceptance.submitted import DESKS, ONCE, report
from tests.fleet import Fleet, Ground, held, until
from worker import enqueue_many
from worker.application import app
from worker.engine import engine
from worker.errors import ArgumentsInvalid, ConfigurationError, NarrowsError, SealBroken
from worker.keys import digest, keys
from worker.message import frozen, thawed
from worker.sealing.opening import opened
from worker.sealing.resealing import Resealing
from worker.sealing.sealer import MARK, Sealer, key_ids

OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))
PERSON = "Jane Canary"
PHONE = "212-555-0142"
CANARIES = (PERSON, PHONE, "Canary", "555-0142")
AT = keys(STEADY.name)


def sealing(*given: str, chosen: str = "steady.*,once.*") -> dict[str, str]:
    """The settings of these keys, newest first."""
    return {"NARROWS_SEALING_KEYS": ",".join(given), "NARROWS_SEALED_TASKS": chosen}


@contextmanager
def producing(ground: Ground, env: dict[str, str]) -> Iterator[None]:
    """This process enqueues with those settings, and then with those that it had."""
    before = {name: value for name, value in os.environ.items() if name.startswith("NARROWS_")}
    ground._point({**ground.env, **env})
    try:
        yield
    finally:
        ground._point(before)


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers that have two keys, and a producer that has, too."""
    with producing(clean, sealing(NEW, OLD)), Fleet(clean, workers=2, env=sealing(NEW, OLD)) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def no_letters(state: Redis) -> None:
    """No dead letter of the test before."""
    state.delete(AT.dlq)


def everything(redis: Redis) -> str:
    """Every key of a Redis with all that it holds, kombu's base64 opened."""
    reads: dict[bytes, Any] = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"stream": redis.xrange,
    }
    held_: list[str] = []
    for key in redis.scan_iter(count=1000):
        kind: Any = redis.type(key)
        held_.append(repr((key, reads[kind](key) if kind in reads else None)))
    return _opened("\n".join(held_))


def _opened(text: str) -> str:
    """*text*, and behind it what is in its bodies."""
    bodies = re.findall(r'"body": ?"([A-Za-z0-9+/=]+)"', text.replace('\\\\"', '"'))
    return text + "".join(base64.b64decode(body).decode(errors="replace") for body in bodies)


def seen(text: str) -> list[str]:
    """The canaries in *text*."""
    return [canary for canary in CANARIES if canary in text]


def foreign(args: list[Any], task_id: str) -> None:
    """A call by bare name, as a service without our code sends it."""
    with Celery("service", broker=app.conf.broker_url, set_as_current=False) as service:
        service.send_task(keep.name, args, queue=STEADY.name, task_id=task_id)


def test_a_sealed_call_is_made_with_its_arguments(state: Redis, clean: Ground) -> None:
    """By delay, in a batch, in a chain, in a chord, and from a signature by name."""
    batch = enqueue_many(increment, [1, 2], batch_id="sealed")

    assert keep.delay("a", secret=PERSON).get(timeout=20)["secret"] == PERSON
    assert [app.AsyncResult(batch.task_id(n)).get(timeout=20) for n in range(2)] == [2, 3]
    assert chain(increment.s(1), increment.s(), increment.s()).apply_async().get(timeout=20) == 4
    assert chord([increment.s(1), increment.s(2)], total.s()).apply_async().get(timeout=20) == 5
    assert group(keep.s("b", PHONE), increment.s(5)).apply_async().get(timeout=20)[1] == 6
    by_name = app.send_task(keep.name, ["c"], {"secret": PHONE}, queue=STEADY.name)
    assert by_name.get(timeout=20) == {"name": "c", "secret": PHONE}
    asked = [entry["path"] for entry in clean.sandbox.control.journal(STEADY.name)]
    assert {"/keep/a", "/keep/b", "/keep/c"} <= set(asked)
    assert not state.llen(AT.dlq)


def test_nothing_in_redis_or_in_a_log_names_anybody(fleet: Fleet, state: Redis) -> None:
    """Queued, in line, with next steps, given up, by bare name; in broker, records, results and letters."""
    state.delete(*state.keys("celery-task-meta-*"))  # results say what was answered; they are the caller's
    with held(STEADY.name):
        keep.apply_async(["queued"], {"secret": PERSON}, ignore_result=True)
        keep.apply_async(["later", PHONE], countdown=1, ignore_result=True)
        enqueue_many(keep, [("batch", PERSON)], ignore_result=True)
        chain(increment.si(1), keep.si("step", PHONE).set(ignore_result=True)).apply_async()
        chord([increment.s(1)], keep.si("body", PERSON).set(ignore_result=True)).apply_async()
        app.send_task(keep.name, ["name", PERSON], queue=STEADY.name, ignore_result=True)
        waiting = everything(state)
    doomed = keep.delay("doomed", PERSON, fail="yes")
    with pytest.raises(NarrowsError) as failed:
        doomed.get(timeout=20)
    foreign(["doomed by bare name", PHONE, "yes"], "bare-1")
    until(lambda: state.llen(AT.dlq) == 2, 20.0)
    until(lambda: not any(state.zcard(index) for index in AT.indexes), 20.0)
    after = everything(state)

    assert waiting.count(MARK) >= 6  # one for each call at least; a message may be on its way
    assert after.count(MARK) >= 2
    assert seen(waiting) == seen(after) == seen(fleet.logs) == seen(repr(failed.value)) == []
    letters = list(engine().dead_letters(STEADY.name))
    assert [letter["payload_excerpt"] for letter in letters] == ["<sealed>"] * 2
    assert [(set(letter["args"][0]), letter["kwargs"]) for letter in letters] == [({MARK}, {})] * 2
    assert engine().sealer.open(keep.name, letters[1]["args"], {})[0] == ["doomed by bare name", PHONE, "yes"]


def test_the_record_of_a_call_by_bare_name_is_sealed(state: Redis, clean: Ground) -> None:
    """Its message was its producer's; what the worker writes is ours."""
    clean.sandbox.control.fault(STEADY.name, latency_ms=1500)
    foreign(["bare", PERSON], "bare-2")
    until(lambda: state.hget(AT.call("bare-2"), "state") == b"running", 20.0)

    found = everything(state)
    message = str(state.hget(AT.call("bare-2"), "message"))
    clean.sandbox.control.clear(STEADY.name)

    assert seen(found) == []
    assert key_ids(message) == [digest(NEW)]
    until(lambda: not any(state.zcard(index) for index in AT.indexes), 20.0)


def test_a_token_that_was_moved_or_changed_is_a_dead_letter_and_no_call(state: Redis, clean: Ground) -> None:
    """Once, with no attempt used, and with what came in it; the record is over."""
    other, _ = Sealer([NEW], ["*"]).seal(increment.name, [41], {})
    strange, _ = Sealer([STRANGE], ["*"]).seal(keep.name, ["a", PERSON], {})
    for task_id, args in (("moved", other), ("strange", strange)):
        foreign(args, task_id)

    until(lambda: state.llen(AT.dlq) == 2, 20.0)

    letters = {letter["id"]: letter for letter in engine().dead_letters(STEADY.name)}
    assert {(one["code"], one["attempts"], one["retryable"]) for one in letters.values()} == {
        ("sealed", 0, False)
    }
    assert "meant for another task" in letters["moved"]["error"]
    assert f"key {digest(STRANGE)}, which is not here" in letters["strange"]["error"]
    assert letters["strange"]["args"] == strange
    assert clean.sandbox.control.journal(STEADY.name) == []
    assert not any(state.zcard(index) for index in AT.indexes)
    assert app.AsyncResult("moved").state == "FAILURE"


def test_a_recorded_call_that_no_key_opens_is_a_dead_letter(state: Redis, clean: Ground) -> None:
    """Enqueued by a producer whose key these workers lack: nothing is sent, nothing is lost."""
    with producing(clean, sealing(STRANGE)):
        call = keep.delay("a", PERSON)
        with pytest.raises(NarrowsError, match="which is not here"):
            call.get(timeout=20)

    until(lambda: state.llen(AT.dlq) == 1, 20.0)

    letter = engine().dead_letters(STEADY.name).find(call.id)
    assert letter is not None
    assert (letter["code"], letter["attempts"]) == ("sealed", 0)
    assert Sealer([STRANGE]).open(keep.name, letter["args"], letter["kwargs"]) == (["a", PERSON], {})
    assert clean.sandbox.control.journal(STEADY.name) == []
    until(lambda: not any(state.zcard(index) for index in AT.indexes))


def test_a_message_that_is_older_than_its_keys_is_run_from_its_record(state: Redis, clean: Ground) -> None:
    """The record was sealed anew, the broker's copy could not be: it is worth no more than a wake-up."""
    with held(STEADY.name):
        with producing(clean, sealing(STRANGE)):
            call = keep.delay("old", PERSON)
        name = AT.call(call.id)
        message, options = thawed(state.hget(name, "message"))  # type: ignore[arg-type]
        args, kwargs = Sealer([NEW], ["*"]).seal(keep.name, ["old", PERSON], {})
        state.hset(name, "message", frozen(message._replace(body=(args, kwargs, message.body[2])), options))

    assert call.get(timeout=40)["secret"] == PERSON


def test_arguments_that_cannot_be_opened_while_the_state_redis_is_away_are_not_waited_for(
    clean: Ground,
) -> None:
    """There is no record to look into; the call gets a claim, by which the runner gives it up or back."""
    strange, _ = Sealer([STRANGE], ["*"]).seal(keep.name, ["a", PERSON], {})
    keep.push_request(id="nobody", called_directly=False, is_eager=False)
    try:
        with (
            producing(clean, {**sealing(NEW), "NARROWS_STATE_URL": "redis://127.0.0.1:1/0"}),
            pytest.raises(SealBroken),
        ):
            opened(keep, strange, {})

        assert keep.request.claim.task_id == "nobody"
    finally:
        keep.pop_request()


def test_keys_are_rotated_under_load_and_every_call_is_made(state: Redis, clean: Ground) -> None:
    """Enqueued under the older key and sealed anew while workers run them: each is made once."""
    one = Resealing(state, Sealer([NEW, OLD], ["steady.*"]), STEADY.name, tasks=app.tasks)
    with held(STEADY.name):
        with producing(clean, sealing(OLD)):
            batch = enqueue_many(increment, range(120))
            calls = [increment.delay(number) for number in range(120, 150)]
        before = one.rotate()
        with producing(clean, sealing(OLD)):
            more = enqueue_many(increment, range(150, 300))
    results = [*(app.AsyncResult(batch.task_id(number)) for number in range(120)), *calls]
    results += [app.AsyncResult(more.task_id(number)) for number in range(150)]
    done, thread = list[int](), threading.Thread(target=lambda: done.extend(one.rotate() for _ in range(30)))
    thread.start()
    made = [result.get(timeout=60) for result in results]
    thread.join()

    assert made == [number + 1 for number in range(300)]
    asked = [entry["path"] for entry in clean.sandbox.control.journal(STEADY.name)]
    assert sorted(asked) == sorted(f"/increment/{number}" for number in range(300))
    assert before == 150
    assert sum(done) > 0
    assert not state.llen(AT.dlq)


def test_a_task_that_there_is_not_is_refused_where_it_is_enqueued(state: Redis, clean: Ground) -> None:
    """Otherwise its arguments would lie in clear; nothing is enqueued."""
    with (
        producing(clean, sealing(NEW, chosen="steady.kep")),
        pytest.raises(ConfigurationError, match=r"did you mean steady\.keep\?"),
    ):
        keep.delay("a", PERSON)
    assert not any(state.zcard(index) for index in AT.indexes)


def test_a_sealed_submission_is_made_once(state: Redis) -> None:
    """By delay, again under its key, and by bare name; nothing that Redis holds says what was submitted."""
    DESKS[ONCE.name].clear()
    with held(ONCE.name):
        first, again = (report.delay(f"for {PERSON}", idempotency_key="sealed-1") for _ in range(2))
        waiting = everything(state)

    assert first.id == again.id
    assert first.get(timeout=40) == again.get(timeout=20)
    bare = app.send_task(report.name, [f"for {PERSON}", "sealed-1"], queue=ONCE.name)
    assert bare.get(timeout=40)["submission_id"] == first.id
    assert DESKS[ONCE.name].arrived == {f"for {PERSON}": 1}
    assert f"for {PERSON}" not in waiting
    assert f"for {PERSON}" not in everything(state)


@pytest.mark.usefixtures("state")
def test_map_of_a_sealed_task_is_refused() -> None:
    """It would carry the arguments of many calls in clear."""
    with pytest.raises(ArgumentsInvalid, match="take enqueue_many, or a group"):
        keep.starmap([("a", PERSON)]).apply_async()


def test_a_worker_with_a_wrong_name_in_its_settings_does_not_start() -> None:
    """It says why, without a key."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    process = subprocess.run(
        [sys.executable, "-m", "celery", "-A", "worker", "worker", "-P", "threads"],
        env={**bare, **sealing(NEW, chosen="nyc_open_data.fetch_permit")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    told = process.stdout + process.stderr
    assert process.returncode != 0
    assert "did you mean nyc_open_data.fetch_permits?" in told
    assert NEW not in told
