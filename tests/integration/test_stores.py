"""A line to Redis: one connection a thread, and the truth about what was sent."""

from __future__ import annotations

import threading

import pytest
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from config.settings import Settings
from worker.errors import EnqueueFailed
from worker.record import Records
from worker.stack.embedded import EmbeddedValkey
from worker.stores import Line, Unreached, connect


def test_each_thread_has_a_connection_of_its_own(state: Redis) -> None:
    """And keeps it."""
    line, seen = Line(state), []

    def ask() -> None:
        seen.append({line.execute_command("CLIENT", "ID") for _ in range(3)})

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [len(ids) for ids in seen] == [1, 1, 1]
    assert len(set.union(*seen)) == 3


def test_a_bad_command_does_not_cost_the_connection(state: Redis) -> None:
    """The server answered; the line is whole."""
    line = Line(state)
    before = line.execute_command("CLIENT", "ID")
    with pytest.raises(ResponseError):
        line.execute_command("NONSENSE")

    assert line.execute_command("CLIENT", "ID") == before


def test_a_connection_that_was_closed_meanwhile_is_replaced(state: Redis) -> None:
    """One error at the most, then it serves again."""
    line = Line(state)
    line.execute_command("PING")
    state.client_kill_filter(_type="normal", skipme=True)

    replies = []
    for _ in range(2):
        try:
            replies.append(line.execute_command("PING"))
        except RedisError:
            replies.append(None)

    assert replies[-1] in {b"PONG", True}


def test_a_server_that_is_not_there_was_sent_nothing() -> None:
    """The caller may be told so."""
    line = Line(connect("redis://127.0.0.1:1/0"))

    with pytest.raises(Unreached):
        line.execute_command("PING")


def test_a_caller_hears_that_nothing_was_enqueued_only_when_it_is_so() -> None:
    """A server that took the record and went before it replied leaves the question open."""
    with EmbeddedValkey() as server:
        client = server.client()
        gone = Records(client, _Cut(server), "acme")
        with pytest.raises(EnqueueFailed, match="it may run all the same"):
            gone.write("t1", "[]")

    with pytest.raises(EnqueueFailed, match="nothing was enqueued"):
        Records(client, Line(client), "acme").write("t2", "[]")


def test_a_primary_behind_sentinels_is_asked_with_the_password_that_the_address_encodes() -> None:
    """As Celery's broker and results are, and a server that is named itself."""
    url = "sentinel://ada:p%40%2Fss@127.0.0.1:1/3"
    chosen = Settings.load({"NARROWS_STATE_URL": url, "NARROWS_SENTINEL__PRIMARY": "harbour"})

    client = connect(url, chosen)

    known = client.connection_pool.connection_kwargs
    assert (known["username"], known["password"], known["db"]) == ("ada", "p@/ss", 3)


class _Cut:
    """Hands a command to the server, which is then gone before it replies."""

    def __init__(self, server: EmbeddedValkey) -> None:
        self._server, self._client = server, server.client()

    def execute_command(self, *command: object) -> object:
        if self._server.pid:
            self._client.execute_command(*command)
            self._server.kill()
        return self._client.execute_command(*command)
