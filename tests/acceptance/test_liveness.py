"""A worker that does nothing any more is not healthy; one whose servers are away is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.acceptance.dying_parts import hang, hang_there
from tests.fleet import INCLUDED, Fleet, Ground, until
from worker.application import app

PATIENCE = 3.0
HANGS = 2.0
"""Seconds without a word after which a task hangs."""

LOOK_EVERY = 0.1
"""Seconds: often enough to see what lasts, and no load that would make a worker late."""

MODULES = f"{INCLUDED},tests.acceptance.dying_parts"


@pytest.fixture(scope="module")
def fleet(clean: Ground, request: pytest.FixtureRequest) -> Iterator[Fleet]:
    """One worker of either kind that is missed after some seconds."""
    env = {
        "NARROWS_LIVENESS_TIMEOUT": str(PATIENCE),
        "NARROWS_CLAIM_LEASE": "3",
        "NARROWS_TASK_TIME_LIMIT": str(HANGS),
    }
    with Fleet(clean, workers=1, pool=request.param, concurrency=2, env=env, include=MODULES) as fleet:
        yield fleet


def asked(fleet: Fleet, path: str) -> tuple[int, dict[str, object], float]:
    """Status, words and how long it took."""
    began = time.monotonic()
    try:
        with urlopen(fleet.stack.workers[0].program.address + path, timeout=10) as answer:  # noqa: S310 - loopback
            status, words = answer.status, json.load(answer)
    except HTTPError as refused:
        with refused:
            status, words = refused.code, json.load(refused)
    return status, words, time.monotonic() - began


def silent(fleet: Fleet) -> list[str]:
    """Who is missed in it, as its page for machines says."""
    status, words, _ = asked(fleet, "/healthz")
    named = words.get("silent", [])
    assert isinstance(named, list)
    assert (status == 503) == bool(named)
    return named


@pytest.mark.parametrize("fleet", ["threads", "prefork"], indirect=True)
def test_a_worker_without_its_redis_is_healthy_and_not_ready(fleet: Fleet, clean: Ground) -> None:
    """Longer than any part may be silent: they meet time-outs, and go on. Restarts would help nobody."""
    pid = fleet.pids[0]
    clean.valkey.kill()
    until_then = time.monotonic() + 3 * PATIENCE
    try:
        while time.monotonic() < until_then:
            time.sleep(LOOK_EVERY)
            assert silent(fleet) == []
            status, _, took = asked(fleet, "/readyz")
            assert (status, took < 5) == (503, True)
    finally:
        clean.returns()

    until(lambda: asked(fleet, "/readyz")[0] == 200, 60)
    assert silent(fleet) == []
    assert fleet.pids == [pid]


@pytest.mark.parametrize("fleet", ["threads"], indirect=True)
def test_a_worker_that_lost_threads_or_whose_loop_hangs_is_not_healthy_and_says_what(fleet: Fleet) -> None:
    """Its pool would go on with what it has, and nobody would notice."""
    until(lambda: app.control.ping(timeout=1.0, limit=1), 60)  # its consumer is back, too
    for thread in ("releaser", "sweep", "beat"):
        replies = app.control.broadcast("lose_thread", {"name": thread}, reply=True, timeout=5, limit=1)
        assert [next(iter(reply.values())) for reply in replies] == [{"lost": 1}]
    until(lambda: silent(fleet) == ["reconciler.beat", "reconciler.sweep", "releaser"], 30)

    app.control.broadcast("keep_loop", {"seconds": 60.0})
    until(lambda: "consumer" in silent(fleet), 30)

    fleet.kill(0)
    until(lambda: fleet.ready, 60)
    assert silent(fleet) == []


@pytest.mark.parametrize("fleet", ["threads"], indirect=True)
def test_a_worker_all_of_whose_slots_hang_is_not_healthy_until_one_is_free(
    fleet: Fleet, tmp_path: Path
) -> None:
    """No time limit ends a thread. One that hangs costs a slot; all of them, and no message is taken."""
    released = tmp_path / "released"
    try:
        hang.delay(str(released))
        until_then = time.monotonic() + HANGS + 2 * PATIENCE
        while time.monotonic() < until_then:
            time.sleep(LOOK_EVERY)
            assert silent(fleet) == []

        last = hang_there.delay(str(released))
        until(lambda: silent(fleet) == ["slots"], 30)
    finally:
        released.touch()

    until(lambda: silent(fleet) == [], 30)
    until(last.ready, 60)
