"""Whole data sets, by real workers: killed on the way, told to wait, in the memory of a page."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tasks import fetch_permits, get_watermark, import_dataset, update_watermark
from tasks.dataset_import import source_of
from tests.fleet import Fleet, Ground, until
from tests.sandbox import Sandbox
from tests.sandbox.soda.endless import EndlessPlayer
from worker.cli.root import run

CALLS, NOON = "erm2-nwe9", "2026-11-20T12:00:00.000Z"
BUSY = "NARROWS_PROVIDERS__NYC_OPEN_DATA__"


def row(number: int) -> dict[str, Any]:
    """A record."""
    return {"unique_key": str(number), ":id": f"row-{number:06}", ":updated_at": NOON}


@contextmanager
def workers(ground: Ground, folder: Path, rows: int = 0, /, **env: str) -> Iterator[Fleet]:
    """A worker whose calls are given to another two seconds after it fell silent, and so many *rows*."""
    ground.clear()
    usual = {
        "NARROWS_IMPORT_TO": f"file://{folder}",
        "NARROWS_CLAIM_LEASE": "2",
        f"{BUSY}OPTIONS__IMPORT_ROWS": "100",
    }
    with (
        ground.sandbox.nyc_open_data.serving({CALLS: [row(number) for number in range(rows)]}),
        Fleet(ground, workers=1, concurrency=2, env={**usual, **env}) as fleet,
    ):
        yield fleet


def read(done: dict[str, Any]) -> Counter[str]:
    """How often each row stands in the files of an import."""
    place = Path(done["manifest"].removeprefix("file://"))
    names = [each["name"] for each in json.loads(place.read_text())["files"]]
    lines = [line for name in names for line in (place.parent / name).read_text().splitlines()]
    return Counter(json.loads(line)[":id"] for line in lines)


def test_a_worker_killed_in_the_middle_costs_no_row_and_doubles_none(ground: Ground, tmp_path: Path) -> None:
    """Three times, which ends a call that gets nowhere; the caller sees how far it is, and one result."""
    control = ground.sandbox.control
    with workers(ground, tmp_path, 2000) as fleet:
        control.fault("nyc_open_data", latency_ms=150)
        call = import_dataset.delay(CALLS)
        for share in (300, 800, 1300):
            until(partial(_reached, call, share), 60.0, told=lambda: fleet.logs[-2000:])
            fleet.kill(0)
        done = call.get(timeout=90)

    assert read(done) == Counter(row(number)[":id"] for number in range(2000))
    assert (done["rows"], done["skipped"], done["watermark"]) == (2000, 0, NOON)
    assert control.counts("nyc_open_data")["count"] < 21 + 3 * 4  # it did not begin anew


def _reached(call: Any, share: int) -> bool:
    return _done(call) >= share


def _done(call: Any) -> int:
    """How many rows the caller is told of."""
    return int(call.info["done"]) if call.state == "PROGRESS" else 0


def test_an_import_waits_for_what_is_not_ready_and_keeps_its_watermark_in_the_storage(
    ground: Ground, tmp_path: Path
) -> None:
    """202 is asked again; the next import goes on from the moment that the service has."""
    sandbox = ground.sandbox
    env = {f"{BUSY}OPTIONS__WATERMARKS": "storage", f"{BUSY}RETRY_FIRST": "0.1"}
    with workers(ground, tmp_path, 150, **env):
        sandbox.control.fault("nyc_open_data", status=202, times=4)  # a failure has three attempts
        first = import_dataset.delay(CALLS, sink="daily/calls").get(timeout=60)
        source = source_of(CALLS, f"file://{tmp_path}", "daily/calls")
        until(lambda: source in sandbox.storage.marks)
        update_watermark.delay(source, "2026-11-19T00:00:00Z").get(timeout=20)
        second = import_dataset.delay(CALLS, sink="daily/calls").get(timeout=60)

    assert (first["rows"], first["since"]) == (150, None)
    assert sandbox.storage.written[source] == [NOON]
    assert (second["rows"], second["skipped"], second["since"]) == (0, 150, "2026-11-20T11:00:00.000Z")
    assert f"file://{tmp_path}/daily/calls/" in first["place"]


def test_a_watermark_never_moves_back_whoever_writes_it_when(ground: Ground, tmp_path: Path) -> None:
    """Callers all over the fleet, in no order, and a service that fails now and then."""
    hours = [f"2026-11-20T{hour:02}:00:00.000Z" for hour in (3, 7, 1, 9, 2, 8, 5, 4)]
    with workers(ground, tmp_path, NARROWS_PROVIDERS__STORAGE__RETRY_FIRST="0.2"):
        ground.sandbox.control.fault("storage", status=503, method="PUT", times=2)
        calls = [update_watermark.delay("source", hour) for hour in hours]
        told = [call.get(timeout=60) for call in calls]
        last = get_watermark.delay("source").get(timeout=20)

    written = ground.sandbox.storage.written["source"]
    assert written == sorted(set(written))
    assert last["timestamp"] == written[-1] == max(hours)
    assert sum(each["moved"] for each in told) == len(written)
    assert all(each["timestamp"] >= hour for each, hour in zip(told, hours, strict=True))


def test_the_command_shows_how_far_it_is_and_ends_with_the_result(
    ground: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As JSON for programs; it need not wait, and a wrong argument is wrong usage."""
    with workers(ground, tmp_path, 150):
        assert run(["import", "complaints_311", "--sink", "calls", "--json"]) == 0
        done = json.loads(capsys.readouterr().out)
        assert run(["import", CALLS, "--sink", "calls"]) == 0
        again = capsys.readouterr().out
        assert run(["import", "nonsense"]) == 2
        assert run(["import", CALLS, "--no-wait"]) == 0
        told = capsys.readouterr()

    assert (done["rows"], done["dataset"]) == (150, CALLS)
    assert "erm2-nwe9: 0 rows in 0 files, 150 were there" in again
    assert "dataset: takes" in told.err


def _grown(ground: Ground, folder: Path, base: str) -> tuple[dict[str, Any], float]:
    """The result of an import, and MB that its worker grew by at most after the first page."""
    usual = {f"{BUSY}OPTIONS__IMPORT_ROWS": "10000", "NARROWS_CLAIM_LEASE": "30"}
    with workers(ground, folder, **usual, **{f"{BUSY}BASE_URL": base}) as fleet:
        call = import_dataset.delay("aaaa-0001")
        first = until(
            lambda: _done(call) >= 10_000 and _rss(fleet.pids[0]), 60.0, told=lambda: fleet.logs[-2000:]
        )
        most, stop = [first], threading.Event()

        def watch() -> None:
            while not stop.wait(0.05):
                most[0] = max(most[0], _rss(fleet.pids[0]))

        watcher = threading.Thread(target=watch)
        watcher.start()
        done = call.get(timeout=400)
        stop.set()
        watcher.join()
    return done, (most[0] - first) / 1024


def _rss(pid: int) -> int:
    """Kilobytes of memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.parametrize("total", [100_000, pytest.param(1_000_000, marks=pytest.mark.chaos)])
def test_an_import_takes_no_more_memory_than_its_pages(ground: Ground, tmp_path: Path, total: int) -> None:
    """However many there are; each row is there."""
    with Sandbox({}, players=[EndlessPlayer(total)]) as vast:
        done, grown = _grown(ground, tmp_path, vast.base_url("nyc_open_data"))

    assert (done["rows"], done["files"]) == (total, total // 10_000)
    place = Path(done["place"].removeprefix("file://"))
    assert sum(path.read_bytes().count(b"\n") for path in place.glob("part-*")) == total
    assert grown < 60


@pytest.mark.parametrize("share", ["0.5", "1"])
def test_calls_that_somebody_waits_for_go_before_imports_that_hold_all_slots(
    ground: Ground, tmp_path: Path, share: str
) -> None:
    """Again and again: an import that gave way comes back behind whoever waits by then.

    They wait in line, or, where imports have all that the worker has, unseen in the broker.
    """
    with workers(ground, tmp_path, 5000, NARROWS_PROVIDER_SHARE=share):
        ground.sandbox.control.fault("nyc_open_data", latency_ms=400, only=CALLS)
        imports = [import_dataset.delay(CALLS, sink=f"sink-{number}") for number in range(3)]
        until(lambda: any(call.state == "PROGRESS" for call in imports), 20.0)
        waited = []
        for lot in ("1012650001", "1012650002", "1012650003"):
            started = time.monotonic()
            fetch_permits.delay(lot).get(timeout=60)
            waited.append(time.monotonic() - started)
        assert not any(call.ready() for call in imports)
        for call in imports:
            call.revoke()

    assert max(waited) < 15.0  # without it, a minute, which is their turn


def test_an_import_outlasts_a_sink_that_is_away_for_more_than_its_attempts(
    ground: Ground, tmp_path: Path
) -> None:
    """No attempt is used by it, as none is wrong; it goes on where the sink is back."""
    control, fast = ground.sandbox.control, {f"{BUSY}RETRY_FIRST": "0.1"}
    (tmp_path / "away").write_text("in the way")
    with workers(ground, tmp_path, 150, **fast) as fleet:
        call = import_dataset.delay(CALLS, sink="away")
        until(
            lambda: control.counts("nyc_open_data")["count"] >= 2 * 4, 60.0, told=lambda: fleet.logs[-2000:]
        )
        assert not call.ready()
        (tmp_path / "away").unlink()
        done = call.get(timeout=60)

    assert read(done) == Counter(row(number)[":id"] for number in range(150))


def test_the_command_says_in_a_line_that_its_import_was_revoked(
    ground: Ground, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1, and no traceback."""
    codes, told = [], ""
    with workers(ground, tmp_path, 3000):
        ground.sandbox.control.fault("nyc_open_data", latency_ms=400)
        command = threading.Thread(target=lambda: codes.append(run(["import", CALLS])))
        command.start()
        deadline = time.monotonic() + 20
        while "the import is" not in told and time.monotonic() < deadline:
            told += capsys.readouterr().err
            time.sleep(0.05)
        call = import_dataset.AsyncResult(told.split("the import is ")[1].split(";")[0])
        until(lambda: call.state == "PROGRESS", 20.0)
        call.revoke()
        command.join(30)
    told += capsys.readouterr().err

    assert codes == [1]
    assert "the import was revoked" in told
    assert "Traceback" not in told
