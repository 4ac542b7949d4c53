"""Sealing anew against a real server: what lies where, and keys that change while calls move."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from pydantic import SecretStr
from redis import Redis

import tasks
from tests.integration.deployment import NAME, Deployment, letter, started
from worker.application import app
from worker.claim import Claim
from worker.keys import digest, keys
from worker.message import thawed
from worker.sealing.places import unroutable
from worker.sealing.queue import messages
from worker.sealing.resealing import CLEAR, Resealing
from worker.sealing.sealer import Sealer, is_sealed, key_ids

OLD, NEW, STRANGE = (Fernet.generate_key().decode() for _ in range(3))
TASK = tasks.fetch_permits.name
CANARY = "1012650001"
AT = keys(NAME)
CHECKOUT = Path(__file__).resolve().parents[2]


def sealer(*given: str) -> Sealer:
    """What has these keys, newest first, and seals every task."""
    return Sealer(given, ["*"])


def deployment(url: str, *given: str) -> Deployment:
    """A deployment that has these keys."""
    changed = {"sealing_keys": tuple(map(SecretStr, given)), "sealed_tasks": ("*",)}
    return Deployment(url=url, changed=changed)


def message(task_id: str, key: str | None) -> str:
    """A recorded call's, sealed with *key*; None leaves it in clear."""
    args: list[Any] = [CANARY]
    if key is not None:
        args, _ = sealer(key).seal(TASK, args, {})
    headers = {"task": TASK, "id": task_id, "narrows": {"recorded": True}}
    return json.dumps([headers, {}, [args, {}, {"chain": None}], {"queue": NAME}])


def buried(letter_id: str, key: str | None) -> Any:
    """A dead letter, sealed with *key*."""
    args: list[Any] = [CANARY]
    kwargs: dict[str, Any] = {"limit": 5}
    if key is not None:
        args, kwargs = sealer(key).seal(TASK, args, kwargs)
    return letter(letter_id, args=args, kwargs=kwargs)


def resealing(state: Redis, *given: str, advance: Callable[[int], None] = lambda _: None) -> Resealing:
    """What seals anew with these keys."""
    return Resealing(state, sealer(*given), NAME, tasks=app.tasks, advance=advance)


def opened(state: Redis, task_id: str, *given: str) -> list[Any]:
    """The arguments in a record, opened with these keys."""
    text = state.hget(AT.call(task_id), "message")
    args, kwargs, _ = thawed(text)[0].body  # type: ignore[arg-type]
    assert is_sealed(args)
    return sealer(*given).open(TASK, args, kwargs)[0]


def entries(state: Redis) -> list[bytes]:
    """The ids of the audit stream's entries."""
    found: Any = state.xrange(AT.audit)
    return [entry_id for entry_id, _ in found]


@pytest.fixture
def here(redis_url: str) -> Deployment:
    """Calls in several states, dead letters and an audit entry, under two keys, a strange one and none."""
    made = deployment(redis_url, NEW, OLD)
    made.records.park([(f"parked-{n}", message(f"parked-{n}", OLD)) for n in range(450)], lane="batch")
    made.records.write("queued", message("queued", OLD), behind=False)
    made.records.write("clear", message("clear", None), behind=False)
    made.records.write("new", message("new", NEW), behind=False)
    made.records.write("strange", message("strange", STRANGE), behind=False)
    made.bury(*(buried(f"letter-{n}", OLD) for n in range(450)), buried("in-clear", None))
    before = {"args": json.loads(buried("x", OLD).as_json())["args"], "kwargs": {}}
    state = made.engine.state
    for _ in range(3):
        state.xadd(
            AT.audit, {"at": 1, "by": "ann", "action": "edit", "ids": "[]", "before": json.dumps(before)}
        )
    return made


def test_a_census_counts_what_lies_under_which_key(here: Deployment, state: Redis) -> None:
    """By the page, and what should be sealed and is not."""
    looked: list[int] = []

    found = resealing(state, NEW, OLD, advance=looked.append).census()

    assert found["records"] == {digest(OLD): 451, digest(NEW): 1, digest(STRANGE): 1, CLEAR: 1}
    assert found["letters"] == {digest(OLD): 450, CLEAR: 1}
    assert found["audit"] == {digest(OLD): 3}
    assert sum(looked) == resealing(state, NEW, OLD).size == 454 + 451 + 3
    assert here.engine.state.dbsize() > 0


def test_everything_is_sealed_anew_where_it_lies(here: Deployment, state: Redis) -> None:
    """Records, letters and audit entries keep their order and whatever else is in them."""
    ids = entries(state)
    order = [each["id"] for each in here.engine.dead_letters(NAME)]
    types = {name: state.type(name) for name in state.scan_iter()}

    done = resealing(state, NEW, OLD).rotate()

    found = resealing(state, NEW, OLD).census()
    assert done == 452 + 451 + 3
    assert found["records"] == {digest(NEW): 453, digest(STRANGE): 1}
    assert found["letters"] == {digest(NEW): 451}
    assert found["audit"] == {digest(NEW): 3}
    assert opened(state, "parked-449", NEW) == opened(state, "clear", NEW) == [CANARY]
    assert entries(state) == ids
    assert [each["id"] for each in here.engine.dead_letters(NAME)] == order
    last = here.engine.dead_letters(NAME).find("in-clear")
    assert last is not None
    assert sealer(NEW).open(TASK, last["args"], last["kwargs"]) == ([CANARY], {"limit": 5})
    assert {name: state.type(name) for name in state.scan_iter()} == types
    assert resealing(state, NEW, OLD).rotate() == 0


@pytest.mark.usefixtures("uncollected")
def test_the_audit_of_an_edit_before_sealing_was_switched_on_is_counted_and_sealed(
    redis_url: str, state: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its arguments before and after are as private as the letter's; a broken letter hinders nobody."""
    plain = Deployment(url=redis_url)
    plain.bury(letter("one", kwargs={}))
    old = next(plain.engine.dead_letters(NAME).pages())[0]
    plain.engine.dead_letters(NAME).edit(old, ["1012650002"], {}, by="ann")
    state.rpush(AT.dlq, "[" * 100_000)
    before = resealing(state, NEW).census()

    code = deployment(redis_url, NEW).narrows("seal", "rotate", NAME)

    after = resealing(state, NEW).census()
    assert (before["audit"], before["letters"]) == ({CLEAR: 1}, {CLEAR: 1})
    assert (after["audit"], after["letters"]) == ({digest(NEW): 1}, {digest(NEW): 1})
    assert code == 0
    assert "2 sealed" in capsys.readouterr().out
    assert "10126500" not in f"{state.xrange(AT.audit)} {state.lindex(AT.dlq, 0)!r}"
    (entry,) = deployment(redis_url, NEW).engine.dead_letters(NAME).audit()
    assert entry.before is not None
    assert sealer(NEW).open(TASK, entry.before["args"], entry.before["kwargs"]) == ([CANARY], {})


def test_calls_that_move_and_letters_that_leave_meanwhile_are_not_harmed(
    here: Deployment, state: Redis
) -> None:
    """Claims, endings, new calls under the older key and letters that go, all during the walk."""
    records, gate = here.records, here.gate()
    turn = iter(range(10_000))

    def meanwhile(_: int) -> None:
        number = next(turn)
        state.lpop(AT.dlq)
        here.bury(buried(f"late-{number}", OLD))
        if number < 5:
            records.write(f"late-{number}", message(f"late-{number}", OLD), behind=False)
        if number == 1:
            claim = Claim(home=NAME, task_id="queued", recorded=True, lease=30.0)
            assert gate.claim(claim) == "ok"
            records.cancel("parked-0")

    resealing(state, NEW, OLD, advance=meanwhile).rotate()
    resealing(state, NEW, OLD).rotate()

    found = resealing(state, NEW, OLD).census()
    assert found["records"][digest(OLD)] == found["letters"][digest(OLD)] == 0
    assert not state.hexists(AT.call("parked-0"), "message")
    assert state.hget(AT.call("queued"), "state") == b"running"
    assert opened(state, "queued", NEW) == [CANARY]
    assert state.zcard(AT.parked) == 449


def test_a_record_that_changed_since_it_was_read_is_left_alone(here: Deployment, state: Redis) -> None:
    """Compared and set in one step: an old page that is written late brings nothing back."""
    one = resealing(state, NEW, OLD)
    (page,) = [page for page in one._places.records() if any(each.key == AT.call("queued") for each in page)]
    here.records.cancel("queued")

    one._set_records(page)

    assert not state.hexists(AT.call("queued"), "message")


def test_a_rotation_that_is_killed_goes_on_with_what_is_left(here: Deployment, state: Redis) -> None:
    """At any page: whatever was done stands, and nothing is doubled or lost."""
    code = (
        "import os, signal, sys, tasks;"
        "from redis import Redis; from worker.application import app;"
        "from worker.sealing.resealing import Resealing; from worker.sealing.sealer import Sealer;"
        "left = [3];\n"
        "def advance(_):\n"
        "    left[0] -= 1\n"
        "    if not left[0]: os.kill(os.getpid(), signal.SIGKILL)\n"
        "Resealing(Redis.from_url(sys.argv[1]), Sealer(sys.argv[2:], ['*']), sys.argv[3] and 'nyc_open_data',"
        " tasks=app.tasks, advance=advance).rotate()"
    )
    command = [sys.executable, "-c", code, here.url, NEW, OLD]
    ended = subprocess.run(command, cwd=CHECKOUT, timeout=60, check=False, env={"PATH": os.environ["PATH"]})
    half = resealing(state, NEW, OLD).census()

    resealing(state, NEW, OLD).rotate()

    assert ended.returncode == -signal.SIGKILL
    assert 0 < half["records"][digest(NEW)] < 453
    whole = resealing(state, NEW, OLD).census()
    assert (whole["records"][digest(NEW)], whole["letters"][digest(NEW)]) == (453, 451)


def test_messages_in_the_broker_are_counted_by_key(state: Redis) -> None:
    """Those in the queue, and those that a worker has just taken."""

    def envelope(key: str) -> str:
        args, kwargs = sealer(key).seal(TASK, [CANARY], {})
        return json.dumps({"body": base64.b64encode(json.dumps([args, kwargs, {}]).encode()).decode()})

    state.rpush(
        NAME, *(envelope(OLD) for _ in range(450)), envelope(NEW), "garbage", '{"body": 7}', '{"body": "§"}'
    )
    state.hset("unacked", "tag", json.dumps([json.loads(envelope(OLD)), "", NAME]))
    state.hset("unacked", "elsewhere", json.dumps([json.loads(envelope(OLD)), "", "another"]))

    assert messages(state, NAME) == {digest(OLD): 451, digest(NEW): 1}


def test_messages_that_no_worker_could_take_need_their_key(
    redis_url: str, state: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody seals them anew: whoever took the older key away could not replay them any more."""
    args, kwargs = sealer(OLD).seal(TASK, [CANARY], {})
    body = base64.b64encode(json.dumps([args, kwargs, {}]).encode()).decode()
    bare = base64.b64encode(json.dumps({"body": body, "headers": []}).encode()).decode()
    for message in (body, bare, "%", 7, None):
        state.rpush("dlq:unroutable", json.dumps({"queue": NAME, "message": message}))
    state.rpush("dlq:unroutable", "garbage", json.dumps({"queue": ["x"], "message": body}))

    code = deployment(redis_url, NEW, OLD).narrows("seal", "rotate")

    told = capsys.readouterr().out
    assert unroutable(state)[NAME] == {digest(OLD): 2}
    assert code == 1
    assert "2 in dlq:unroutable: replay or discard those" in told
    assert "nothing here needs" not in told


def test_the_command_tells_what_lies_where_and_when_an_older_key_may_go(
    here: Deployment, state: Redis, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status, rotate, status again; exit code 1 as long as something is not sealed with the newest key."""
    state.hdel(AT.call("strange"), "message")
    assert here.narrows("seal", "status", NAME, "--json") == 0
    before = json.loads(capsys.readouterr().out)

    code = here.narrows("seal", "rotate")
    told = capsys.readouterr().out

    by_key = {one["key"]: one for one in before["sealed"]}
    assert (by_key[digest(OLD)]["standing"], by_key[digest(OLD)]["records"]) == ("older", 451)
    assert by_key[""]["standing"] == "clear"
    assert any(line.startswith(f"keep the older keys ({digest(OLD)})") for line in before["advice"])
    assert code == 0
    assert f"906 sealed with key {digest(NEW)}" in told
    assert f"nothing here needs the older keys ({digest(OLD)}): they may go" in told
    for secret in (CANARY, OLD, NEW):
        assert secret not in told


def test_the_command_says_which_key_is_missing(here: Deployment, capsys: pytest.CaptureFixture[str]) -> None:
    """What it sealed cannot be opened, and rotating is not done."""
    code = here.narrows("seal", "rotate", NAME)

    assert code == 1
    assert f"key {digest(STRANGE)} is not in NARROWS_SEALING_KEYS" in capsys.readouterr().out


def test_a_new_key_is_one() -> None:
    """On standard output alone, so that it can be kept without being read; while settings lack one, too."""
    process = started("seal", "key", NARROWS_SEALED_TASKS="*")

    out, err = process.communicate(timeout=60)

    made = out.strip()
    assert process.returncode == 0
    assert sealer(made).open(TASK, *sealer(made).seal(TASK, [CANARY], {})) == ([CANARY], {})
    assert digest(made) in err
    assert made not in err


def test_nobody_rotates_without_a_key(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage, and what makes one."""
    assert Deployment(url=redis_url).narrows("seal", "rotate") == 2
    assert "narrows seal key" in capsys.readouterr().err


def test_a_rotation_under_load_loses_no_call(redis_url: str, state: Redis) -> None:
    """One thread enqueues and cancels, another rotates: each call that is left opens with the newest key."""
    here, over = deployment(redis_url, NEW, OLD), threading.Event()

    def load() -> None:
        for number in range(600):
            task_id = f"call-{number}"
            here.records.write(task_id, message(task_id, OLD if number % 2 else NEW), behind=False)
            if number % 3 == 0:
                here.records.cancel(task_id)
        over.set()

    thread = threading.Thread(target=load)
    thread.start()
    while not over.is_set():
        resealing(state, NEW, OLD).rotate()
    thread.join()
    resealing(state, NEW, OLD).rotate()

    left = [number for number in range(600) if number % 3]
    assert [opened(state, f"call-{number}", NEW) for number in left] == [[CANARY]] * len(left)
    assert not any(state.hexists(AT.call(f"call-{number}"), "message") for number in range(0, 600, 3))
    assert key_ids(message("x", OLD)) == [digest(OLD)]
