"""A prefork pool runs the same: records, retries, metrics, and children that die."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import chord, group

from tests.acceptance.providers import echo, increment, total, twice
from tests.fleet import Fleet, Ground, until

CHILDREN = 2


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """One worker of two children, whose calls are taken from it sooner than from real ones."""
    env = {"NARROWS_CLAIM_LEASE": "2"}
    with Fleet(clean, workers=1, pool="prefork", concurrency=CHILDREN, env=env) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def quiet(clean: Ground) -> None:
    """The provider behaves."""
    clean.sandbox.control.reset()


def children(pid: int) -> list[int]:
    """The processes that *pid* has started and that live."""
    found = [path.parent.name for path in Path("/proc").glob("[0-9]*/stat") if _parent(path) == pid]
    return [int(name) for name in found]


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_canvases_and_retries_run_in_processes_as_they_do_in_threads(fleet: Fleet, clean: Ground) -> None:
    """A group, and a chord of which a member fails once."""
    clean.sandbox.control.fault("steady", status=500, times=1, only="/increment/2")

    gathered = group(echo.s(number) for number in range(10)).apply_async()
    summed = chord((increment.s(number) for number in (1, 2, 3)), total.s()).apply_async()

    assert gathered.get(timeout=20) == [*range(10)]
    assert summed.get(timeout=20) == 9
    assert len(children(fleet.pids[0])) == CHILDREN


def test_the_metrics_of_all_children_add_up(fleet: Fleet, clean: Ground) -> None:
    """Every exchange that the provider saw is counted once, whichever child made it."""
    before = fleet.metrics("adapter_calls_total", provider="steady", status="success")

    group(echo.s(number) for number in range(100, 130)).apply_async().get(timeout=20)

    after = fleet.metrics("adapter_calls_total", provider="steady", status="success")
    assert clean.sandbox.control.counts("steady")["count"] == 30
    assert after[0] - before[0] == 30
    assert fleet.metrics("narrows_build_info") == [1.0]


def test_a_child_keeps_its_call_for_as_long_as_it_works(fleet: Fleet, clean: Ground) -> None:
    """Longer than a lease, which it renews itself."""
    clean.sandbox.control.fault("steady", latency_ms=4000, only="/echo/4")

    assert echo.delay(4).get(timeout=15) == 4

    assert clean.sandbox.control.counts("steady")["count"] == 1
    assert fleet.ready


def test_a_child_that_is_killed_costs_its_call_nothing_but_time(fleet: Fleet, clean: Ground) -> None:
    """As by the out-of-memory killer: the caller never hears of a failure; another child makes the call."""
    clean.sandbox.control.fault("steady", latency_ms=1000, only="/first/")
    seen = set[str]()
    calls = [twice.delay(number) for number in range(CHILDREN)]
    until(lambda: clean.sandbox.control.counts("steady")["in_flight"] == CHILDREN)
    pid = fleet.pids[0]
    killed = children(pid)

    for child in killed:
        os.kill(child, signal.SIGKILL)

    def ended() -> bool:
        seen.update(call.state for call in calls)
        return all(call.ready() for call in calls)

    until(ended, 45.0, told=lambda: (seen, fleet.logs[-4000:]))
    assert [call.get() for call in calls] == [2, 2]
    assert seen <= {"PENDING", "PROGRESS", "SUCCESS"}
    assert (fleet.pids, set(children(pid)) & set(killed)) == ([pid], set())
