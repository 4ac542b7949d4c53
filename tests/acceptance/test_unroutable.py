"""What strangers and old releases leave in the queues: workers survive it, and nothing of it is lost."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import NotRegistered
from kombu.utils.json import loads
from redis import Redis

from tests.acceptance.newer import arrive
from tests.acceptance.providers import echo
from tests.fleet import INCLUDED, Fleet, Ground, held, until
from worker.application import app
from worker.engine import engine
from worker.envelope import BARE, Intake, enveloped
from worker.errors import NarrowsError
from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.letters.unroutable import WHOLE, keep, letter_of, replay
from worker.stack.embedded import EmbeddedValkey
from worker.stack.programs import answers
from worker.stack.stack import Stack

ROOT = Path(__file__).resolve().parents[2]
LIST = "dlq:unroutable"
CANARY = "canary-of-a-stranger"
NEWER = f"{INCLUDED},tests.acceptance.newer"
NOWHERE = "wild"
"""A queue that no worker takes from while a test uses it."""

TASK = {"task": "steady.echo", "id": "t"}
BODY = json.dumps([[CANARY], {}, {}]).encode()


def sent(body: bytes = BODY, **parts: Any) -> bytes:
    """A message as a stranger leaves it in the queue."""
    return enveloped(body, "steady", **{"content_type": "application/json", **parts}).encode()


def proto1(**fields: Any) -> bytes:
    """A message of Celery's first protocol."""
    return sent(json.dumps(fields).encode())


STRANGE = [
    b"",
    CANARY.encode(),
    b"\xff\xfe\x00 " + CANARY.encode(),
    b"[1, 2]",
    b"{}",
    b"[" * 50_000,
    json.dumps({**json.loads(sent()), "headers": [CANARY]}).encode(),
    json.dumps({**json.loads(sent()), "properties": {}}).encode(),
    sent(headers={"task": "steady.nobody_knows", "id": "deep", "x": "?"}).replace(
        b'"?"', b"[" * 700 + b"]" * 700
    ),
    sent(CANARY.encode()),
    sent(CANARY.encode(), headers=TASK),
    sent(headers=TASK, content_type="application/x-python-serialize"),
    sent(headers=TASK, content_type="application/data"),
    sent(headers=TASK, content_type="text/plain"),
    sent(headers=TASK, content_type=None),
    sent(headers={**TASK, "compression": "application/x-gzip"}),
    sent(headers={**TASK, "compression": "application/x-unheard-of"}),
    sent(b"7", headers=TASK),
    sent(b"[]", headers=TASK),
    sent(b"[[], {}]", headers=TASK),
    sent(b"[[], {}, {}, {}]", headers=TASK),
    sent(b"{}", headers=TASK),
    sent(b"[" * 50_000, headers=TASK),
    sent(headers={**TASK, "expires": CANARY}),
    sent(headers={**TASK, "eta": [CANARY]}),
    sent(headers={**TASK, "timelimit": 7}),
    sent(headers={"task": "steady.echo"}),
    sent(headers={**TASK, "id": None}),
    sent(headers={**TASK, "id": [CANARY]}),
    sent(headers={**TASK, "task": [CANARY]}),
    sent(headers={**TASK, "task": None}),
    sent(headers={"task": "steady.nobody_knows", "id": "by-name"}),
    sent(headers={"task": "steady.nobody_knows", "id": "lost", "narrows": {"recorded": True}}),
    sent(headers={"task": "nobody.knows", "id": "nobody", "narrows": {"recorded": True}}),
    sent(headers={"task": "plain", "id": "plain", "narrows": CANARY}),
    sent(headers={**TASK, "narrows": CANARY}),
    sent(headers={**TASK, "narrows": {"at": CANARY}}),
    sent(headers={**TASK, "narrows": {"replays": CANARY}}),
    sent(headers={**TASK, "shadow": [CANARY]}),
    sent(headers={**TASK, "id": "\ud800"}),
    sent(headers={**TASK, "claim": CANARY}),
    sent(b'[["x"], {"deep": ' + b"[" * 700 + b"]" * 700 + b"}, {}]", headers=TASK),
    sent(b'[[], {"self": 1}, {}]', headers=TASK),
    proto1(task="steady.nobody_knows", id="first-protocol", args=[CANARY], kwargs={}),
    proto1(task="steady.echo", id="a", args=[CANARY], kwargs=[]),
    proto1(task="steady.echo", args=[CANARY], kwargs={}),
    proto1(task=["steady.echo"], id="b"),
    sent(b"x" * (WHOLE + 1)),
    *(
        sent(json.dumps(body).encode(), headers=TASK)
        for body in (
            [7, {}, {}],
            [[1], [], {}],
            [[1], {}, 7],
            [None, None, None],
            ["ab", {}, {}],
            [[1], {}, {"callbacks": 7}],
            [[1], {}, {"chain": CANARY}],
            [[1], {}, {"chord": [1]}],
        )
    ),
]


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers with fewer slots than strange messages come."""
    with Fleet(clean, workers=2, concurrency=4) as fleet:
        yield fleet


def letters(state: Redis) -> list[dict[str, Any]]:
    """The unroutable ones."""
    return list(DeadLetters(state, "unroutable"))


def bodies(state: Redis) -> list[bytes]:
    """What the messages said."""
    return [base64.b64decode(letter["message"]) for letter in letters(state)]


def test_workers_survive_every_strange_message_and_keep_each_of_them(fleet: Fleet, state: Redis) -> None:
    """None is lost, none is shown, none takes a slot; calls go on between them."""
    pids = fleet.pids
    for strange in STRANGE:
        state.lpush("steady", strange)

    calls = [echo.delay(number) for number in range(20)]
    until(lambda: state.llen(LIST) >= len(STRANGE), 30.0, told=lambda: fleet.logs[-3000:])

    assert [call.get(timeout=15) for call in calls] == [*range(20)]
    until(lambda: not state.exists("steady", "unacked"))
    found = letters(state)
    assert len(found) == len(STRANGE)
    assert {(letter["provider"], letter["code"], letter["queue"]) for letter in found} == {
        ("unroutable", "unroutable", "steady")
    }
    bare = [base64.b64decode(letter["message"]) for letter in found if letter["content_type"] == BARE]
    assert sorted(bare) == sorted(STRANGE[:9])
    assert [letter["size"] for letter in found if not letter["whole"]] == [WHOLE + 1]
    assert (fleet.pids, [worker.restarts for worker in fleet.stack.workers]) == (pids, [0, 0])
    counted = fleet.metrics("dead_letters_total", provider="unroutable", code="unroutable")
    assert sum(counted) == len(STRANGE)
    assert CANARY not in fleet.logs
    assert echo.delay(99).get(timeout=15) == 99


def test_who_calls_an_unknown_task_by_name_hears_of_it_and_the_message_is_kept(
    clean: Ground, state: Redis
) -> None:
    """As Celery says it; nobody waits for ever."""
    service = Celery("service", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False)
    call = service.send_task("steady.nobody_knows", [CANARY], queue="steady")

    with pytest.raises(NotRegistered, match="nobody_knows"):
        call.get(timeout=15)

    (letter,) = (each for each in letters(state) if each["id"] == call.id)
    assert (letter["task"], letter["operation"]) == ("steady.nobody_knows", "nobody_knows")
    assert json.loads(base64.b64decode(letter["message"]))[0] == [CANARY]
    service.close()


@pytest.mark.parametrize(
    "strange",
    [
        b"\xff\xfe\x00",
        enveloped(b"no JSON", NOWHERE, content_type="text/plain", headers=TASK).encode(),
        enveloped(
            BODY,
            NOWHERE,
            content_type="application/json",
            headers={"task": "a.b", "id": "c", "argsrepr": CANARY},
            properties={"correlation_id": "c", "priority": 3},
        ).encode(),
    ],
    ids=["bare", "body", "task"],
)
def test_a_replay_sends_the_message_as_it_was(fleet: Fleet, state: Redis, strange: bytes) -> None:
    """The letter leaves then, which is noted; a second replay of it finds nothing to do."""
    with held(NOWHERE, workers=len(fleet.pids)):
        state.delete(LIST, keys("unroutable").audit)
        state.lpush(NOWHERE, strange)
        _keep_what_lies_there()
        (letter,) = letters(state)

        lying = engine().dead_letters("unroutable")
        ((raw,),) = lying.pages()
        sent_again, once_more = (replay(app, lying, raw, by="ann") for _ in range(2))

        assert (sent_again, once_more) == (True, False)
        assert [(each.by, each.action, each.ids) for each in lying.audit()] == [
            ("ann", "replay", (letter["id"],))
        ]
        assert [_lasting(item) for item in state.lrange(NOWHERE, 0, -1)] == [_lasting(strange)]
        assert letters(state) == []
        state.delete(NOWHERE)


def test_a_message_that_was_too_long_is_not_replayed(fleet: Fleet, state: Redis) -> None:
    """A part of it would be another message; what there is stays."""
    state.delete(LIST)
    state.lpush("steady", sent(b"x" * (WHOLE + 1)))
    (letter,) = until(lambda: letters(state))
    lying = engine().dead_letters("unroutable")
    ((raw,),) = lying.pages()
    assert fleet.ready

    with pytest.raises(NarrowsError, match="too long to be kept whole"):
        replay(app, lying, raw, by="ann")

    assert letters(state) == [letter]


def test_a_call_on_record_waits_for_a_worker_that_knows_its_task(
    fleet: Fleet, clean: Ground, state: Redis
) -> None:
    """In a rolling deploy old workers get it first: it is no letter, and no copy of it counts as vanished."""
    state.delete(LIST)
    calls = [arrive.delay(number) for number in range(3)]
    records = engine().records("steady")
    until(lambda: all(_handed_over(records.get(call.id), times=2) for call in calls), 60.0)
    seen = [records.get(call.id) for call in calls]

    with held("steady"), Fleet(clean, workers=1, concurrency=4, include=NEWER):
        assert [call.get(timeout=60) for call in calls] == [0, 1, 2]

    assert {record["publishes"] for record in seen} == {"0"}
    paths = Counter(entry["path"] for entry in clean.sandbox.control.journal("steady"))
    assert [paths[f"/arrive/{number}"] for number in range(3)] == [1, 1, 1]
    assert (letters(state), fleet.ready) == ([], True)


def _handed_over(record: dict[str, str], *, times: int) -> bool:
    """Whether old workers have had the call so often, and it waits."""
    return record.get("state") == "waiting" and int(record["token"]) >= times


@pytest.fixture
def servers() -> Iterator[tuple[EmbeddedValkey, EmbeddedValkey]]:
    """A broker, and a state Redis of its own."""
    with EmbeddedValkey() as broker, EmbeddedValkey() as state:
        yield broker, state


def settings_for(broker: str, state: str) -> dict[str, str]:
    """What leads a worker there."""
    return {
        "NARROWS_BROKER_URL": broker,
        "NARROWS_RESULT_URL": broker,
        "NARROWS_STATE_URL": state,
        "NARROWS_CACHE_URL": state,
        "NARROWS_LOG_FORMAT": "json",
        "NARROWS_LONGEST_COUNTDOWN": "1",
        "NARROWS_TASK_TIME_LIMIT": "2",
        "NARROWS_VISIBILITY_TIMEOUT": "4",
    }


def test_while_the_state_redis_is_away_strange_messages_stay_in_the_broker(
    servers: tuple[EmbeddedValkey, EmbeddedValkey], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are put back, and kept when it has come back, by the same worker."""
    _forget_settings(monkeypatch)
    broker, state = servers
    strange = [b"garbage", sent(headers={"task": "nyc_open_data.nobody_knows", "id": "a"})]
    with Stack(workers=1, beat=False, env=settings_for(broker.url, state.url)) as stack:
        (worker,) = stack.workers
        state.kill()
        until(lambda: not answers(f"{worker.program.address}/readyz"))
        with broker.client() as queue:
            queue.lpush("nyc_open_data", *strange)
        until(lambda: "message put back" in worker.log.read_text())

        state.start()

        with state.client() as kept:
            until(lambda: kept.llen(LIST) >= len(strange), 30.0)
            assert b"garbage" in bodies(kept)
        assert worker.restarts == 0


@pytest.mark.parametrize("line", [1, 2, 3, 4])
def test_a_worker_killed_while_it_keeps_a_message_loses_nothing(
    servers: tuple[EmbeddedValkey, EmbeddedValkey], line: int
) -> None:
    """At whatever line: the message is in the list, or unacknowledged in the broker, or both."""
    broker, state = servers
    env = settings_for(broker.url, state.url)
    with broker.client() as queue, state.client() as kept:
        queue.lpush("nyc_open_data", b"garbage")

        code = _mortal_worker(line, env)

        unacknowledged = queue.hlen("unacked") + queue.llen("nyc_open_data")
        assert code == -signal.SIGKILL
        assert kept.llen(LIST) + unacknowledged >= 1
        assert (kept.llen(LIST), unacknowledged) in {(0, 1), (1, 1), (1, 0)}


def test_what_a_killed_worker_left_unacknowledged_is_kept_by_the_next(
    servers: tuple[EmbeddedValkey, EmbeddedValkey], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the broker hands it out again: at worst it is in the list twice."""
    _forget_settings(monkeypatch)
    broker, state = servers
    env = settings_for(broker.url, state.url)
    with broker.client() as queue, state.client() as kept:
        queue.lpush("nyc_open_data", b"garbage")
        _mortal_worker(KEPT, env)
        assert (kept.llen(LIST), queue.hlen("unacked")) == (1, 1)

        with Stack(workers=1, beat=False, env=env):
            until(lambda: not queue.exists("unacked", "nyc_open_data"), 30.0)

        assert bodies(kept) == [b"garbage", b"garbage"]


KEPT = 4
"""The line of ``_set_aside`` before which the letter has been written."""


def _mortal_worker(line: int, env: dict[str, str]) -> int:
    """How a worker exited that is killed before that line of ``Consumer._set_aside``."""
    celery = ("celery", "--app=worker", "worker", "--pool=threads", "--concurrency=2", "--without-mingle")
    place = "worker/consumer.py:_set_aside"
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.mortal", str(line), place, *celery, "--without-gossip"],
        cwd=ROOT,
        env={**bare, **env, "NARROWS_METRICS_PORT": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        return worker.wait(timeout=60)
    finally:
        worker.kill()
        worker.wait()


def _forget_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ground of other tests speaks of providers that a plain worker does not know."""
    for name in [name for name in os.environ if name.startswith("NARROWS_")]:
        monkeypatch.delenv(name)


def _keep_what_lies_there() -> None:
    """What a worker's consumer does with a message that it cannot take."""
    with app.pool.acquire(block=True) as connection, connection.channel() as channel:
        intake = Intake(channel)
        _, item = channel.client.brpop([NOWHERE], timeout=5)
        message = channel.Message(loads(item), channel=channel)
        keep(engine(), letter_of(message, intake.queue, "why"))


def _lasting(item: Any) -> Any:
    """What must be the same in a message that is sent again."""
    try:
        found = json.loads(item)
        properties = found["properties"]
    except (ValueError, TypeError, KeyError):
        return item
    found["properties"] = {name: properties[name] for name in properties if name != "delivery_tag"}
    return found
