"""The embedded Valkey: private, lasting over a crash, and gone when we are."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from worker.stack.embedded import EmbeddedValkey, free_port


@pytest.fixture
def server() -> Iterator[EmbeddedValkey]:
    """A server of the test's own."""
    with EmbeddedValkey(appendfsync="always") as valkey:
        yield valkey


def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Return when *condition* holds; fail when it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process of that number runs; one that only waits to be reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_answers_with_its_password_only(server: EmbeddedValkey) -> None:
    """Any other user of the machine can reach a loopback port."""
    with Redis(host="127.0.0.1", port=server.port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    with Redis.from_url(server.url) as owner:
        assert owner.ping()


def test_it_keeps_what_a_queue_must_not_lose(server: EmbeddedValkey) -> None:
    """No eviction, and every write on disk before it is acknowledged."""
    with Redis.from_url(server.url) as client:
        found = {**client.config_get("maxmemory-policy"), **client.config_get("append*")}

    assert found["maxmemory-policy"] == "noeviction"
    assert (found["appendonly"], found["appendfsync"]) == ("yes", "always")


def test_it_listens_on_loopback_only(server: EmbeddedValkey) -> None:
    """Nothing on the network can find it."""
    with Redis.from_url(server.url) as client:
        assert client.config_get("bind")["bind"] == "127.0.0.1"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_neither_process_list_nor_repr_shows_the_password(server: EmbeddedValkey) -> None:
    """Both end up where others read them."""
    password = server.url.split(":")[2].split("@")[0]

    shown = [Path(f"/proc/{server.pid}/{kind}").read_bytes().decode() for kind in ("cmdline", "environ")]

    assert "valkey-server" in shown[0]
    assert password not in "".join(shown)
    assert password not in repr(server)


def test_its_directory_is_for_nobody_else_and_goes_with_it() -> None:
    """The data may be somebody's."""
    with EmbeddedValkey() as valkey:
        directory = valkey.directory
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    assert not directory.exists()
    assert not valkey.is_running


def test_after_a_crash_it_comes_back_with_its_data_where_it_was(server: EmbeddedValkey) -> None:
    """Clients find the same address, and nothing acknowledged is gone."""
    address, first = server.url, server.pid
    with Redis.from_url(server.url) as client:
        client.set("kept", "yes")
        server.kill()
        assert not server.is_running
        assert not server.has_crashed  # it was asked for
        server.start()

        assert client.get("kept") == b"yes"
    assert server.url == address
    assert server.pid != first


def test_a_crash_that_nobody_asked_for_is_told() -> None:
    """So that the supervisor starts it again."""
    with EmbeddedValkey() as valkey:
        os.kill(valkey.pid, signal.SIGKILL)

        until(lambda: valkey.has_crashed)

        valkey.start()
        assert valkey.is_running


def test_starting_twice_starts_one(server: EmbeddedValkey) -> None:
    """A supervisor and a test may both ask."""
    pid = server.pid

    server.start()

    assert server.pid == pid


def test_a_free_port_is_the_preferred_one_unless_it_is_taken() -> None:
    """A page is best found where it was yesterday."""
    port = free_port()
    assert free_port(preferred=port) == port

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
        listener.listen()
        assert free_port(preferred=port) != port


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_is_left_when_its_owner_is_killed(number: signal.Signals) -> None:
    """Not even by -9, from which no owner can clean up; started by a thread that is long gone."""
    code = (
        "import threading, time\n"
        "from worker.stack.embedded import EmbeddedValkey\n"
        "valkey = EmbeddedValkey()\n"
        "starter = threading.Thread(target=valkey.start)\n"
        "starter.start(); starter.join()\n"
        "print(valkey.pid, valkey.directory, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid, directory = owner.stdout.readline().split(maxsplit=1)
        assert lives(int(pid))

        owner.send_signal(number)

    until(lambda: not lives(int(pid)))
    until(lambda: not Path(directory.strip()).exists())
