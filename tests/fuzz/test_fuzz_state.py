"""Somebody wrote into the state Redis by hand: what was hurt waits, all else goes on, the worker lives."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from celery.result import AsyncResult
from redis import Redis

import tasks
from tests.fleet import Fleet, Ground, until
from tests.fuzz.asked import OPERATIONS, asked
from tests.fuzz.effort import times
from tests.fuzz.oddities import CANARY
from worker.errors import NarrowsError
from worker.keys import keys

WELL = "musicbrainz"
"""Into whose keys nobody wrote; its calls have to stand in line."""

HURT = {OPERATIONS[name].provider.name: name for name in sorted(OPERATIONS) if name != "enrich_track"}
del HURT[WELL]

GARBAGE = (
    b"",
    b"\xff\xfe",
    b"nan",
    b"inf",
    b"-1",
    b"1e999",
    b"{",
    b"[[]]",
    CANARY.encode(),
    b"9" * 400,
    b"\x00",
)
FIELDS = {
    "breaker": ("state", "open_until", "failures", "window", "successes", "opened_at"),
    "limits": (
        "tokens",
        "at",
        "cooldown_until",
        "quota_used",
        "quota_until",
        "factor",
        "refused_until",
        "out_until",
    ),
    "lot": ("interactive", "batch", "in_interactive", "claimed_through", "holder", "until"),
    "budget": ("calls", "retries"),
}
INDEXES = ("queued", "running", "waiting", "parked", "slow", "released", "leases", "probes", "workers")
RECORD = (
    "state",
    "message",
    "token",
    "attempt",
    "created_at",
    "lane",
    "published_at",
    "backoff",
    "lease",
    "place",
)


@pytest.fixture(scope="module")
def fleet(ground: Ground) -> Iterator[Fleet]:
    """One worker of eight slots; the provider that is well takes five calls a second."""
    paced = {f"NARROWS_PROVIDERS__{WELL.upper()}__RATE": "5", "NARROWS_PROVIDERS__TWILIO__RATE": "50"}
    with Fleet(ground, workers=1, concurrency=8, env=paced, include="tasks") as fleet:
        yield fleet


def written_over(state: Redis, name: str, draw: random.Random) -> None:
    """Garbage in all keys of that provider: of the wrong type, or with fields that mean nothing."""
    at = keys(name)
    for key in (*FIELDS, *INDEXES):
        where = getattr(at, key)
        state.delete(where)
        if draw.random() < 0.5:
            state.set(where, draw.choice(GARBAGE))
        elif key in FIELDS:
            for field in FIELDS[key]:
                state.hset(where, field, draw.choice(GARBAGE))
        else:
            state.zadd(
                where, {draw.choice(GARBAGE) + b"!": draw.choice([0, -1e300, 1e300, 1]) for _ in range(3)}
            )


def strange_records(state: Redis, name: str, draw: random.Random, many: int = 16) -> None:
    """Calls whose records are garbage, among those that wait, run, or are queued there."""
    at = keys(name)
    messages = [
        b"", b"null", b"[]", b"{}", b'{"headers": []}', b"\xff", b"{" * 2000,
        json.dumps({"body": CANARY}).encode(),
        json.dumps({"headers": {"task": 7, "id": []}, "body": [1, 2, 3], "properties": None}).encode(),
    ]  # fmt: skip
    for number in range(many):
        task_id = f"strange-{number}".encode() + draw.choice([b"", b"\xff", b"\x00", b" "])
        record: dict[Any, Any] = {field: draw.choice(GARBAGE) for field in RECORD if draw.random() < 0.8}
        record |= {"state": draw.choice([b"queued", b"running", b"waiting", b"parked", b"odd"])}
        record |= {"message": draw.choice(messages)} if draw.random() < 0.8 else {}
        state.hset(at.call("").encode() + task_id, mapping=record)
        state.zadd(getattr(at, draw.choice(INDEXES[:6])), {task_id: draw.choice([0, 1, -5])})


def called(name: str, number: int = 0) -> AsyncResult[Any]:
    """A call of that task as it is right."""
    arguments = {**asked(name)[0]}
    if "idempotency_key" in arguments:
        arguments["idempotency_key"] = f"hurt-{number}"
    if name == "search_recording":
        arguments["title"] = f"Slack Water {number}"
    result: AsyncResult[Any] = getattr(tasks, name).delay(**arguments)
    return result


@pytest.mark.parametrize("seed", range(times(1)))
def test_garbage_in_the_keys_of_some_providers_stops_no_other_and_their_calls_go_on_without_it(
    fleet: Fleet, ground: Ground, seed: int
) -> None:
    """Calls of the one that is well leave its line meanwhile; enqueueing says an error of ours if any."""
    (pid,) = fleet.pids
    draw = random.Random(seed)
    with ground.client() as state:
        for name in HURT:
            written_over(state, name, draw)
        for task in HURT.values():
            with suppress(NarrowsError):  # no other error comes to a caller
                called(task, seed)

        well = [called("search_recording", 100 * seed + number) for number in range(8)]
        until(lambda: all(call.successful() for call in well), 40.0)

        for name in HURT:
            at = keys(name)
            state.delete(*(getattr(at, key) for key in (*FIELDS, *INDEXES)))
    for number, task in enumerate(HURT.values()):
        called(task, 1000 + 100 * seed + number).get(timeout=30)
    assert [pid] == fleet.pids
    assert CANARY not in fleet.logs


def test_records_of_garbage_hold_up_no_other_call(fleet: Fleet, ground: Ground) -> None:
    """Among those that wait, run, or are queued; the calls behind them are made."""
    (pid,) = fleet.pids
    with ground.client() as state:
        strange_records(state, WELL, random.Random(3))
        well = [called("search_recording", 900 + number) for number in range(8)]

        until(lambda: all(call.successful() for call in well), 40.0)

    assert [pid] == fleet.pids
    assert CANARY not in fleet.logs
