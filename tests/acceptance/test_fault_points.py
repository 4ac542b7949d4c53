"""A submission is killed at each line on its way, and is never made twice nor lost.

``make test`` kills at a part of the lines, each in one of the ways that reach it; ``make chaos`` at every
line in several of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import pytest

from tests.acceptance.fault_desk import FaultDesk
from tests.acceptance.fault_lines import MODULES
from tests.chaos.tally import Tally
from worker.stack.embedded import EmbeddedValkey

ROOT = Path(__file__).resolve().parents[2]
LANES, SOME, WAYS_EACH, PARTS = 4, 60, 3, 6


class Killing:
    """The process that kills, and the desk that counts what arrives."""

    def __init__(self) -> None:
        self.desk = FaultDesk()

    def __enter__(self) -> Self:
        """Begin, and see which lines are on the ways."""
        self.valkey = EmbeddedValkey()
        self.valkey.start()
        self.desk.__enter__()
        server = self.valkey.url.rpartition("/")[0]
        command = [sys.executable, "-m", "tests.acceptance.fault_points", server, self.desk.url, str(LANES)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self._said = map(json.loads, self._process.stdout)
        self.points: list[str] = next(self._said, [])
        return self

    def __exit__(self, *_: object) -> None:
        """End it all."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self.desk.__exit__()
        self.valkey.stop()

    def killed(self, points: list[str]) -> Iterator[dict[str, Any]]:
        """What became of a submission whose process died, for each of *points*."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(points) + "\n")
        self._process.stdin.close()
        yield from self._said
        assert self._process.wait(timeout=30) == 0

    def wrong(self, found: dict[str, Any]) -> list[str]:
        """What must not be, of one submission."""
        arrived = self.desk.arrived[found["note"]]
        problems: list[str] = list(found["problems"])
        if arrived > 1:
            problems.append(f"it arrived {arrived} times")
        if found["state"] == "accepted" and arrived != 1:
            problems.append("it is accepted, and nobody took it")
        if found["state"] in {None, "rejected"} and arrived:
            problems.append(f"it was taken, and is {found['state']}")
        return problems


@dataclass
class Report:
    """What became of many.

    Attributes:
        missed: Points at which nobody died: the way was another one this time.
        calls: Submissions that were handed in: who died before a word was written has handed nothing in.
        lost: Submissions that should be known and are not, or that nobody took and that are accepted.
        doubled: Those that arrived more than once.
    """

    killed: int = 0
    calls: int = 0
    lost: int = 0
    doubled: int = 0
    wrong: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    ended: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        """One line."""
        ends = ", ".join(f"{count} {state}" for state, count in sorted(self.ended.items()))
        return f"{self.killed} processes killed, each at a line of its own: {ends}; {len(self.missed)} missed"

    @property
    def tally(self) -> Tally:
        """What the summary of all storms tells."""
        return Tally(
            storm="fault points",
            faults={"killed at a line": self.killed},
            calls=self.calls,
            once=self.calls - self.lost - self.doubled,
            lost=self.lost,
            doubled=self.doubled,
            doubt=self.ended["in_doubt"],
            held=not self.wrong,
        )


def reported(killing: Killing, points: list[str]) -> Report:
    """What became of one submission for each of *points*."""
    report = Report()
    for found in killing.killed(points):
        report.killed += found["killed"]
        report.ended[found.get("state") or "nothing"] += 1
        arrived, state = killing.desk.arrived[found["note"]], found["state"]
        report.calls += state is not None or bool(found["problems"])
        report.doubled += arrived > 1
        report.lost += bool(found["problems"]) if state is None else state == "accepted" and not arrived
        if not found["killed"]:
            report.missed.append(found["point"])
        report.wrong += [f"{found['point']}: {problem}" for problem in killing.wrong(found)]
    assert report.ended.total() == len(points)
    return report


def line_of(point: str) -> str:
    """The line in ``way/step/line``."""
    return point.split("/", 2)[2]


def chosen(points: list[str], most: int) -> list[str]:
    """For each line *most* of the points at it, others for the next."""
    lines = [[*here] for _, here in groupby(sorted(points, key=line_of), line_of)]
    return [
        point
        for n, here in enumerate(lines)
        for point in (here[n % len(here) :] + here[: n % len(here)])[:most]
    ]


def told(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    """Say how much was tried."""
    with capsys.disabled():
        print(f"\n{report}")  # noqa: T201


@pytest.fixture
def killing() -> Iterator[Killing]:
    """Whoever kills, who has looked where."""
    with Killing() as killing:
        yield killing


def test_whoever_is_killed_at_some_line_a_submission_is_made_once_or_seen(
    killing: Killing, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line in one of the ways that reach it, and of these a part, for want of time."""
    one_each = chosen(killing.points, 1)

    report = reported(killing, one_each[:: max(1, len(one_each) // SOME)])

    told(report, capsys)
    assert {line_of(point).partition(":")[0] for point in killing.points} == set(MODULES)
    assert report.wrong == []
    assert report.missed == []


@pytest.mark.chaos
@pytest.mark.parametrize("part", range(PARTS))
def test_whoever_is_killed_at_any_line_a_submission_is_made_once_or_seen(
    killing: Killing, capsys: pytest.CaptureFixture[str], part: int
) -> None:
    """Every line, in three of the ways that reach it, or in all with FAULT_POINTS=all, which takes long."""
    every = os.environ.get("FAULT_POINTS") == "all"
    points = sorted(killing.points) if every else chosen(killing.points, WAYS_EACH)

    report = reported(killing, points[part::PARTS])

    told(report, capsys)
    report.tally.keep(str(part))
    assert report.wrong == []
    assert len(report.missed) <= report.killed / 50  # threads do not take the same lines each time
