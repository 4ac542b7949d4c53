"""The cache saves calls and may go; without the state nothing leaves; both come back unaided."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from celery.exceptions import TimeoutError as NotInTime

from tasks import fetch_bbl
from tests.acceptance.providers import echo, twice
from tests.fleet import Fleet, Ground, until
from tests.sandbox import LOTS
from worker.errors import EnqueueFailed

BBLS = iter(lot.bbl for lot in LOTS)


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers, from which calls are taken sooner than from real ones."""
    with Fleet(clean, workers=2, env={"NARROWS_CLAIM_LEASE": "3"}) as fleet:
        yield fleet


def asked(ground: Ground) -> int:
    """How many requests NYC Open Data has had."""
    count: int = ground.sandbox.control.counts("nyc_open_data")["count"]
    return count


def origins(report: dict[str, Any]) -> set[str]:
    """Where the parts of *report* came from."""
    return {source["from"] for source in report["sources"].values()}


def test_a_second_fetch_bbl_makes_no_upstream_call(fleet: Fleet, clean: Ground) -> None:
    """Whichever worker has it: they share the cache."""
    bbl = next(BBLS)
    first = fetch_bbl.delay(bbl).get(timeout=10)
    before = asked(clean)

    again = [fetch_bbl.delay(bbl).get(timeout=10) for _ in range(6)]

    assert asked(clean) == before == 4
    assert origins(first) == {"live"}
    assert {origin for report in again for origin in origins(report)} == {"cache"}
    assert all(report["dob_violations"] == first["dob_violations"] for report in again)
    assert fleet.pids


def test_without_its_cache_redis_the_fleet_still_answers(fleet: Fleet, clean: Ground) -> None:
    """What is known comes from memory or anew; what is new is fetched; nobody restarts."""
    known, new = next(BBLS), next(BBLS)
    fetch_bbl.delay(known).get(timeout=10)
    clean.cache.kill()

    try:
        reports = [fetch_bbl.delay(bbl).get(timeout=15) for bbl in (known, new, known, new)]
    finally:
        clean.cache.start()

    assert [report["bbl"] for report in reports] == [known, new, known, new]
    assert origins(reports[1]) <= {"live", "cache"}
    assert [worker.restarts for worker in fleet.stack.workers] == [0, 0]


def test_a_call_that_takes_longer_than_a_lease_is_not_taken_from_a_worker_that_lives(
    fleet: Fleet, clean: Ground
) -> None:
    """Its worker renews the lease for as long as it works."""
    clean.sandbox.control.fault("steady", latency_ms=5000, only="/echo/5")

    assert echo.delay(5).get(timeout=15) == 5

    assert [entry["path"] for entry in clean.sandbox.control.journal("steady")] == ["/echo/5"]
    clean.sandbox.control.reset()
    assert fleet.ready


def test_without_its_state_redis_the_fleet_fails_closed_says_so_and_recovers_by_itself(
    fleet: Fleet, clean: Ground
) -> None:
    """A producer hears one clear error; a task under way makes no further call until the state is back."""
    control = clean.sandbox.control
    control.fault("steady", latency_ms=1500, only="/first/")
    running = twice.delay(7)
    until(lambda: control.counts("steady")["in_flight"] == 1)

    clean.valkey.kill()
    try:
        started = time.monotonic()
        with pytest.raises(EnqueueFailed, match="the state Redis does not answer"):
            echo.delay(1)
        assert time.monotonic() - started < 8
        until(lambda: control.counts("steady")["in_flight"] == 0)
        _stays(lambda: [entry["path"] for entry in control.journal("steady")] == ["/first/7"], 2.0)
        assert 503 in [_readiness(fleet, number) for number in range(2)]
    finally:
        clean.valkey.start()

    until(lambda: fleet.ready, 30.0, told=lambda: fleet.logs[-3000:])
    assert echo.delay(2).get(timeout=30) == 2
    assert _eventually(running, 60.0) == 2
    assert [entry["path"] for entry in control.journal("steady")][-1] == "/second/7"


def _stays(condition: Any, seconds: float) -> None:
    """Return when *condition* has held all the time; fail when it has not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition()
        time.sleep(0.05)


def _readiness(fleet: Fleet, number: int) -> int:
    """What the worker's ``/readyz`` answers; 0 when nothing does."""
    from urllib.error import HTTPError, URLError
    from urllib.request import urlopen

    try:
        with urlopen(f"{fleet.stack.workers[number].program.address}/readyz", timeout=10) as answer:  # noqa: S310
            return int(answer.status)
    except HTTPError as refused:
        with refused:
            return refused.code
    except URLError:
        return 0


def _eventually(call: Any, seconds: float) -> Any:
    """The result of *call*, asked for over connections that may have broken."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call.get(timeout=1.0)
        except (NotInTime, OSError):
            assert time.monotonic() < deadline, call.state
