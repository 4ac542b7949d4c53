"""Signed messages on real workers: what is signed runs once, whatever else the broker holds does not."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from celery import Celery
from celery.security.certificate import Certificate
from celery.security.key import PrivateKey
from celery.security.serialization import SecureSerializer
from redis import Redis

from tests.acceptance.pointed import pointed
from tests.acceptance.providers import echo, increment, pace
from tests.certificates import Pair, pair
from tests.fleet import Fleet, Ground, held, until
from worker.application import app
from worker.bulk.enqueueing import enqueue_many
from worker.letters.deadletter import DeadLetters

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "signing.md"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The fleet's own key."""
    return pair(tmp_path_factory.mktemp("signing"), "ours")


@pytest.fixture(scope="module")
def fleet(clean: Ground, ours: Pair) -> Iterator[Fleet]:
    """Two workers and Flower that sign, and so does this process; a second signer is trusted, too."""
    trusted = ours.cert.parent
    pair(trusted, "billing")
    env = ours.env(trusted)
    with pointed(clean, env), Fleet(clean, workers=2, flower=True) as fleet:
        yield fleet


def letters(state: Redis) -> list[dict[str, Any]]:
    """Messages that were refused."""
    return list(DeadLetters(state, "unroutable"))


def counted(ground: Ground) -> Counter[str]:
    """How often the provider was asked for each path."""
    return Counter(entry["path"] for entry in ground.sandbox.control.journal("steady"))


def test_signed_calls_run_in_every_way_that_they_are_sent(fleet: Fleet, state: Redis) -> None:
    """One by one, in a chain, in bulk, held back by a rate: whoever publishes signs."""
    calls = [echo.delay(number) for number in range(20)]
    chain = (increment.s(1) | increment.s()).apply_async()
    paced = [pace.delay(number) for number in range(5)]
    batch = enqueue_many(echo, range(100, 120))

    assert [call.get(timeout=30) for call in calls] == [*range(20)]
    assert chain.get(timeout=30) == 3
    assert [call.get(timeout=30) for call in paced] == [*range(5)]
    assert app.AsyncResult(batch.task_id(19)).get(timeout=30) == 119
    assert (letters(state), fleet.ready) == ([], True)


def _caught(state: Redis, workers: int, number: int) -> tuple[str, dict[str, Any]]:
    """The id and the signed message of ``echo(number)``, taken out of the queue; nobody has run it."""
    with held("steady", workers=workers):
        call = echo.delay(number)
        raw: Any = until(lambda: state.rpop("steady"))
    return call.id, json.loads(raw)


def _with_headers(message: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**message, "headers": {**message["headers"], **changes}}


def _by(signer: Pair, message: dict[str, Any]) -> dict[str, Any]:
    """The message with the body that it has, signed by somebody else."""
    key, cert = PrivateKey(signer.key.read_text()), Certificate(signer.cert.read_text())
    inside = SecureSerializer()._unpack(base64.b64decode(message["body"]))["body"]
    text = SecureSerializer(key, cert).serialize(json.loads(inside))
    return {**message, "body": base64.b64encode(text.encode()).decode()}


def _in_clear(message: dict[str, Any]) -> dict[str, Any]:
    body = base64.b64encode(json.dumps([[666], {}, {}]).encode()).decode()
    return {**message, "body": body, "content-type": "application/json"}


def _bent(message: dict[str, Any]) -> dict[str, Any]:
    """A byte of what was signed is another."""
    text = bytearray(base64.b64decode(base64.b64decode(message["body"])))
    text[-20] ^= 1
    return {**message, "body": base64.b64encode(base64.b64encode(bytes(text))).decode()}


def test_whatever_was_not_signed_as_it_is_does_not_run(
    fleet: Fleet, clean: Ground, state: Redis, ours: Pair
) -> None:
    """Unsigned, bent, under another name, id or deadline, by a stranger: kept for a person, with the why."""
    stranger = pair(ours.cert.parent / "elsewhere", "stranger")
    workers = len(fleet.pids)
    _, message = _caught(state, workers, 666)
    _, other = _caught(state, workers, 667)
    before = counted(clean)
    forged: list[tuple[str, dict[str, Any]]] = [
        ("it is not signed", _in_clear(message)),
        ("its signature is not that of what it says", _bent(message)),
        ("its headers are not those that were signed", _with_headers(message, task="steady.increment")),
        ("its headers are not those that were signed", _with_headers(message, id="another")),
        ("its headers are not those that were signed", _with_headers(message, expires="2020-01-01T00:00:00")),
        ("its headers are not those that were signed", _with_headers(message, narrows=None)),
        ("its headers are not those that were signed", {**message, "body": other["body"]}),
        ("it was signed with a certificate that is not trusted here", _by(stranger, message)),
    ]

    for _, each in forged:
        state.lpush("steady", json.dumps(each))
    state.lpush("steady", b"garbage")
    until(lambda: len(letters(state)) > len(forged), 30.0, told=lambda: letters(state))

    expected = Counter([*(why for why, _ in forged), "it is not signed"])
    assert Counter(letter["error"] for letter in letters(state)) == expected
    assert {letter["code"] for letter in letters(state)} == {"unsigned"}
    assert sum(fleet.metrics("dead_letters_total", provider="unroutable", code="unsigned")) == len(forged) + 1
    assert counted(clean) == before
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]
    state.delete("dlq:unroutable")


def test_a_signed_message_that_comes_again_is_run_once(fleet: Fleet, clean: Ground, state: Redis) -> None:
    """Whoever copied it can send it again; its call has ended, and nothing happens."""
    task_id, message = _caught(state, len(fleet.pids), 777)
    raw = json.dumps(message)

    for _ in range(3):
        state.lpush("steady", raw)
        until(lambda: not state.exists("steady", "unacked"))
        assert app.AsyncResult(task_id).get(timeout=30) == 777

    assert echo.delay(778).get(timeout=30) == 778
    assert counted(clean)["/echo/777"] == 1
    assert letters(state) == []


def test_unsigned_commands_are_not_obeyed_and_signed_ones_are(
    fleet: Fleet, clean: Ground, state: Redis
) -> None:
    """Who reaches the broker cannot stop a worker; nobody fills the dead letters with commands either."""
    stranger = Celery("stranger", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False)

    stranger.control.broadcast("shutdown")
    until(lambda: fleet.logs.count("control message refused") >= len(fleet.pids), 15.0)

    assert len(app.control.ping(timeout=2.0)) == len(fleet.pids)
    assert stranger.control.ping(timeout=1.0) == []
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]
    assert letters(state) == []
    stranger.close()


def test_flower_shows_tasks_and_asks_workers(fleet: Fleet) -> None:
    """Events stay JSON, and its commands are signed."""
    call = echo.delay(888)
    assert call.get(timeout=30) == 888

    until(lambda: _flower(fleet, "/api/tasks").get(call.id, {}).get("state") == "SUCCESS", 15.0)
    workers = until(lambda: _flower(fleet, "/api/workers?refresh=1"), 15.0)

    assert len(workers) == len(fleet.pids)
    assert all("steady" in {queue["name"] for queue in each["active_queues"]} for each in workers.values())


def _flower(fleet: Fleet, path: str) -> dict[str, Any]:
    user = base64.b64encode(fleet.programs.flower_auth.encode()).decode()
    request = Request(fleet.stack.addresses["flower"] + path, headers={"Authorization": f"Basic {user}"})  # noqa: S310
    with urlopen(request, timeout=15) as answer:  # noqa: S310 - loopback
        found: dict[str, Any] = json.loads(answer.read())
    return found


def test_a_service_without_our_code_signs_as_the_page_shows(
    fleet: Fleet, clean: Ground, state: Redis, ours: Pair, tmp_path: Path
) -> None:
    """The program in docs/signing.md, as it stands there, with its own addresses and files."""
    (program,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    folder = ours.cert.parent
    asked = '"nyc_open_data.fetch_permits", ["1012650001"], queue="nyc_open_data"'
    for written, meant in {
        "redis://:PASSWORD@broker:6379/0": clean.valkey.url,
        "/etc/narrows/billing.key": str(folder / "billing.key"),
        "/etc/narrows/billing.pem": str(folder / "billing.pem"),
        "/etc/narrows/trusted": str(folder),
        asked: '"steady.echo", [999], queue="steady"',
    }.items():
        assert written in program
        program = program.replace(written, meant)
    (tmp_path / "service.py").write_text(f"{program}\nprint(call.get(timeout=30))\n")

    ended = subprocess.run(
        [sys.executable, str(tmp_path / "service.py")],
        env={name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (ended.stdout.split(), letters(state)) == (["999"], []), ended.stderr
    assert counted(clean)["/echo/999"] == 1
    assert fleet.ready
