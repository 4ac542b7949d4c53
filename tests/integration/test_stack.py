"""The supervisor, over stand-in programs: what exits comes back, what was started ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from redis import Redis

from worker.errors import ConfigurationError
from worker.stack.child import Child, Program
from worker.stack.embedded import free_port
from worker.stack.lifeline import Lifeline
from worker.stack.programs import answers
from worker.stack.stack import Stack

# A stand-in for a worker: answers HTTP, has a child as prefork has, and ends on TERM.
PROGRAM = """
import http.server, os, subprocess, sys
pool = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{os.getpid()} {pool.pid} {os.environ['NARROWS_STATE_URL']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


class StandIns:
    """Programs that need no Celery; each *failing* one exits at once."""

    def __init__(self, *, failing: bool = False) -> None:
        self.code = "import sys; sys.exit('no such setting')" if failing else PROGRAM

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        """A page on a port of its own."""
        return self._made(f"worker-{number}", env)

    def beat(self, env: Mapping[str, str]) -> Program:
        """The same."""
        return self._made("beat", env)

    def exporter(self, env: Mapping[str, str]) -> Program:
        """The same."""
        return self._made("exporter", env)

    def flower(self, env: Mapping[str, str]) -> Program:
        """The same."""
        return self._made("flower", env)

    def _made(self, name: str, env: Mapping[str, str]) -> Program:
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        command = (sys.executable, "-c", self.code, str(port))
        return Program(name=name, command=command, env=env, ready=lambda: answers(address), address=address)


def until(condition: Callable[[], bool], within: float = 10.0) -> None:
    """Return when *condition* holds; fail when it does not in time."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process of that number runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def page(address: str) -> list[str]:
    """What the stand-in there says: its pid, its child's pid, the state's address."""
    from urllib.request import urlopen

    with urlopen(address, timeout=5) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
    return body.decode().split()


def test_a_stack_runs_everything_on_a_server_of_its_own() -> None:
    """And is ready when it says so; nothing of it is left afterwards."""
    with Stack(workers=2, exporter=True, flower=True, programs=StandIns()) as stack:
        parts = {"worker-1", "worker-2", "beat", "exporter", "flower", "valkey"}
        assert set(stack.addresses) == parts
        pid, pool, state = page(stack.addresses["worker-2"])
        assert state == stack.environment["NARROWS_STATE_URL"]
        with Redis.from_url(state) as client:
            assert client.ping()
        directory = stack.directory

    assert not lives(int(pid))
    assert not lives(int(pool))
    assert not directory.exists()


def test_no_address_shows_a_password_and_the_file_that_does_is_private() -> None:
    """Another terminal sources the file."""
    with Stack(workers=0, beat=False, programs=StandIns()) as stack:
        password = stack.environment["NARROWS_STATE_URL"].split(":")[2].split("@")[0]

        assert password not in str(stack.addresses)
        assert stack.env_file.stat().st_mode & 0o777 == 0o600
        assert password in stack.env_file.read_text(encoding="utf-8")


def test_a_server_that_is_given_is_used() -> None:
    """Then no server of our own is started."""
    given = {"NARROWS_STATE_URL": "redis://elsewhere:6379/0"}

    with Stack(workers=1, beat=False, env=given, programs=StandIns()) as stack:
        assert stack.valkey is None
        assert page(stack.addresses["worker-1"])[2] == "redis://elsewhere:6379/0"


def test_a_worker_that_is_killed_comes_back_and_leaves_no_child_behind() -> None:
    """Its whole group is killed, as the loss of a host would."""
    with Stack(workers=1, beat=False, programs=StandIns()) as stack:
        first, pool, _ = page(stack.addresses["worker-1"])

        killed = stack.kill_worker(0)

        assert killed == int(first)
        until(lambda: not lives(int(pool)))
        until(lambda: stack.workers[0].restarts == 1 and stack.workers[0].is_ready)
        assert page(stack.addresses["worker-1"])[0] != first


def test_valkey_that_crashes_comes_back_but_not_one_that_was_killed_on_purpose() -> None:
    """A test of an outage decides itself when the outage ends."""
    with Stack(workers=0, beat=False, programs=StandIns()) as stack:
        valkey = stack.valkey
        assert valkey is not None
        first = valkey.pid

        os.kill(first, signal.SIGKILL)
        until(lambda: valkey.pid not in {0, first})

        valkey.kill()
        time.sleep(0.5)  # several rounds of the supervisor: what must not happen has no condition
        assert not valkey.is_running
        valkey.start()
        assert valkey.is_running


def test_what_does_not_become_ready_is_told_with_the_end_of_its_log() -> None:
    """And everything that had been started is ended again."""
    stack = Stack(workers=1, beat=False, programs=StandIns(failing=True), ready_within=1.0)

    with pytest.raises(ConfigurationError, match="worker-1 did not become ready: no such setting"):
        stack.start()

    assert stack.workers == ()
    assert stack.valkey is not None
    assert not stack.valkey.is_running


def test_what_keeps_exiting_is_started_ever_more_rarely(tmp_path: Path) -> None:
    """A program that cannot start must not take the machine with it."""
    now = 0.0
    lifeline = Lifeline()
    program = Program(name="broken", command=(sys.executable, "-S", "-c", ""))
    child = Child(program, log=tmp_path / "log", lifeline=lifeline, cwd=tmp_path, clock=lambda: now)
    pauses = []

    child.start()
    for _ in range(7):
        until(lambda: not child.is_running)
        assert child.tend() == 0
        fell, before = now, child.restarts
        while child.restarts == before:
            now += 0.25
            child.tend()
        pauses.append(now - fell)
    child.kill()
    child.wait(now)
    lifeline.close()

    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_one_that_ignores_the_request_to_end_is_killed_after_its_grace() -> None:
    """A stack always stops."""
    programs = StandIns()
    programs.code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PROGRAM
    stack = Stack(workers=1, beat=False, programs=programs)
    stack.start()
    pid, pool, _ = page(stack.addresses["worker-1"])

    started = time.monotonic()
    stack.stop(grace=0.5)

    assert 0.5 <= time.monotonic() - started < 10
    assert not lives(int(pid))
    assert not lives(int(pool))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_stack_ends_with_its_owner_however_that_ends(number: signal.Signals) -> None:
    """By request it exits 0; by -9 the guard clears up."""
    code = (
        "from tests.integration.test_stack import StandIns, page\n"
        "from worker.stack.stack import Stack\n"
        "with Stack(workers=1, beat=False, programs=StandIns()) as stack:\n"
        "    print(*page(stack.addresses['worker-1'])[:2], stack.valkey.pid, flush=True)\n"
        "    stack.serve()\n"
    )
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as owner:
        assert owner.stdout is not None
        pids = [int(pid) for pid in owner.stdout.readline().split()]
        assert len(pids) == 3

        time.sleep(0.2)  # serve() is entered right after the line was printed
        owner.send_signal(number)

    until(lambda: not any(map(lives, pids)), within=15.0)
    assert owner.returncode == (-number if number is signal.SIGKILL else 0)
