"""The sandbox's HTTP, over real sockets."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest
import urllib3

from tests.sandbox import Reply, Request, Sandbox, json_reply


class Echo:
    """Says what it was asked; ``/broken`` breaks it."""

    name = "echo"

    async def answer(self, request: Request) -> Reply:
        if request.path == "/broken":
            raise RuntimeError("a bug")
        return json_reply({"method": request.method, "path": request.path, "body": request.body.decode()})

    def failure(self, status: int) -> Reply:
        return json_reply({"echo": status}, status=status)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A running sandbox with one more provider."""
    with Sandbox({}, players=[Echo()]) as running:
        yield running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    """A client that tries once and follows nothing."""
    with urllib3.PoolManager(retries=False, timeout=10) as pool:
        yield pool


def talk(sandbox: Sandbox, sent: bytes) -> bytes:
    """All that comes back for raw bytes, until the server hangs up."""
    port = urllib3.util.parse_url(sandbox.url).port
    with closing(socket.create_connection(("127.0.0.1", port or 0), timeout=10)) as client:
        client.sendall(sent)
        return b"".join(iter(lambda: client.recv(65536), b""))


def test_a_provider_is_a_small_object_mounted_under_its_name(
    sandbox: Sandbox, http: urllib3.PoolManager
) -> None:
    """A player sees the path below its mount, decoded, and the body."""
    answer = http.request("POST", sandbox.base_url("echo") + "/a%20b?c=d", body=b"hello")

    assert answer.json() == {"method": "POST", "path": "/a b", "body": "hello"}


def test_a_chunked_request_body_is_read(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """A body of unknown length arrives whole."""
    answer = http.request("POST", sandbox.base_url("echo") + "/x", body=iter([b"hel", b"lo"]))

    assert answer.json()["body"] == "hello"


def test_connections_are_kept_alive(sandbox: Sandbox) -> None:
    """Many requests of one client travel on one connection."""
    host = urllib3.util.parse_url(sandbox.url)
    with urllib3.HTTPConnectionPool(host.host or "", host.port, retries=False) as pool:
        for _ in range(20):
            assert pool.request("GET", "/stub/x").json() == {"ok": True}

        assert pool.num_connections == 1


def test_pipelined_requests_are_answered_in_order(sandbox: Sandbox) -> None:
    """Two requests in one packet get two answers, the first one first."""
    first, second = b"GET /echo/1 HTTP/1.1\r\n\r\n", b"GET /echo/2 HTTP/1.1\r\nConnection: close\r\n\r\n"

    heard = talk(sandbox, first + second)

    assert heard.index(b'"/1"') < heard.index(b'"/2"')


def test_a_head_request_gets_no_body(sandbox: Sandbox) -> None:
    """HEAD announces a length and sends nothing of it."""
    heard = talk(sandbox, b"HEAD /stub HTTP/1.1\r\nConnection: close\r\n\r\n")

    assert b"Content-Length: 11" in heard
    assert heard.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"NONSENSE\r\n\r\n", 400),
        (b"GET /stub HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /stub HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST /stub HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"GET /stub HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused_and_hung_up_on(sandbox: Sandbox, sent: bytes, status: int) -> None:
    """A bad request costs its sender the connection, and nobody else anything."""
    assert talk(sandbox, sent).startswith(b"HTTP/1.1 %d " % status)


def test_a_client_that_waits_to_be_told_to_send_its_body_is_told(sandbox: Sandbox) -> None:
    """``Expect: 100-continue`` is answered before the body comes."""
    port = urllib3.util.parse_url(sandbox.url).port
    with closing(socket.create_connection(("127.0.0.1", port or 0), timeout=10)) as client:
        client.sendall(b"POST /echo/x HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(b"ok")

        assert b'"body": "ok"' in client.recv(1000)


def test_an_unknown_provider_is_not_found(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """A mistaken mount says so instead of answering."""
    for path in ("/nobody/x", "/", "/_control/nobody", "/_journal/nobody"):
        assert http.request("GET", sandbox.url + path).status == 404


def test_a_players_own_bug_is_kept_for_the_test_to_find(
    sandbox: Sandbox, http: urllib3.PoolManager, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a player is a 500 that cannot be mistaken for a provider's."""
    answer = http.request("GET", sandbox.base_url("echo") + "/broken")

    assert answer.status == 500
    assert [str(error) for error in sandbox.errors] == ["a bug"]
    assert "player failed" in caplog.text


def test_the_stub_takes_as_long_as_it_is_told(sandbox: Sandbox, http: urllib3.PoolManager) -> None:
    """``latency_ms`` holds the answer back, and calls that overlap wait together."""
    url = sandbox.base_url("stub") + "/?latency_ms=150"
    callers = [threading.Thread(target=http.request, args=("GET", url)) for _ in range(4)]

    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()

    assert sandbox.control.counts("stub")["max_in_flight"] == 4


def test_two_sandboxes_do_not_know_each_other(http: urllib3.PoolManager) -> None:
    """Each has its own port, faults and journal, and none outlives its block."""
    with Sandbox({}) as one, Sandbox({}) as two:
        one.control.fault("stub", status=500)
        assert http.request("GET", one.base_url("stub")).status == 500
        assert http.request("GET", two.base_url("stub")).status == 200
        assert one.control.counts("stub")["count"] == 1
    with pytest.raises(urllib3.exceptions.NewConnectionError):
        http.request("GET", one.base_url("stub"))


def test_a_port_that_is_taken_is_reported_at_once(sandbox: Sandbox) -> None:
    """Starting on a taken port raises in the caller's thread."""
    port = urllib3.util.parse_url(sandbox.url).port or 0

    with pytest.raises(OSError, match="address already in use"):
        Sandbox({}, port=port).start()


def test_the_command_says_where_it_listens_and_ends_when_told(http: urllib3.PoolManager) -> None:
    """``python -m tests.sandbox`` prints where, and the settings that lead there; SIGTERM is success."""
    command = [sys.executable, "-m", "tests.sandbox", "--port", "0", "--token", "secret"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        word, url = process.stdout.readline().split()
        named, _, settings = process.stdout.readline().partition(" ")
        answer = http.request("GET", f"{url}/nyc_open_data/resource/erm2-nwe9.json?$limit=1")
        process.send_signal(signal.SIGTERM)

        assert (word, len(json.loads(answer.data))) == ("sandbox", 1)
        assert process.wait(timeout=10) == 0
        assert process.stdout.read() == ""
    assert (named, json.loads(settings)["NARROWS_PROVIDERS__SPOTIFY__API_KEY"]) == (
        "settings",
        "sandbox:secret",
    )
