"""The exporter shows the fleet's state, and answers in time whatever becomes of the servers."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from urllib.parse import urlsplit

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from pydantic import SecretStr

from config.celery import BEAT_LOCK
from config.settings import ProviderSettings
from tests.fleet import until
from tests.integration.deployment import NAME, Deployment, letter, started
from tests.rabbit import Rabbit, missing
from worker.engine import Engine
from worker.exporter import exposition
from worker.metrics.exposition import Exposition
from worker.stack.embedded import EmbeddedValkey

WITHIN, FRESH = 0.7, 0.2
"""Seconds: shorter than the product's, and than what the clients themselves give up after."""

BOUND = 3.0
"""Seconds: what is given to the servers, and the rest to a machine under load."""

Served = Callable[[Deployment], Exposition]
Sample = dict[tuple[str, str], float]


@pytest.fixture
def server() -> Iterator[EmbeddedValkey]:
    """A server that a test may make ill."""
    with EmbeddedValkey() as running:
        yield running


@pytest.fixture
def served() -> Iterator[Served]:
    """Starts exporters, and stops them when the test ends."""
    pages: list[Exposition] = []

    def start(here: Deployment) -> Exposition:
        page = exposition(here.engine, here.app, port=0, within=WITHIN, fresh=FRESH)
        pages.append(page)
        page.start()
        return page

    yield start
    for page in pages:
        page.stop()


def got(page: Exposition | str, path: str = "/metrics") -> tuple[int, str]:
    """Status and text."""
    where = urlsplit(page if isinstance(page, str) else page.url)
    with closing(http.client.HTTPConnection(str(where.hostname), where.port, timeout=20)) as client:
        client.request("GET", path)
        answer = client.getresponse()
        return answer.status, answer.read().decode()


def numbers(page: Exposition | str) -> Sample:
    """Every sample, by name and the value of its first label."""
    status, text = got(page)
    assert status == 200
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def later(page: Exposition) -> Sample:
    """The same when what was just shown is no longer shown again."""
    time.sleep(FRESH)  # nothing to be seen happens when a survey grows old
    return numbers(page)


def in_time(page: Exposition) -> Sample:
    """The samples, which came in bounded time."""
    began = time.monotonic()
    found = later(page)
    assert time.monotonic() - began < FRESH + BOUND
    return found


def up(found: Sample) -> tuple[float, float, float]:
    """Whether state, broker and cache answered."""
    state, broker, cache = (found[f"narrows_{role}_up", ""] for role in ("state", "broker", "cache"))
    return state, broker, cache


# --- what it shows --------------------------------------------------------------------------------


def test_the_state_of_the_fleet_is_shown(server: EmbeddedValkey, served: Served) -> None:
    """Calls, letters, messages, beat and memory, as they are now."""
    here = Deployment(url=server.url)
    here.records.write("q1", "[]")
    here.records.park([("p1", "[]"), ("p2", "[]")], lane="batch")
    here.bury(letter("dead"))
    with server.client() as client:
        client.lpush(NAME, "a message", "another")
        client.set(BEAT_LOCK, "held")
        client.config_set("maxmemory", "100mb")

    found = numbers(served(here))

    assert up(found) == (1, 1, 1)
    assert found["queued_calls", NAME] == 1
    assert found["parked_calls", NAME] == 2
    assert found["dlq_depth", NAME] == 1
    assert (found["queue_depth", NAME], found["queue_depth", "upkeep"]) == (2, 0)
    assert found["narrows_beat_up", ""] == 1
    assert found["narrows_state_memory_limit_bytes", ""] == 100 * 1024 * 1024
    assert 0 < found["narrows_state_memory_bytes", ""] < 100 * 1024 * 1024
    assert found["narrows_snapshot_errors_total", ""] == 0


def test_what_changes_is_seen_a_second_later_and_two_exporters_show_the_same(
    server: EmbeddedValkey, served: Served
) -> None:
    """Nothing is kept but for that second, by none of them."""
    here, other = Deployment(url=server.url), Deployment(url=server.url)
    first, second = served(here), served(other)
    assert (numbers(first)["dlq_depth", NAME], numbers(second)["narrows_beat_up", ""]) == (0, 0)

    here.bury(letter("dead"))

    shown = [later(page) for page in (first, second)]
    timeless = [{key: value for key, value in each.items() if "memory" not in key[0]} for each in shown]
    assert timeless[0] == timeless[1]
    assert timeless[0]["dlq_depth", NAME] == 1


def test_five_prometheuses_cost_one_round_trip_to_each_server(server: EmbeddedValkey, served: Served) -> None:
    """A scrape must not be a load; the server counts what it reads from its clients."""
    page = served(Deployment(url=server.url))
    numbers(page)
    time.sleep(FRESH)
    with server.client() as client, ThreadPoolExecutor(5) as five:
        before = client.info("stats")
        pages = list(five.map(lambda _: got(page), range(5)))
        after = client.info("stats")

    reads = after["total_reads_processed"] - before["total_reads_processed"]
    assert len(set(pages)) == 1
    assert reads <= 3 + 6  # a question to each role, one of them of several buffers, and our own


def test_a_server_that_does_not_tell_its_memory_tells_the_rest(
    server: EmbeddedValkey, served: Served
) -> None:
    """Many a hosted Redis lets nobody use INFO."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "shy", "on", ">secret", "~*", "&*", "+@all", "-info")
    shy = server.url.replace("redis://", "redis://shy").split("@", 1)[1]

    found = numbers(served(Deployment(url=f"redis://shy:secret@{shy}")))

    assert up(found) == (1, 1, 1)
    assert found["dlq_depth", NAME] == 0
    assert not {name for name, _ in found if "memory" in name}


# --- servers that are ill -------------------------------------------------------------------------


@contextmanager
def killed(server: EmbeddedValkey) -> Iterator[None]:
    """Gone, and back."""
    server.kill()
    yield
    server.start()


@contextmanager
def stopped(server: EmbeddedValkey) -> Iterator[None]:
    """A process that does not run: connections are taken by the kernel and nothing is said."""
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


@contextmanager
def paused(server: EmbeddedValkey) -> Iterator[None]:
    """Commands wait, as behind one that takes long; for longer than two scrapes."""
    with server.client() as client:
        client.execute_command("CLIENT", "PAUSE", 4_000, "ALL")
    yield


@pytest.mark.parametrize("ill", [killed, stopped, paused])
def test_a_server_that_does_not_answer_is_said_to_be_down_and_holds_up_nobody(
    server: EmbeddedValkey, served: Served, ill: Callable[[EmbeddedValkey], Iterator[None]]
) -> None:
    """No gauge of it, no error, no wait, no crowd of threads; all is there again when it is."""
    with EmbeddedValkey() as cache:
        page = served(Deployment(url=server.url, changed={"cache_url": SecretStr(cache.url)}))
        assert up(numbers(page)) == (1, 1, 1)
        with ill(server):  # type: ignore[attr-defined]
            threads = threading.active_count()
            for errors in (1, 2):
                found = in_time(page)
                assert up(found) == (0, 0, 1)
                assert found["narrows_snapshot_errors_total", ""] == errors
                assert not {name for name, label in found if label == NAME}
            assert threading.active_count() <= threads + 3
            assert got(page, "/healthz")[0] == 200
            status, text = got(page, "/readyz")
            assert (status, json.loads(text)["status"]) == (503, "not ready")

        until(lambda: up(later(page)) == (1, 1, 1), 30)
        assert numbers(page)["dlq_depth", NAME] == 0


def test_a_cache_that_is_gone_takes_nothing_else_with_it(server: EmbeddedValkey, served: Served) -> None:
    """It is the one that may go."""
    nowhere = SecretStr("redis://:canary@127.0.0.1:1/0")

    found = in_time(served(Deployment(url=server.url, changed={"cache_url": nowhere})))

    assert up(found) == (1, 1, 0)
    assert found["dlq_depth", NAME] == 0


@contextmanager
def babbling(said: bytes) -> Iterator[str]:
    """The address of a server that says *said* again and again, whatever it is asked."""
    over = threading.Event()

    def talk(client: socket.socket) -> None:
        with closing(client), suppress(OSError):
            while not over.wait(0.05):
                client.sendall(said)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                client.settimeout(5)
                threading.Thread(target=talk, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        over.set()
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "said",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\xff\xfe", b"+", b"$100000000\r\nx", b"*-7\r\n", b":1\r\n"],
    ids=["another protocol", "bytes", "a drip", "an endless answer", "a bad count", "numbers"],
)
def test_a_server_that_talks_nonsense_is_down_and_holds_up_nobody(served: Served, said: bytes) -> None:
    """Or never ends what it says."""
    with babbling(said) as url:
        page = served(Deployment(url=url))
        found = [in_time(page) for _ in range(2)]

    assert {each["narrows_state_up", ""] for each in found} == {0}
    assert not {name for each in found for name, label in each if label == NAME} - {"queue_depth"}


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_queues_are_counted_on_rabbitmq_too_and_the_doctor_knows_it(
    server: EmbeddedValkey, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was never used holds nothing; when it is gone, so are the depths, and nothing else."""
    with Rabbit() as rabbit:
        here = Deployment(url=server.url, changed={"broker_url": SecretStr(rabbit.url)})
        with here.app.connection_for_write() as connection:
            queue = connection.SimpleQueue(NAME, queue_opts={"durable": True})
            queue.put("a message")
            queue.close()
        page = exposition(here.engine, here.app, port=0, within=5.0, fresh=FRESH)
        page.start()
        try:
            found = numbers(page)
            code = here.narrows("doctor", "--only", "broker", "--json")
            rabbit.kill()
            gone = later(page)
        finally:
            page.stop()

    said = json.loads(capsys.readouterr().out)["findings"][1]
    assert (up(found), up(gone)) == ((1, 1, 1), (1, 0, 1))
    assert (found["queue_depth", NAME], found["queue_depth", "upkeep"]) == (1, 0)
    assert ("queue_depth", NAME) not in gone
    assert (code, said["name"]) == (0, "broker")
    assert said["detail"].startswith("RabbitMQ ")
    assert rabbit.url not in str(said)


# --- the command ----------------------------------------------------------------------------------


def test_the_command_serves_until_it_is_asked_to_end(server: EmbeddedValkey) -> None:
    """Behind a token here; its address is told, and no secret is."""
    env = dict.fromkeys(
        (f"NARROWS_{role}_URL" for role in ("BROKER", "STATE", "CACHE", "RESULT")), server.url
    )
    process = started("exporter", "--port=0", "--json", **env, NARROWS_METRICS_TOKEN="canary-token")
    try:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "}\n")) + "}"
        url = json.loads(said)["address"]
        assert got(url)[0] == 401
        assert got(url, "/readyz")[0] == 200
    finally:
        process.terminate()
    out, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert "canary" not in out + err
    assert server.url not in out + err


def test_the_command_starts_without_any_server_and_says_so() -> None:
    """Who else should tell Prometheus?"""
    gone = "redis://:canary@127.0.0.1:1/0"
    env = dict.fromkeys((f"NARROWS_{role}_URL" for role in ("BROKER", "STATE", "CACHE", "RESULT")), gone)
    process = started("exporter", "--port=0", "--json", **env)
    try:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "}\n")) + "}"
        found = numbers(json.loads(said)["address"])
    finally:
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)

    assert up(found) == (0, 0, 0)
    assert process.returncode == 0
    assert "server not surveyed" in err
    assert "canary" not in out + err


def test_production_does_not_show_it_to_a_network_without_a_token(server: EmbeddedValkey) -> None:
    """Neither by a setting nor by an option."""
    here = Deployment(url=server.url, changed={"environment": "production"})
    guarded = Deployment(
        url=server.url, changed={"environment": "production", "metrics_token": SecretStr("canary")}
    )

    assert here.narrows("exporter", "--host=0.0.0.0") == 2
    assert isinstance(exposition(guarded.engine, guarded.app, host="0.0.0.0", port=0), Exposition)  # noqa: S104


@pytest.mark.parametrize(
    ("name", "chosen", "code"), [("nyc_open_dat", {}, 2), ("geoclient", {"contract": "v3"}, 1)]
)
def test_settings_that_no_worker_takes_are_refused(
    server: EmbeddedValkey, name: str, chosen: dict[str, str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Else it would say that Redis is away when it cannot look at a provider."""
    here = Deployment(url=server.url, changed={"providers": {name: ProviderSettings.model_validate(chosen)}})

    assert here.narrows("exporter", "--port=0") == code
    assert name in capsys.readouterr().err.lower()


def test_nobody_is_asked_before_the_first_scrape() -> None:
    """Making it opens no connection."""
    here = Deployment(url="redis://127.0.0.1:1/0")

    page = exposition(here.engine, here.app, port=0)

    assert page.url == ""
    assert isinstance(here.engine, Engine)
