"""RabbitMQ as the broker, state in Redis: what holds with Redis as the broker holds with it, too."""

from __future__ import annotations

import base64
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from celery import Celery
from celery.exceptions import NotRegistered
from cryptography.fernet import Fernet
from kombu.connection import Connection
from kombu.exceptions import OperationalError
from redis import Redis

from tests.acceptance.pointed import pointed
from tests.acceptance.providers import ask, echo, increment, look, pace
from tests.acceptance.submitted import DESKS, hand_in
from tests.fleet import Fleet, Ground, until
from tests.rabbit import Rabbit, missing
from tests.raw_properties import STRANGE as ODD
from tests.raw_properties import UNREADABLE, RawMessage
from worker.application import app
from worker.bulk.enqueueing import enqueue_many
from worker.cli.desk import Desk
from worker.cli.root import run
from worker.doctor.examination import examine
from worker.engine import engine
from worker.errors import EnqueueFailed
from worker.fleet import fleet as fleet_of
from worker.fleet import reached
from worker.letters.deadletter import DeadLetters
from worker.letters.unroutable import replay

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

SHORT = {
    "NARROWS_CLAIM_LEASE": "3",
    "NARROWS_PROVIDERS__WILD__API_KEY": "key",
    "NARROWS_PROVIDERS__WILD__READ_TIMEOUT": "60",
    "NARROWS_PROVIDERS__WILD__TOTAL_TIMEOUT": "60",
}
CANARY = "canary-of-a-stranger"
BODY = json.dumps([[CANARY], {}, {}]).encode()
STRANGE: list[tuple[bytes, dict[str, Any], dict[str, Any]]] = [
    (CANARY.encode(), {}, {}),
    (b"\xff\xfe\x00", {"task": "steady.echo", "id": "a"}, {"content_type": "application/json"}),
    (BODY, {"task": "steady.echo", "id": "b"}, {"content_type": "application/x-python-serialize"}),
    (BODY, {"task": "steady.echo", "id": "c", "compression": "application/x-gzip"}, {}),
    (BODY, {"task": "steady.nobody_knows", "id": "d"}, {"content_type": "application/json"}),
    (b"[" * 5000, {"task": "steady.echo", "id": "e"}, {"content_type": "application/json"}),
    (b"[]", {"task": "steady.echo", "id": "f", "narrows": CANARY}, {"content_type": "application/json"}),
]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who vouches for the server."""
    return trustme.CA()


@pytest.fixture(scope="module")
def rabbit(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rabbit]:
    """The server."""
    folder, own = tmp_path_factory.mktemp("rabbit"), authority.issue_cert("127.0.0.1")
    files = {name: str(folder / name) for name in ("cacertfile", "certfile", "keyfile")}
    authority.cert_pem.write_to_path(files["cacertfile"])
    own.cert_chain_pems[0].write_to_path(files["certfile"])
    own.private_key_pem.write_to_path(files["keyfile"])
    with Rabbit(tls=files) as rabbit:
        yield rabbit


@pytest.fixture(scope="module")
def fleet(clean: Ground, rabbit: Rabbit) -> Iterator[Fleet]:
    """Two workers that take from it."""
    with pointed(clean, {"NARROWS_BROKER_URL": rabbit.url}), Fleet(clean, workers=2, env=SHORT) as fleet:
        yield fleet


def publish(rabbit: Rabbit, body: bytes, headers: dict[str, Any], properties: dict[str, Any]) -> None:
    """Lay a stranger's message into a queue."""
    with Connection(rabbit.url, transport_options={"confirm_publish": True}) as connection:
        producer = connection.Producer()
        producer.publish(body, exchange="", routing_key="steady", headers=headers, **properties)


def counted(ground: Ground, provider: str) -> Counter[str]:
    """How often the provider was asked for each path."""
    return Counter(entry["path"] for entry in ground.sandbox.control.journal(provider))


def letters(state: Redis) -> list[dict[str, Any]]:
    """Messages that no worker could take."""
    return list(DeadLetters(state, "unroutable"))


def test_every_call_ends_once(fleet: Fleet, clean: Ground, state: Redis) -> None:
    """Sent one by one, in bulk, in a chain, held back by a rate, handed in."""
    DESKS["trusted"].clear()
    single = [echo.delay(number) for number in range(100)]
    paced = [pace.delay(number) for number in range(10)]
    batch = enqueue_many(echo, range(1000, 1200))
    chain = (increment.s(1) | increment.s()).apply_async()
    filed = [hand_in.delay(f"note {number}") for number in range(10)]

    assert [call.get(timeout=60) for call in single] == [*range(100)]
    assert [call.get(timeout=60) for call in paced] == [*range(10)]
    assert app.AsyncResult(batch.task_id(199)).get(timeout=60) == 1199
    assert chain.get(timeout=60) == 3
    assert all(call.get(timeout=60)["state"] == "accepted" for call in filed)
    until(lambda: not _open(state), 30.0, told=lambda: _open(state))
    assert set(counted(clean, "steady").values()) == {1}
    assert set(DESKS["trusted"].arrived.values()) == {1}
    assert len(counted(clean, "steady")) == 302
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]


def test_what_no_worker_can_take_is_kept_and_can_be_sent_again(
    fleet: Fleet, rabbit: Rabbit, state: Redis
) -> None:
    """Whole, unshown, acknowledged; sent again it is the same message, and kept again."""
    for strange in STRANGE:
        publish(rabbit, *strange)

    until(lambda: len(letters(state)) >= len(STRANGE), 30.0, told=lambda: letters(state))
    found = {letter["id"]: letter for letter in letters(state)}
    lying = engine().dead_letters("unroutable")
    (raw,) = (raw for page in lying.pages() for raw in page if json.loads(raw)["id"] == "b")
    sent_again = replay(app, lying, raw, by="ann")

    until(lambda: json.loads(state.lrange("dlq:unroutable", -1, -1)[0])["id"] == "b", 15.0)
    assert (sent_again, len(letters(state))) == (True, len(STRANGE))
    assert json.loads(state.lrange("dlq:unroutable", -1, -1)[0])["message"] == found["b"]["message"]
    assert base64.b64decode(found["d"]["message"]) == BODY
    assert {letter["queue"] for letter in found.values()} == {"steady"}
    assert CANARY not in fleet.logs
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]
    state.delete("dlq:unroutable")


def test_properties_that_cannot_be_read_end_no_worker(fleet: Fleet, rabbit: Rabbit, state: Redis) -> None:
    """RabbitMQ would give such a message to one worker after another."""
    for raw in (*UNREADABLE.values(), ODD):
        with Connection(rabbit.url, transport_options={"confirm_publish": True}) as connection:
            message = RawMessage(BODY, raw)
            connection.default_channel.basic_publish(message, exchange="", routing_key="steady")

    until(lambda: len(letters(state)) > len(UNREADABLE), 30.0, told=lambda: fleet.logs[-6000:])
    assert {base64.b64decode(letter["message"]) for letter in letters(state)} == {BODY}
    assert echo.delay(1500).get(timeout=30) == 1500
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]
    state.delete("dlq:unroutable")


def test_a_service_without_our_code_says_that_queues_are_quorum_queues(
    fleet: Fleet, rabbit: Rabbit, clean: Ground, state: Redis
) -> None:
    """Its Celery would declare a classic one where there is another; then all is as with Redis."""
    service = Celery("service", broker=rabbit.url, backend=clean.valkey.url, set_as_current=False)
    service.conf.task_create_missing_queue_type = "quorum"

    known = service.send_task("steady.echo", [7], queue="steady")
    unknown = service.send_task("steady.nobody_knows", [7], queue="steady")

    assert known.get(timeout=30) == 7
    with pytest.raises(NotRegistered, match="nobody_knows"):
        unknown.get(timeout=30)
    assert [letter["id"] for letter in letters(state)] == [unknown.id]
    assert fleet.ready
    service.close()
    state.delete("dlq:unroutable")


def test_operators_see_the_broker(
    fleet: Fleet, clean: Ground, rabbit: Rabbit, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who works and what waits, its version, and that sealed messages in it cannot be counted."""
    shown = fleet_of(app, ["steady", "upkeep"])
    findings = {each.name: each for each in examine(engine(), app)}
    keys = ",".join(Fernet.generate_key().decode() for _ in range(2))
    with pointed(clean, {"NARROWS_BROKER_URL": rabbit.url, "NARROWS_SEALING_KEYS": keys}):
        code = run(["seal", "status", "nyc311"], desk=Desk())

    assert shown.messages == {"steady": 0, "upkeep": 0}
    assert len(shown.workers) == len(fleet.pids)
    assert findings["broker"].ok
    assert "RabbitMQ" in findings["broker"].detail
    assert (code, "messages in RabbitMQ are not counted" in " ".join(capsys.readouterr().out.split())) == (
        0,
        True,
    )


def test_calls_of_a_killed_worker_are_run_by_the_others(fleet: Fleet, clean: Ground, state: Redis) -> None:
    """Those that it was making; those that it only held are the queue's again."""
    control = clean.sandbox.control
    control.fault("wild", mode="hang")
    making = [look.delay(f"kill-{number}") for number in range(4)]
    until(lambda: control.counts("wild")["in_flight"] == len(making), 20.0)

    for number in range(len(fleet.pids)):
        fleet.kill(number)
    held = [echo.delay(number) for number in range(2000, 2020)]
    control.clear("wild")

    assert [call.get(timeout=60)["asked"] for call in making]
    assert [call.get(timeout=60) for call in held] == [*range(2000, 2020)]
    assert all(counted(clean, "steady")[f"/echo/{number}"] == 1 for number in range(2000, 2020))
    assert not letters(state)


def test_a_restart_under_load_loses_and_doubles_nothing(
    fleet: Fleet, rabbit: Rabbit, clean: Ground, state: Redis
) -> None:
    """Who enqueues meanwhile hears of it soon, and then nothing was enqueued; what was is run once."""
    control = clean.sandbox.control
    control.fault("steady", latency_ms=30)
    accepted, refused, slowest = {}, [], 0.0
    before = [worker.restarts for worker in fleet.stack.workers]
    for number in range(3000, 3080):
        if number == 3060:
            rabbit.kill()
        task = ask if number >= 3070 else echo  # nobody stands in line there, so that it must be published
        began = time.monotonic()
        try:
            accepted[number] = task.delay(number)
        except EnqueueFailed as why:
            refused.append((number, str(why)))
        slowest = max(slowest, time.monotonic() - began)
    rabbit.start()

    until(lambda: all(call.ready() for call in accepted.values()), 60.0, told=lambda: fleet.logs[-6000:])
    until(lambda: not _open(state), 30.0, told=lambda: _open(state))
    asked = counted(clean, "steady") + counted(clean, "brittle")
    made = {number: asked[f"/echo/{number}"] + asked[f"/ask/{number}"] for number in range(3000, 3080)}
    assert {number: made[number] for number in accepted} == dict.fromkeys(accepted, 1)
    assert {number: made[number] for number, _ in refused} == dict.fromkeys([n for n, _ in refused], 0)
    assert {*range(3070, 3080)} <= {number for number, _ in refused}
    assert all("nothing was enqueued" in why for _, why in refused)
    assert slowest < 10.0
    assert echo.delay(3999).get(timeout=30) == 3999
    assert [worker.restarts for worker in fleet.stack.workers] == before


def test_a_broker_that_hangs_does_not_hang_who_enqueues(fleet: Fleet, rabbit: Rabbit) -> None:
    """It gives up within seconds; when the broker goes on, so does everything."""
    assert echo.delay(4000).get(timeout=30) == 4000
    rabbit.freeze()
    began = time.monotonic()
    try:
        with pytest.raises(EnqueueFailed):
            echo.delay(4001)
        took = time.monotonic() - began
    finally:
        rabbit.thaw()

    assert took < 20.0
    assert echo.delay(4002).get(timeout=60) == 4002
    assert fleet.pids


def test_tls_takes_the_right_certificate_only(
    fleet: Fleet, rabbit: Rabbit, authority: trustme.CA, clean: Ground, tmp_path: Path
) -> None:
    """Of an authority that we trust, and for the name that we ask; or else nothing is sent."""
    authority.cert_pem.write_to_path(tmp_path / "ours.pem")
    trustme.CA().cert_pem.write_to_path(tmp_path / "theirs.pem")
    misnamed = rabbit.tls_url.replace("127.0.0.1", "localhost.localdomain")
    results = []
    for url, file in ((rabbit.tls_url, "ours"), (rabbit.tls_url, "theirs"), (misnamed, "ours")):
        env = {"NARROWS_BROKER_URL": url, "NARROWS_TLS__CA_FILE": str(tmp_path / f"{file}.pem")}
        with pointed(clean, env):
            results.append(_reaches())
    assert results == [True, False, False]
    assert fleet.pids


def _reaches() -> bool:
    try:
        with reached(app, within=5.0) as connection:
            return bool(connection.connected)
    except OperationalError:
        return False


def _open(state: Redis) -> dict[str, int]:
    """Calls on record, by state."""
    at = engine().records("steady").keys
    counts = {index: int(state.zcard(index)) for index in at.indexes if index != at.released}
    return {index: count for index, count in counts.items() if count}
