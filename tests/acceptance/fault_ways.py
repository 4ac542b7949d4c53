"""The ways that a submission goes, as steps of one process, and the process that takes them.

A mortal takes the steps of one way and is killed at a line of one of them. Others that die on the way as a
part of it (``lose``) are its children. It sees the time at which leases have run out wherever that is needed,
so nobody waits for them.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from celery import signals
from celery.app.trace import build_tracer, setup_worker_optimizations
from celery.concurrency.solo import TaskPool

from tests.acceptance.fault_lines import Line, die_at
from tests.acceptance.submitted import PROVIDERS, file, hand_in, report
from tests.fleet import Ground
from worker.application import app
from worker.engine import engine
from worker.http.client import HttpClient
from worker.incoming import Incoming
from worker.reconciler import Reconciler
from worker.record import Records
from worker.revocation import forget_revoked
from worker.scripts import script
from worker.service import release, say_the_rest
from worker.task import GuardedTask

__all__ = ["HEALING", "WAYS", "Process", "Way", "point_at", "warm"]

PASSED, HEALING = 60_000, 600_000
"""Milliseconds by which a mortal's sweep, and whoever comes after it, are later than the clock."""

NOBODY = "http://127.0.0.1:9"
GRACE = 10.0
SCRIPTS = ("enqueue", "begin", "claim", "finish", "accept", "cancel", "reconcile", "release")

_TAKEN = Line("worker.submissions.submitting", "Submitter._taken", 0)
_UNSENT = Line("worker.http.client", "HttpClient.send", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What happens to one submission.

    Attributes:
        note: What the desk sees; its first word is how the desk takes it.
        before: Steps that no line of is killed; ``steps`` are those after them.
        ends: The states in which it may end, whoever is killed.
    """

    task: GuardedTask
    note: str
    before: tuple[str, ...] = ()
    steps: tuple[str, ...]
    ends: frozenset[str] = frozenset({"accepted"})

    @property
    def provider(self) -> str:
        """Who takes it."""
        return self.task.operation.provider.name


DOUBT, REFUSAL = frozenset({"accepted", "in_doubt"}), frozenset({"rejected", "in_doubt"})

WAYS: Mapping[str, Way] = {
    "accepted": Way(task=report, note="accepted", steps=("submit", "work"), ends=DOUBT),
    "accepted, asked": Way(task=file, note="accepted", steps=("submit", "work")),
    "accepted, trusted": Way(task=hand_in, note="accepted", steps=("submit", "work")),
    "rejected": Way(task=report, note="rejected", before=("submit",), steps=("work",), ends=REFUSAL),
    "truncated": Way(task=report, note="truncated", before=("submit",), steps=("work",), ends=DOUBT),
    "truncated, asked": Way(
        task=file, note="truncated", before=("submit",), steps=("work", "release", "work")
    ),
    "truncated, trusted": Way(
        task=hand_in, note="truncated", before=("submit",), steps=("work", "release", "work")
    ),
    "unheard, asked": Way(task=file, note="unheard", before=("submit",), steps=("work", "release", "work")),
    "refused": Way(
        task=report,
        note="refused",
        before=("submit",),
        steps=("work at nobody's", "release", "work"),
        ends=DOUBT,
    ),
    "throttled": Way(
        task=report,
        note="throttled",
        before=("submit",),
        steps=("work", "pause", "release", "work"),
        ends=DOUBT,
    ),
    "lost": Way(task=report, note="accepted", before=("submit", "lose"), steps=("sweep",), ends=DOUBT),
    "lost, asked": Way(
        task=file, note="accepted", before=("submit", "lose"), steps=("sweep", "release", "work")
    ),
    "lost unsent, asked": Way(
        task=file, note="accepted", before=("submit", "lose unsent"), steps=("sweep", "release", "work")
    ),
    "lost, trusted": Way(task=hand_in, note="accepted", before=("submit", "lose"), steps=("sweep", "work")),
    "unclaimed": Way(
        task=report, note="accepted", before=("submit", "drop"), steps=("sweep", "work"), ends=DOUBT
    ),
    "poison": Way(
        task=hand_in,
        note="accepted",
        before=("submit", "lose unsent", "sweep", "lose unsent", "sweep", "lose unsent"),
        steps=("sweep",),
        ends=frozenset({"accepted", "in_doubt"}),
    ),
    "known": Way(
        task=report, note="accepted", before=("submit", "work"), steps=("submit again", "work"), ends=DOUBT
    ),
}


def point_at(valkey: str, desk: str) -> None:
    """Have this process work for the fleet whose everything is the database at *valkey*."""
    bases = {f"NARROWS_PROVIDERS__{each.name.upper()}__BASE_URL": f"{desk}/{each.name}" for each in PROVIDERS}
    roles = ("BROKER", "STATE", "RESULT", "CACHE")
    Ground._point({**{f"NARROWS_{role}_URL": valkey for role in roles}, **bases})


def warm() -> None:
    """Build all that a worker has, and open nothing: what is forked from here does that for itself."""
    signals.task_revoked.connect(forget_revoked, weak=False)
    signals.task_postrun.connect(release, weak=False)
    setup_worker_optimizations(app, "mortal")
    here = engine()
    here.bulkhead.share([each.name for each in PROVIDERS], concurrency=8, share=1.0)
    for task in (report, file, hand_in):
        task.__trace__ = build_tracer(task.name, task, app.loader, "mortal", app=app)
        here.gateway(task.operation.provider.name)
        task.operation.checked(("x",), {"idempotency_key": "x"})
    for each in SCRIPTS:
        script(each)
    assert all((here.submitter, here.runner, here.releaser, here.watcher, here.outbox))


class Process:
    """A producer and a worker in one, which does one thing at a time.

    Args:
        late: Milliseconds that its sweeps and its looks at the line are later than the clock.
    """

    def __init__(self, way: Way, task_id: str, note: str, *, late: int) -> None:
        self.way, self.task_id, self.note = way, task_id, note
        self.swift = engine().records(way.provider)
        self.late = Records(
            engine().state, engine().line, way.provider, now=lambda: round(time.time() * 1000) + late
        )
        self.reconciler = Reconciler(app, engine(), grace=GRACE)

    def take(self, step: str) -> None:
        """Take one step of the way."""
        steps: dict[str, Callable[[], Any]] = {
            "submit": self.submit,
            "submit again": self.submit_again,
            "work": self.work,
            "work at nobody's": self.work_in_vain,
            "lose": lambda: self.lose(_TAKEN),
            "lose unsent": lambda: self.lose(_UNSENT),
            "drop": self.drop,
            "sweep": self.sweep,
            "pause": lambda: time.sleep(1.05),
            "release": self.release,
        }
        steps[step]()

    def submit(self) -> None:
        """Submit it, as its caller does."""
        self.way.task.apply_async((self.note,), {"idempotency_key": self.note}, task_id=self.task_id)

    def submit_again(self) -> None:
        """Submit it under its key, as a task of its own."""
        self.way.task.apply_async((self.note,), {"idempotency_key": self.note}, task_id=f"{self.task_id}-2")

    def work(self) -> bool:
        """Whether there was a message; it is run as a worker runs it."""
        with app.pool.acquire(block=True) as connection, connection.channel() as channel:
            message = channel.basic_get(self.way.provider)
            if message is None:
                return False
            task = app.tasks[message.headers["task"]]
            request = Incoming(message, on_ack=message.ack_log_error, app=app, hostname="mortal", task=task)
            pool = TaskPool(1, app=app)
            request.execute_using_pool(pool)
        say_the_rest()
        return True

    def work_in_vain(self) -> None:
        """The same while nobody listens where the provider should be."""
        name, gateways = self.way.provider, engine()._gateways
        there = gateways[name]
        client = HttpClient(
            there.provider, base_url=NOBODY, credential=None, timeouts=there.provider.timeouts
        )
        gateways[name] = replace(there, http=client)
        self.work()
        gateways[name] = there

    def lose(self, line: Line) -> None:
        """Another process works, and is killed in that function."""
        if (pid := os.fork()) == 0:
            try:
                die_at(line)
                self.work()
            finally:
                os._exit(0)
        assert os.waitpid(pid, 0)[1] == signal.SIGKILL, "it lived"

    def drop(self) -> None:
        """A message is lost."""
        with app.pool.acquire(block=True) as connection, connection.channel() as channel:
            assert channel.basic_get(self.way.provider, no_ack=True) is not None

    def sweep(self) -> None:
        """Look for what nobody runs, when leases are over."""
        self._later(lambda: self.reconciler._sweep(self.way.provider))

    def release(self) -> None:
        """Look at the line, when waits are over."""
        self._later(lambda: engine().releaser.release(self.way.provider))

    def _later(self, work: Callable[[], Any]) -> None:
        records = engine()._records
        records[self.way.provider] = self.late
        try:
            work()
        finally:
            records[self.way.provider] = self.swift
