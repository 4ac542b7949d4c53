"""Two versions side by side: workers are replaced one after the other while both versions enqueue."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.providers import PACED, STEADY
from tests.acceptance.submitted import DESKS, ONCE
from tests.fleet import Fleet, Ground, until
from worker.application import app
from worker.cli.desk import Desk
from worker.cli.root import run
from worker.engine import engine
from worker.keys import keys
from worker.stack.child import Program
from worker.stack.programs import Programs
from worker.stack.stack import CHECKOUT, Stack

BEFORE = ("ca49eb1", "HEAD~1")
"""A commit of the version before this one; in a clone that does not reach so far, the last commit."""

CALLS = 100
"""Of each version."""

PRODUCER = """
import json, sys, time
from tests.acceptance.providers import echo, keep, pace
from tests.acceptance.submitted import report

first, count = int(sys.argv[1]), int(sys.argv[2])
ids = {}
for number in range(first, first + count):
    kind = ("echo", "pace", "keep", "report")[number % 4]
    call = {
        "echo": lambda: echo.delay(number),
        "pace": lambda: pace.delay(number),
        "keep": lambda: keep.delay(str(number), "secret"),
        "report": lambda: report.delay(str(number)),
    }[kind]()
    ids[call.id] = [kind, number]
    time.sleep(0.03)
print(json.dumps(ids))
"""


@dataclass
class Versions:
    """The programs of a stack, each worker from the checkout that is its version's by now."""

    programs: Programs
    checkouts: dict[int, Path]

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        return self.at(self.programs.worker(number, env), self.checkouts[number])

    def beat(self, env: Mapping[str, str]) -> Program:
        return self.programs.beat(env)

    def exporter(self, env: Mapping[str, str]) -> Program:
        return self.programs.exporter(env)

    def flower(self, env: Mapping[str, str]) -> Program:
        return self.programs.flower(env)

    @staticmethod
    def at(program: Program, checkout: Path) -> Program:
        """*program* run there."""
        inside = program.command[4:] if program.command[0] == "sh" else program.command
        return replace(program, command=("sh", "-c", 'cd "$0" && exec "$@"', str(checkout), *inside))


@pytest.fixture(params=[pytest.param("before", marks=pytest.mark.chaos), "after"])
def checkouts(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """The older version and the newer one; one of them is this checkout."""
    if request.param == "after":
        return CHECKOUT, _next(tmp_path)
    return _before(tmp_path), CHECKOUT


def _before(folder: Path) -> Path:
    """A checkout of the version before."""
    for commit in BEFORE:
        command = ["git", "-C", str(CHECKOUT), "archive", commit, "config", "worker", "tasks", "tests"]
        try:
            found = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            break
        if found.returncode == 0:
            with tarfile.open(fileobj=io.BytesIO(found.stdout)) as archive:
                archive.extractall(folder, filter="data")
            return folder
    pytest.skip("the version before is not in this checkout's history")


def _next(folder: Path) -> Path:
    """A version that is this one, but writes messages which this one must not read."""
    for name in ("config", "worker", "tasks", "tests"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "worker" / "formats.py"
    text = file.read_text()
    assert "\nFORMAT = 1\n" in text
    file.write_text(text.replace("\nFORMAT = 1\n", "\nFORMAT = 2\n"))
    return folder


@pytest.fixture
def fleet(ground: Ground, checkouts: tuple[Path, Path]) -> Iterator[Fleet]:
    """Two workers of the older version."""
    ground.clear()
    DESKS[ONCE.name].clear()
    fleet = Fleet(ground, workers=2)
    older, _ = checkouts
    fleet.stack = Stack(workers=2, beat=False, programs=Versions(fleet.programs, {1: older, 2: older}))
    with fleet:
        yield fleet


def test_versions_replace_one_another_while_calls_run(
    ground: Ground, fleet: Fleet, checkouts: tuple[Path, Path]
) -> None:
    """Both enqueue meanwhile. Each call ends once, and what a newer one wrote is left to a newer worker."""
    ground.sandbox.control.fault(STEADY.name, status=400, only="/keep/")
    producers = [_producer(checkout, 1000 * n) for n, checkout in enumerate(checkouts)]

    for number, child in enumerate(fleet.stack.workers):
        until(lambda: _enqueued(ground) > 20 * (number + 1), 30.0)  # noqa: B023
        child.program = Versions.at(child.program, checkouts[1])
        before = child.pid
        os.kill(before, signal.SIGTERM)
        until(lambda: child.pid not in {0, before}, 40.0, told=lambda: fleet.logs[-3000:])  # noqa: B023
        until(lambda: fleet.ready, 40.0, told=lambda: fleet.logs[-3000:])
    calls = {task_id: told for each in producers for task_id, told in _told(each).items()}
    until(lambda: all(app.AsyncResult(each).ready() for each in calls), 60.0, told=lambda: _open(calls))
    states = Counter((kind, app.AsyncResult(each).state) for each, (kind, _) in calls.items())
    ground.sandbox.control.clear(STEADY.name)
    replayed = run(["dlq", "replay", STEADY.name, "--all", "--yes"], desk=Desk(engine(), app))
    kept = {each for each, (kind, _) in calls.items() if kind == "keep"}
    until(lambda: all(app.AsyncResult(each).state == "SUCCESS" for each in kept), 60.0)

    quarter = 2 * CALLS // 4
    assert states == {
        ("echo", "SUCCESS"): quarter,
        ("pace", "SUCCESS"): quarter,
        ("report", "SUCCESS"): quarter,
        ("keep", "FAILURE"): quarter,
    }
    assert replayed == 0
    asked = Counter(
        entry["path"] for n in (STEADY.name, PACED.name) for entry in ground.sandbox.control.journal(n)
    )
    assert {asked[f"/{kind}/{n}"] for kind, n in calls.values() if kind in {"echo", "pace"}} == {1}
    assert {asked[f"/keep/{n}"] for kind, n in calls.values() if kind == "keep"} == {2}
    assert set(DESKS[ONCE.name].arrived.values()) == {1}
    left = fleet.logs.count("call left to a newer worker")
    assert (left > 0) == (checkouts[0] == CHECKOUT)
    with ground.client() as state:
        at = [keys(name) for name in (STEADY.name, PACED.name, ONCE.name)]
        until(lambda: not any(state.exists(each.running, each.queued, each.parked, each.dlq) for each in at))


def _producer(checkout: Path, first: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRODUCER, str(first), str(CALLS)]
    return subprocess.Popen(command, cwd=checkout, stdout=subprocess.PIPE, text=True)


def _told(producer: subprocess.Popen[str]) -> dict[str, Any]:
    """The ids of its calls, once it has enqueued all."""
    said, _ = producer.communicate(timeout=60)
    found: dict[str, Any] = json.loads(said)
    return found


def _enqueued(ground: Ground) -> int:
    """How many requests were made so far."""
    return sum(len(ground.sandbox.control.journal(name)) for name in (STEADY.name, PACED.name, ONCE.name))


def _open(calls: Mapping[str, Any]) -> str:
    return str(
        [
            (told, app.AsyncResult(each).state)
            for each, told in calls.items()
            if not app.AsyncResult(each).ready()
        ]
    )
