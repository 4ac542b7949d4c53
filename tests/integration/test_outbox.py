"""A finish that nobody waits for rides on the next begin, goes alone after a moment, and is never lost."""

from __future__ import annotations

import os
import threading
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import RedisError

from tests.fleet import until
from worker.claim import Claim
from worker.gate import Gate
from worker.keys import keys
from worker.outbox import Outbox
from worker.provider import Provider
from worker.record import Records
from worker.stack.embedded import EmbeddedValkey
from worker.stores import Line, connect

ACME = Provider(name="acme", base_url="http://127.0.0.1:9", max_concurrency=1000)
NEVER = 3600.0


class Spoken(Line):
    """A line that notes how many commands it sends at a time."""

    def __init__(self, redis: Redis) -> None:
        super().__init__(redis)
        self.turns: list[int] = []

    def execute_command(self, *command: Any) -> Any:
        self.turns.append(1)
        return super().execute_command(*command)

    def execute_commands(self, commands: Any) -> list[Any]:
        self.turns.append(len(commands))
        return super().execute_commands(commands)


def made(state: Redis, *, moment: float = NEVER) -> tuple[Gate, Spoken, Outbox]:
    """A gate whose finishes wait for *moment* seconds."""
    line = Spoken(state)
    outbox = Outbox(line, moment=moment)
    return Gate(line, ACME, outbox=outbox), line, outbox


def admitted(gate: Gate, task_id: str = "") -> tuple[Claim, Any]:
    """A call that is out."""
    claim = Claim(home="acme", task_id=task_id, recorded=True) if task_id else Claim()
    decision, report = gate.begin(claim)
    assert decision.word == "admit"
    report.outcome = "success"
    return claim, report


def unheard(_: str) -> None:
    """Nobody listens."""


def leases(state: Redis) -> int:
    """Calls that are out, as the fleet sees it."""
    return int(state.zcard(keys("acme").leases))


def test_a_finish_rides_on_the_next_begin(state: Redis) -> None:
    """Two calls one after the other cost three turns of the conversation less one."""
    gate, line, _ = made(state)
    Records(state, state, "acme").write("t1", "[]")
    gate.finish(None, Claim(home="acme", task_id="unknown"), "end")  # the server learns its script
    claim, report = admitted(gate, "t1")
    line.turns.clear()

    gate.finish_soon(report, claim, unheard)
    waited = leases(state)
    admitted(gate)

    assert (waited, leases(state)) == (1, 1)
    assert line.turns == [2]
    assert not state.exists(keys("acme").call("t1"))


def test_a_finish_without_a_begin_goes_alone_after_a_moment(state: Redis) -> None:
    """A worker that has nothing more to do says so."""
    gate, _, _ = made(state, moment=0.005)
    claim, report = admitted(gate)

    gate.finish_soon(report, claim, unheard)

    until(lambda: leases(state) == 0)


def test_who_listens_hears_that_the_breaker_moved(state: Redis) -> None:
    """Whoever carried it there."""
    gate, _, _ = made(state)
    state.hset(keys("acme").breaker, mapping={"state": "open", "open_until": 1})
    heard: list[str] = []
    for _ in range(2):
        claim, report = admitted(gate)
        gate.finish_soon(report, claim, heard.append)
    admitted(gate)

    assert heard == ["", "closed"]


def test_a_server_that_forgot_its_scripts_hears_every_finish(state: Redis) -> None:
    """A restart empties its memory of scripts."""
    gate, _, outbox = made(state)
    for claim, report in [admitted(gate) for _ in range(3)]:
        gate.finish_soon(report, claim, unheard)
    state.script_flush()

    outbox.flush()

    assert leases(state) == 0


def test_no_finish_is_lost_to_a_connection_that_breaks(state: Redis) -> None:
    """It is said again, and counts once."""
    gate, _, _ = made(state)
    for claim, report in [admitted(gate) for _ in range(5)]:
        gate.finish_soon(report, claim, unheard)
    state.client_kill_filter(_type="normal", skipme=True)

    admitted(gate)

    assert leases(state) == 1


def test_no_finish_is_lost_while_redis_is_away() -> None:
    """It is kept, and told when Redis is back."""
    with EmbeddedValkey(appendfsync="always") as server:
        state = connect(server.url)
        gate, _, _ = made(state, moment=0.005)
        out = [admitted(gate) for _ in range(5)]
        server.kill()
        for claim, report in out:
            gate.finish_soon(report, claim, unheard)
        server.start()

        with connect(server.url) as watching:
            until(lambda: leases(watching) == 0)


def test_a_finish_that_redis_refuses_is_kept(state: Redis) -> None:
    """A server that was demoted, or is full, may take it later."""
    gate, _, outbox = made(state)
    claim, report = admitted(gate)
    gate.finish_soon(report, claim, unheard)
    state.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(RedisError):
            outbox.flush()
    finally:
        state.execute_command("REPLICAOF", "NO", "ONE")

    outbox.flush()

    assert leases(state) == 0


def test_finishes_of_many_threads_are_all_told(state: Redis) -> None:
    """While others send, threads add."""
    gate, _, _ = made(state, moment=0.001)

    def work() -> None:
        for _ in range(100):
            claim, report = admitted(gate)
            gate.finish_soon(report, claim, unheard)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    until(lambda: leases(state) == 0)
    assert sum(int(number) for number in state.hvals(keys("acme").budget)) == 800


def test_a_forked_child_does_not_say_what_its_parent_will(state: Redis) -> None:
    """And has a thread of its own for what it does itself."""
    gate, _, outbox = made(state, moment=0.005)
    held = made(state)
    claim, report = admitted(held[0])
    held[0].finish_soon(report, claim, unheard)
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        own, done = admitted(gate)
        gate.finish_soon(done, own, unheard)
        outbox.flush()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert leases(state) == 1
    held[2].flush()
    assert leases(state) == 0
