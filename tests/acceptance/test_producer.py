"""Producers that are killed in ``delay()``: each call runs exactly once, or never; and workers see to it."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from celery.result import AsyncResult
from redis import Redis

from tasks import fetch_permits
from tests.acceptance.providers import echo
from tests.fleet import Fleet, Ground, until
from tests.sandbox import LOTS
from worker.keys import keys

ROOT = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^<!-- (?:run|file): (\S+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGE = (ROOT / "docs" / "producing.md").read_text(encoding="utf-8")
BLOCKS = dict(BLOCK.findall(PAGE))
BBLS = [lot.bbl for lot in LOTS]
AT = keys("steady")
LOTS_AT = keys(fetch_permits.operation.provider.name)

PROGRAM = """
import json, os, sys
import celery.backends.redis, kombu.transport.redis, redis.client
from tests.acceptance.providers import echo
from tests.mortal import die_at
from worker.engine import engine
echo.operation.checked((1,), {})  # all that loads without a connection is loaded once, not in each child
engine().records("steady"), echo.app.amqp.queues, echo.app.backend
options, most = json.loads(sys.argv[1]), int(sys.argv[2])
places = "worker/publishing.py:_send_recorded", "worker/record.py:write", "worker/record.py:_enqueue"
for number in range(1, most):
    child = os.fork()
    if child == 0:
        die_at(number, places)
        echo.apply_async((number,), task_id=f"killed-{number}", **options)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
print(number)
"""
"""Enqueues call after call, each in a process of its own that is killed a line later than the one before."""


@pytest.fixture
def quiet(ground: Ground) -> Iterator[Redis]:
    """The state Redis, while no worker runs; nothing is in it."""
    ground.clear()
    with ground.client() as state:
        yield state


def killed(ground: Ground, **options: Any) -> int:
    """How many producers were killed, one at each line; the call after those was enqueued whole."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(options), "200"],
        cwd=ROOT,
        env={**os.environ, **ground.env},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout) - 1


def recorded(state: Redis, number: int) -> bool:
    """Whether the call of that number is on record."""
    return bool(state.exists(AT.call(f"killed-{number}")))


def asked(ground: Ground, number: int) -> int:
    """How often the provider was asked for it."""
    return [entry["path"] for entry in ground.sandbox.control.journal("steady")].count(f"/echo/{number}")


def test_a_producer_killed_at_any_line_leaves_a_call_that_runs_once_or_never(
    quiet: Redis, ground: Ground
) -> None:
    """Never, when it had not been recorded; once, when it had, whether or not its message was sent."""
    lines = killed(ground)
    numbers = range(1, lines + 2)
    known = {number for number in numbers if recorded(quiet, number)}
    messages = quiet.llen("steady")
    assert lines > 15
    assert 1 < len(known) < len(numbers)
    assert 1 <= messages < len(known)

    with Fleet(ground, workers=2):
        for number in known:
            assert AsyncResult(f"killed-{number}", app=echo.app).get(timeout=60) == number
        until(lambda: not quiet.exists(AT.queued, AT.running))

    assert {number: asked(ground, number) for number in numbers} == {
        number: int(number in known) for number in numbers
    }


def test_an_intent_that_was_never_published_is_not_run_after_its_time(quiet: Redis, ground: Ground) -> None:
    """It ends as REVOKED, and no longer stands anywhere."""
    lines = killed(ground, expires=1)
    intents = [number for number in range(1, lines + 2) if recorded(quiet, number)]
    assert len(intents) > 1
    until(lambda: _expired(quiet, intents))

    with Fleet(ground, workers=1):
        ends = [AsyncResult(f"killed-{number}", app=echo.app) for number in intents]
        until(lambda: all(end.state == "REVOKED" for end in ends), 60.0)
        until(lambda: not quiet.exists(*AT.indexes))

    assert [number for number in intents if asked(ground, number)] == []
    states = {quiet.hget(AT.call(end.id), "state") for end in ends}
    assert states <= {b"ended", None}  # a tombstone, for copies that come late


def _expired(state: Redis, numbers: list[int]) -> bool:
    """Whether the time of each call is over, on Redis's clock."""
    seconds, _ = state.time()
    ends = [state.hget(AT.call(f"killed-{number}"), "expires_at") for number in numbers]
    return all(end is not None and int(end) / 1000 < seconds for end in ends)


def test_every_block_of_the_page_is_run() -> None:
    """A block of Python without a mark would be one that nobody tries."""
    assert len(BLOCKS) == PAGE.count("```python") == 5


@pytest.mark.parametrize("name", ["ours", "bare", "raw"])
def test_the_ways_to_enqueue_work_as_the_page_shows_them(quiet: Redis, ground: Ground, name: str) -> None:
    """With our code, by bare name, and with nothing but a Redis client."""
    with Fleet(ground, workers=1):
        shown = _python("-c", BLOCKS[name], ground=ground)

    assert shown.stdout == "5 permits\n", shown.stderr
    assert quiet.llen("dlq:unroutable") == 0


@pytest.fixture
def outbox(tmp_path: Path) -> Path:
    """A folder with the page's two files, and a database."""
    for name in ("orders.py", "relay.py"):
        (tmp_path / name).write_text(BLOCKS[name], encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "orders.db")) as db:
        db.executescript(_orders()["SCHEMA"])
    return tmp_path


def test_an_order_and_its_call_are_written_together_or_not_at_all(outbox: Path) -> None:
    """A transaction that fails half-way leaves neither."""
    order = _orders()["order"]
    with closing(sqlite3.connect(outbox / "orders.db")) as db:
        row = order(db, BBLS[0])
        db.execute("CREATE TRIGGER no AFTER INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'no'); END")
        with pytest.raises(sqlite3.IntegrityError):
            order(db, BBLS[1])

        assert db.execute("SELECT id FROM orders").fetchall() == [(row,)]
        assert db.execute("SELECT id, state FROM outbox").fetchall() == [(row, "new")]


@pytest.mark.parametrize("workers", ["later", "meanwhile"])
def test_a_relay_killed_at_any_line_sends_again_and_each_call_is_made_once(
    quiet: Redis, ground: Ground, outbox: Path, workers: str
) -> None:
    """Whether the call still waits when the next relay comes, or has been answered since."""
    order, database = _orders()["order"], outbox / "orders.db"
    with closing(sqlite3.connect(database)) as db:
        rows = [order(db, bbl) for bbl in BBLS[:2]]
    ends = [AsyncResult(row, app=echo.app) for row in rows]

    if workers == "later":
        kills = _relay_till_it_lives(outbox, ground, wait=False)
    with Fleet(ground, workers=1) as fleet:
        if workers == "meanwhile":
            kills = _relay_till_it_lives(outbox, ground, wait=True)
        permits = [end.get(timeout=60) for end in ends]
        _answered(quiet)
        made = [line for line in fleet.logs.splitlines() if '"task succeeded"' in line]

    with closing(sqlite3.connect(database)) as db:
        assert db.execute("SELECT state FROM outbox").fetchall() == [("sent",), ("sent",)]
    assert kills > 3
    assert len(permits[0]) == 5
    assert sorted(row for line in made for row in rows if row in line) == sorted(rows)
    assert ground.sandbox.control.counts("nyc_open_data")["count"] == 2


def test_a_row_that_can_never_be_sent_does_not_keep_the_others(
    quiet: Redis, ground: Ground, outbox: Path
) -> None:
    """It says what is wrong; a person looks at it."""
    order = _orders()["order"]
    with closing(sqlite3.connect(outbox / "orders.db")) as db:
        order(db, "no lot")
        good = order(db, BBLS[0])
        done = _python("relay.py", "orders.db", ground=ground, at=outbox)
        states = [state for (state,) in db.execute("SELECT state FROM outbox ORDER BY rowid")]

    assert done.returncode == 0, done.stderr
    assert (states[0].startswith("wrong: "), states[1]) == (True, "sent")
    assert (quiet.zcard(LOTS_AT.queued), quiet.zscore(LOTS_AT.queued, good) is not None) == (1, True)


def _orders() -> dict[str, Any]:
    """What the page's first file defines."""
    names: dict[str, Any] = {}
    exec(BLOCKS["orders.py"], names)  # noqa: S102 - our own page
    return names


MORTAL = """
import runpy, sys
from tests.mortal import die_at
line, *sys.argv = sys.argv[1:]
die_at(int(line), ["relay.py:relay"])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def _relay_till_it_lives(outbox: Path, ground: Ground, *, wait: bool) -> int:
    """How many relays were killed, each two lines later; *wait* until what was sent has been answered."""
    for kills, line in enumerate(range(1 + wait, 100, 2)):
        done = _python("-c", MORTAL, str(line), "relay.py", "orders.db", ground=ground, at=outbox)
        if done.returncode == 0:
            return kills
        assert done.returncode == -signal.SIGKILL, done.stderr
        if wait:
            with ground.client() as state:
                _answered(state)
    pytest.fail("the relay was killed at every line")


def _python(*args: str, ground: Ground, at: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """A process of a service that is led to *ground*, and has our code on its path."""
    env = {**os.environ, **ground.env, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-W", "ignore", *args],
        cwd=at,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def _answered(state: Redis) -> None:
    """Return when no call is on record any more."""
    until(lambda: not state.exists(*LOTS_AT.indexes), 60.0)
