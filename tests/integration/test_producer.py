"""``delay()`` while something that it needs is gone: one clear error, soon, and nothing half recorded.

Real servers, broker, state and results each their own; a real producer in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.cut import Cut, Hole
from worker.stack.embedded import EmbeddedValkey, free_port

ROOT = Path(__file__).resolve().parents[2]
QUEUE = "nyc_open_data"
CALL = f"narrows:{{{QUEUE}}}:call:t-1"
WITHIN = 15.0
"""Seconds until the caller has the error at the latest, with a NARROWS_REDIS_TIMEOUT of half a second."""

PROGRAM = """
import json, sys, time
from tasks import fetch_permits
started = time.monotonic()
try:
    fetch_permits.apply_async(("1012650001",), task_id=sys.argv[1])
    said = ["taken", ""]
except Exception as why:
    said = [type(why).__name__, str(why)]
print(json.dumps([*said, time.monotonic() - started]))
"""


class Servers:
    """Broker, state and results; each may be replaced by something worse."""

    def __init__(self, broker: EmbeddedValkey, state: EmbeddedValkey) -> None:
        self.broker, self.state = broker, state
        self.urls = {"BROKER": broker.url, "STATE": state.url, "RESULT": broker.url, "CACHE": state.url}

    def warm(self) -> None:
        """Have the state know the scripts, as it does from the first call on."""
        self.enqueue("t-0")
        with self.broker.client() as broker:
            broker.delete(QUEUE)

    def enqueue(self, task_id: str = "t-1", **instead: str) -> tuple[str, str]:
        """The kind of error that a caller had, or "taken", and what it said."""
        bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
        urls = {f"NARROWS_{role}_URL": url for role, url in {**self.urls, **instead}.items()}
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, task_id],
            cwd=ROOT,
            env={**bare, **urls, "NARROWS_REDIS_TIMEOUT": "0.5"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        kind, text, seconds = json.loads(done.stdout)
        assert seconds < WITHIN
        assert "Traceback" not in done.stderr
        return kind, text

    @property
    def half_done(self) -> tuple[str, int]:
        """The state of the call's record, "" for none, and the number of its messages."""
        with self.state.client() as state, self.broker.client() as broker:
            return (state.hget(CALL, "state") or b"").decode(), broker.llen(QUEUE)


@pytest.fixture
def servers() -> Iterator[Servers]:
    """A broker, which keeps the results, and a state Redis."""
    with EmbeddedValkey() as broker, EmbeddedValkey(appendfsync="always") as state:
        yield Servers(broker, state)


def refused(_stack: ExitStack) -> str:
    """The address of a port that nobody listens at."""
    return f"redis://127.0.0.1:{free_port()}/0"


def silent(stack: ExitStack) -> str:
    """The address of a server that takes connections and says nothing."""
    return stack.enter_context(Hole()).url


def full(stack: ExitStack) -> str:
    """The address of a server without memory left."""
    return stack.enter_context(EmbeddedValkey(maxmemory="1")).url


def read_only(stack: ExitStack) -> str:
    """The address of a server that has become somebody's replica."""
    server = stack.enter_context(EmbeddedValkey())
    with server.client() as client:
        client.replicaof("127.0.0.1", free_port())
    return server.url


@pytest.mark.parametrize("role", ["BROKER", "STATE"])
@pytest.mark.parametrize("trouble", [refused, silent, full, read_only])
def test_when_a_server_takes_nothing_the_caller_hears_it_soon_and_nothing_is_enqueued(
    servers: Servers, role: str, trouble: Callable[[ExitStack], str]
) -> None:
    """Whatever ails it; what was recorded already is taken back."""
    with ExitStack() as stack:
        kind, text = servers.enqueue(**{role: trouble(stack)})

    told = {"BROKER": "the broker does not take messages", "STATE": "the state Redis"}[role]
    assert (kind, told in text, text.endswith("nothing was enqueued")) == ("EnqueueFailed", True, True)
    state, messages = servers.half_done
    assert (state in {"", "ended"}, messages) == (True, 0)


@pytest.mark.parametrize("trouble", [refused, silent])
def test_without_the_result_redis_nothing_is_enqueued_either(
    servers: Servers, trouble: Callable[[ExitStack], str]
) -> None:
    """Nobody could ever hear of the result, so the caller hears that at once."""
    with ExitStack() as stack:
        kind, text = servers.enqueue(RESULT=trouble(stack))

    assert (kind, text.endswith("nothing was enqueued")) == ("EnqueueFailed", True)
    assert servers.half_done == ("", 0)


def test_no_address_and_no_password_is_in_the_error(servers: Servers) -> None:
    """It is logged by callers, and shown to theirs."""
    with ExitStack() as stack:
        url = silent(stack).replace("redis://", "redis://:canary-password@")
        errors = [servers.enqueue(**{role: url})[1] for role in ("BROKER", "STATE", "RESULT")]

    assert [error for error in errors if "canary" in error or "127.0.0.1" in error] == []


def test_a_message_whose_reply_was_lost_does_not_run_after_its_caller_heard_of_the_failure(
    servers: Servers,
) -> None:
    """It lies in the broker, as often as it was tried; the record says that no copy is to run."""
    with Cut(servers.broker.port, after=b"LPUSH") as broken:
        kind, text = servers.enqueue(BROKER=broken.through(servers.broker.url))

    state, messages = servers.half_done
    assert (kind, text.endswith("nothing was enqueued")) == ("EnqueueFailed", True)
    assert (state, 1 <= messages <= 3) == ("ended", True)


def test_a_record_whose_reply_was_lost_is_taken_back(servers: Servers) -> None:
    """The state Redis answers again a moment later, so the caller hears for certain."""
    servers.warm()

    with Cut(servers.state.port, after=b"t-1", times=1) as broken:
        kind, text = servers.enqueue(STATE=broken.through(servers.state.url))

    assert (kind, text.endswith("nothing was enqueued")) == ("EnqueueFailed", True)
    assert servers.half_done == ("ended", 0)


def test_a_record_of_which_nobody_can_say_whether_it_was_taken_back_is_told_as_such(servers: Servers) -> None:
    """The state Redis was heard neither of the record nor of its end; the same id decides it."""
    servers.warm()

    with Cut(servers.state.port, after=b"t-1") as broken:
        kind, text = servers.enqueue(STATE=broken.through(servers.state.url))

    assert kind == "EnqueueFailed"
    assert text.endswith("the same task_id, or idempotency key, enqueues it once")
    assert servers.half_done == ("queued", 0)
    assert servers.enqueue() == ("taken", "")
    assert servers.half_done == ("queued", 0)  # known already: a worker's sweep publishes it


def test_when_both_servers_go_between_record_and_message_the_call_stands(servers: Servers) -> None:
    """The caller is told that it may run; the same id enqueues it once."""
    with Cut(servers.broker.port, after=b"LPUSH", first=servers.state.kill, forward=False) as broken:
        kind, text = servers.enqueue(BROKER=broken.through(servers.broker.url))
    servers.state.start()

    assert kind == "EnqueueFailed"
    assert text.endswith("the same task_id, or idempotency key, enqueues it once")
    assert servers.half_done == ("queued", 0)
    assert servers.enqueue() == ("taken", "")
    assert servers.half_done == ("queued", 0)  # known already, so a worker's sweep publishes it


def test_without_trouble_a_call_is_recorded_and_published_once(servers: Servers) -> None:
    """So that the tests above cannot pass because nothing works; again with the same id changes nothing."""
    assert [servers.enqueue()[0] for _ in range(2)] == ["taken", "taken"]
    assert servers.half_done == ("queued", 1)
