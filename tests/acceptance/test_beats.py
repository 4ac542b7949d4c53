"""Two beats: one ticks, the other stands by, and no tick is made twice whatever happens to them."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from celery.schedules import schedule
from redbeat import RedBeatSchedulerEntry

from config.celery import BEAT_PREFIX
from tests.fleet import Fleet, Ground, until
from worker.application import app
from worker.stack.child import Program
from worker.stack.programs import CeleryPrograms
from worker.stack.stack import Stack

LOCK = 15.0
"""Seconds for which a beat that was killed holds it: ``redbeat_lock_timeout``."""

SLACK = 5.0
"""Seconds: a standby asks each second, a tick is due each half, and machines are busy."""

OUTAGE = 3.0

KEY = f"{BEAT_PREFIX}every-half-second"


class _TwoBeats(CeleryPrograms):
    """Beats where a stack has workers."""

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        return replace(self.beat(env), name=f"worker-{number}")


class Beats:
    """Two beats under a supervisor, and what came of their ticks."""

    def __init__(self, stack: Stack, ground: Ground) -> None:
        self.stack, self.ground = stack, ground

    @property
    def made(self) -> int:
        """How often the provider was asked: once for each tick."""
        return len(self.ground.sandbox.control.journal("steady"))

    @property
    def taken(self) -> int:
        """How many ticks the beats have noted, both together."""
        with self.ground.client() as state:
            meta: Any = state.hget(KEY, "meta")
        return int(json.loads(meta or "{}").get("total_run_count") or 0)

    def holder_now(self) -> int:
        """Which of them has the lock, as both tell; one that was started again tells soon that it has not."""

        def holds() -> list[bool]:
            logs = [child.log.read_text(errors="replace") for child in self.stack.workers]
            return [log.rfind("beat holds the lock") > log.rfind("beat stands by") for log in logs]

        until(lambda: holds().count(True) == 1, 15.0, told=self._words)
        return holds().index(True)

    def resumed(self, within: float, meanwhile: Callable[[], object] = str) -> float:
        """Seconds until there were three more ticks; *meanwhile* is called again and again."""
        started, before = time.monotonic(), self.made
        until(lambda: (meanwhile(), self.made >= before + 3)[1], within, told=self._words)
        return time.monotonic() - started

    def counted(self) -> tuple[int, int]:
        """Ticks taken and ticks made, when none is under way."""
        with self.ground.client() as state:
            schedule_key = f"{BEAT_PREFIX}:schedule"
            state.zrem(schedule_key, KEY)
            last = self.taken
            with suppress(AssertionError):  # one that was lost with a beat never comes
                until(lambda: self.made >= self.taken == last, SLACK)
            counts = self.taken, self.made
            state.zadd(schedule_key, {KEY: time.time()})
        return counts

    def _words(self) -> str:
        return "\n".join(child.last_words() for child in self.stack.workers)


@pytest.fixture(scope="module")
def beats(ground: Ground) -> Iterator[Beats]:
    """Two beats and a worker, with a tick every half second."""
    ground.clear()
    every = schedule(timedelta(seconds=0.5))
    RedBeatSchedulerEntry("every-half-second", "steady.echo", every, args=[1], app=app).save()
    with (
        Fleet(ground, workers=1),
        Stack(workers=2, beat=False, programs=_TwoBeats(), env=ground.env) as stack,
    ):
        beats = Beats(stack, ground)
        beats.resumed(30.0)
        yield beats


def test_a_beat_that_is_asked_to_end_hands_over_at_once(beats: Beats) -> None:
    """TERM: it gives the lock back, and the other has it within a second."""
    first = beats.holder_now()

    os.kill(beats.stack.workers[first].pid, signal.SIGTERM)
    took = beats.resumed(SLACK)

    taken, made = beats.counted()
    print(f"beat, TERM: three more ticks after {took:.1f} s")  # noqa: T201 - what was measured
    assert taken == made
    assert beats.holder_now() == 1 - first


def test_neither_beat_ends_with_an_outage_of_three_seconds_and_no_tick_is_made_twice(beats: Beats) -> None:
    """They ask again each second; whoever exits all the same is started again by the supervisor."""
    pids = [child.pid for child in beats.stack.workers]
    beats.ground.valkey.kill()
    gone = time.monotonic()
    until(lambda: time.monotonic() > gone + OUTAGE)
    beats.ground.valkey.start()
    took = beats.resumed(LOCK)

    taken, made = beats.counted()
    print(f"beat, outage of {OUTAGE:g} s: three more ticks {took:.1f} s after it")  # noqa: T201 - what was measured
    assert taken - 2 <= made <= taken
    assert [child.pid for child in beats.stack.workers] == pids


def test_the_other_beat_goes_on_when_the_lock_of_a_killed_one_is_over(beats: Beats) -> None:
    """The killed one is kept from coming back, so that it is the other's doing."""
    first = beats.holder_now()

    took = beats.resumed(LOCK + SLACK, meanwhile=lambda: beats.stack.kill_worker(first))

    taken, made = beats.counted()
    print(f"beat, KILL: three more ticks after {took:.1f} s")  # noqa: T201 - what was measured
    assert taken - 1 <= made <= taken
    assert beats.stack.workers[1 - first].restarts <= 1
