"""Log files that several processes write at the same time: no line is lost or torn, whatever befalls them."""

from __future__ import annotations

import io
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from config.log_folder import KEPT_DAYS, LogFolder
from config.logging import setup_logging
from tests.unit.test_logging import _logging_as_before  # noqa: F401 - what is set up is put back

MIDNIGHT = 1_800_057_600.0
"""The end of 2027-01-15 in UTC."""

WRITER = """
import logging, sys, time
from config.log_folder import LogFolder
from config.logging import _json
from pathlib import Path

folder, name, midnight = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
logger = logging.getLogger("narrows")
logger.propagate = False
print("ready", flush=True)
ends = float(sys.stdin.readline())  # when that midnight comes, for all at once
writer = LogFolder(folder, complain=lambda record: print(record.getMessage(), record.reason, file=sys.stderr),
                   clock=lambda: time.time() - ends + midnight)
writer.setFormatter(_json())
logger.addHandler(writer)
number = 0
while number < 100 or time.time() < ends + 0.2:
    number += 1
    logger.error("written", extra={"by": name, "number": number, "padding": "x" * (number * 37 % 6000)})
    if number % 10 == 0:
        print(number, flush=True)
print("last", number, flush=True)
"""
"""Writes numbered lines of many lengths until a little after midnight, and says how far it is."""

LIMITED = """
import logging, resource, sys
from config.logging import setup_logging
logger = logging.getLogger("narrows")
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
setup_logging("INFO", sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
for number in range(20):
    logger.info("written", extra={"number": number})
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
logger.info("written", extra={"number": 20})
"""
"""Writes on while its files may not grow, as on a full disk, and when they may again."""

FORKING = """
import logging, os, sys
from config.logging import setup_logging
logger = logging.getLogger("narrows")
setup_logging("INFO", sys.argv[1])
children = []
for child in range(4):
    if (pid := os.fork()) == 0:
        for number in range(200):
            logger.info("written", extra={"by": child, "number": number})
        os._exit(0)
    children.append(pid)
for number in range(200):
    logger.info("written", extra={"by": 4, "number": number})
assert all(os.waitpid(pid, 0)[1] == 0 for pid in children)
"""
"""Sets logging up once and writes in five processes, as a prefork worker does."""

OWNING = """
import os, sys
from config.log_file import LogFile
from pathlib import Path
file = LogFile(Path(sys.argv[1]), "app")
opened = file.open("2027-01-15")
if os.fork() == 0:
    os._exit(file.open("2027-01-15") == opened)
assert os.wait()[1] == 0
assert file.open("2027-01-15") == opened
"""
"""Opens a file before and after a fork."""

logger = logging.getLogger("narrows")


def lines_of(folder: Path, kind: str = "app") -> list[dict[str, Any]]:
    """Every line of a kind, in all files that hold some; each must be whole.

    Save the very last of a file, when its process was killed and nobody has written since.
    """
    return [
        json.loads(line)
        for path in sorted(folder.glob(f"{kind}-*.log"))
        for line in path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        if line.strip()
    ]


def opened(folder: Path) -> list[str]:
    """The files of the folder that this process has open."""
    found = []
    for each in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one by which we look is gone again
            found.append(str(each.readlink()))
    return [name for name in found if name.startswith(str(folder))]


def run(program: str, folder: Path) -> list[dict[str, Any]]:
    """What a process that runs the *program* says on its standard error."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stderr.splitlines()]


@contextmanager
def writers(folder: Path, *names: str) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Processes that write, half a second before midnight; none is left behind."""
    command = [sys.executable, "-c", WRITER, str(folder)]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    processes = {
        name: subprocess.Popen([*command, name, str(MIDNIGHT)], text=True, **pipes) for name in names
    }
    try:
        for process in processes.values():
            assert process.stdout.readline() == "ready\n", process.communicate(timeout=10)[1]  # type: ignore[union-attr]
        for process in processes.values():
            print(time.time() + 0.5, file=process.stdin, flush=True)
        yield processes
    finally:
        for process in processes.values():
            process.kill()
            process.communicate(timeout=10)


class Held:
    """A clock that stands where it is put."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Held:
    """Half an hour before midnight."""
    return Held(MIDNIGHT - 1800)


@pytest.fixture
def complaints() -> list[logging.LogRecord]:
    """What the folder says of itself."""
    return []


@pytest.fixture
def folder(tmp_path: Path, clock: Held, complaints: list[logging.LogRecord]) -> Iterator[LogFolder]:
    """Files in ``tmp_path/logs``, by the held clock."""
    files = LogFolder(tmp_path / "logs", complain=complaints.append, clock=clock)
    files.setFormatter(logging.Formatter('{"name": "%(name)s", "message": "%(message)s"}'))
    yield files
    files.close()


def record(message: str, **keys: Any) -> logging.LogRecord:
    """A line to be written."""
    return logging.makeLogRecord({"name": "narrows", "levelno": logging.INFO, "msg": message, **keys})


def test_no_line_is_lost_or_torn_when_six_processes_pass_midnight(tmp_path: Path) -> None:
    """Each goes over by itself; every line is in the old day's file or in the new one's, in order."""
    with writers(tmp_path, *"abcdef") as processes:
        said = {name: process.communicate(timeout=120) for name, process in processes.items()}

    wrote = {name: [*range(1, int(out.split()[-1]) + 1)] for name, (out, _) in said.items()}
    assert {error for _, error in said.values()} == {""}
    for kind in ("app", "error"):
        found: dict[str, list[int]] = {name: [] for name in wrote}
        for line in lines_of(tmp_path, kind):
            found[line["by"]].append(line["number"])
        assert found == wrote
        days = sorted(path.name for path in tmp_path.glob(f"{kind}-*"))
        assert days == [f"{kind}-2027-01-15.log", f"{kind}-2027-01-16.log"]
        assert (tmp_path / f"{kind}.log").readlink() == Path(days[1])


def test_processes_that_are_killed_tear_no_line_of_theirs_or_of_others(tmp_path: Path) -> None:
    """Whoever writes next says what the half line is that the kernel may leave of their last."""
    told: dict[str, int] = {}
    with writers(tmp_path, *"abcdef") as processes:
        for name in "bcdef":
            process = processes[name]
            for _ in range(ord(name) - ord("a")):
                told[name] = int(process.stdout.readline().split()[-1])  # type: ignore[union-attr]
            process.kill()
        out, error = processes["a"].communicate(timeout=120)

    by = Counter(line["by"] for line in lines_of(tmp_path) if line["message"] == "written")
    assert (error, by["a"]) == ("", int(out.split()[-1]))
    assert [name for name, count in told.items() if by[name] < count] == []


@pytest.mark.parametrize("size", [1, 2, 44, 45, 9000])
def test_half_a_line_is_told_as_such_by_the_next_and_costs_that_nothing(
    folder: LogFolder, tmp_path: Path, size: int
) -> None:
    """The kernel leaves one when it ends a process, or meets the end of the disk, between two pages."""
    folder.handle(record("one"))
    with (tmp_path / "logs" / "app.log").open("ab") as killed:
        killed.write(b'{"message": "two'.ljust(size, b"x")[:size])
    folder.handle(record("three"))
    folder.handle(record("four"))

    told = [] if size < 45 else ["log line cut"]  # no room
    assert [line["message"] for line in lines_of(tmp_path / "logs")] == ["one", *told, "three", "four"]


def test_what_is_removed_is_made_again_and_no_line_is_lost_that_came_after(
    folder: LogFolder, tmp_path: Path
) -> None:
    """The folder, a file, or a file that was moved away by somebody else's rotation."""
    logs = tmp_path / "logs"
    folder.handle(record("one"))
    shutil.rmtree(logs)
    folder.handle(record("two"))
    (logs / "app-2027-01-15.log").unlink()
    folder.handle(record("three"))
    (logs / "app-2027-01-15.log").rename(tmp_path / "moved")
    folder.handle(record("four"))  # found out behind it, so this one is where it was moved
    folder.handle(record("five"))

    assert [json.loads(line)["message"] for line in (tmp_path / "moved").read_text().splitlines()] == [
        "three",
        "four",
    ]
    assert [line["message"] for line in lines_of(logs)] == ["five"]


def test_a_full_disk_costs_lines_and_neither_the_process_nor_half_a_line(tmp_path: Path) -> None:
    """It is said once, and again with how many are missing; the standard error has every line."""
    said = run(LIMITED, tmp_path)

    events = Counter(line["message"] for line in said)
    (failed,) = [line for line in said if line["message"] == "log files not written"]
    (again,) = [line for line in said if line["message"] == "log files written again"]
    kept = [line for line in lines_of(tmp_path) if line["message"] != "log line cut"]
    written = [line["number"] for line in kept if line["message"] == "written"]
    assert events["written"] == 21
    assert (failed["level"], failed["reason"]) == ("ERROR", "File too large")
    assert written == [*range(len(written) - 1), 20]
    assert again["lost"] == 21 - len(written) > 0
    assert kept[-1]["message"] == "log files written again"


def test_a_folder_that_cannot_be_made_is_told_at_the_start_and_the_process_goes_on(tmp_path: Path) -> None:
    """And the first line after it can be made is in it."""
    (tmp_path / "logs").write_text("in the way", encoding="utf-8")
    stream = io.StringIO()
    setup_logging("INFO", tmp_path / "logs", stream=stream)
    logger.info("one")
    logger.error("two")
    (tmp_path / "logs").unlink()
    logger.info("three")

    said = [json.loads(line)["message"] for line in stream.getvalue().splitlines()]
    assert said == ["log files not written", "one", "two", "three", "log files written again"]
    assert [line["message"] for line in lines_of(tmp_path / "logs")] == ["three", "log files written again"]


def test_a_folder_that_cannot_be_written_for_a_while_is_tried_again_with_each_line(
    folder: LogFolder, tmp_path: Path, clock: Held, complaints: list[logging.LogRecord]
) -> None:
    """At midnight, when new files are to be made; it is said once, and once when it is over."""
    logs = tmp_path / "logs"
    folder.handle(record("one"))
    logs.rename(tmp_path / "away")
    logs.write_text("in the way", encoding="utf-8")
    clock.now += 3600
    for event in ("two", "three"):
        folder.handle(record(event, levelno=logging.ERROR))
    logs.unlink()
    (tmp_path / "away").rename(logs)
    folder.handle(record("four"))

    assert [each.msg for each in complaints] == ["log files not written", "log files written again"]
    assert complaints[1].__dict__["lost"] == 2
    assert [line["message"] for line in lines_of(logs)] == ["one", "four", "log files written again"]


def test_each_line_stands_in_the_files_of_its_kinds(folder: LogFolder, tmp_path: Path) -> None:
    """All in app; errors, providers' and models' in theirs."""
    folder.handle(record("plain"))
    folder.handle(record("bad", levelno=logging.ERROR))
    folder.handle(record("asked", **{"integration.provider": "spotify"}))
    folder.handle(record("held", provider="spotify"))
    folder.handle(record("guessed", levelno=logging.CRITICAL, name="orders.models.price"))
    folder.handle(record("modelled", name="remodel"))

    found = {
        kind: [line["message"] for line in lines_of(tmp_path / "logs", kind)]
        for kind in ("app", "error", "api", "model")
    }
    assert found == {
        "app": ["plain", "bad", "asked", "held", "guessed", "modelled"],
        "error": ["bad", "guessed"],
        "api": ["asked", "held"],
        "model": ["guessed"],
    }


def test_files_are_their_owner_s_alone(folder: LogFolder, tmp_path: Path) -> None:
    """The folder too, when it is made here."""
    before = os.umask(0)
    try:
        folder.handle(record("one"))
    finally:
        os.umask(before)

    logs = tmp_path / "logs"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [logs, *logs.glob("*-2027-*")]}
    assert modes.pop("logs") == 0o700
    assert modes == {f"{kind}-2027-01-15.log": 0o600 for kind in ("app", "error", "api", "model")}


def test_a_day_without_errors_has_an_empty_file_that_says_so(
    folder: LogFolder, tmp_path: Path, clock: Held
) -> None:
    """``error.log`` must not show yesterday's errors as today's."""
    folder.handle(record("bad", levelno=logging.ERROR))
    clock.now = MIDNIGHT
    folder.handle(record("good"))

    assert (tmp_path / "logs" / "error.log").read_text(encoding="utf-8") == ""
    assert [line["message"] for line in lines_of(tmp_path / "logs", "error")] == ["bad"]


def test_the_files_of_thirty_days_are_kept_and_nobody_else_s_is_touched(
    folder: LogFolder, tmp_path: Path, clock: Held
) -> None:
    """Whichever kind they are; what has another name is somebody else's, were it ever so old."""
    logs = tmp_path / "logs"
    logs.mkdir()
    foreign = [
        "notes-2020-01-01.log",
        "app-2020-01-01.log.gz",
        "app-2020.log",
        "app.log.1",
        "xapp-2020-01-01.log",
    ]
    for name in [*foreign, "error-2020-01-01.log"]:
        (logs / name).touch()
    for _ in range(KEPT_DAYS + 3):
        folder.handle(record("one"))
        clock.now += 86_400

    kept = sorted(path.name for path in logs.glob("app-*-*-*.log"))
    assert len(opened(logs)) == 4  # today's
    assert (len(kept), kept[0], kept[-1]) == (KEPT_DAYS + 1, "app-2027-01-17.log", "app-2027-02-16.log")
    assert not (logs / "error-2020-01-01.log").exists()
    assert all((logs / name).exists() for name in foreign)


def test_a_file_in_the_place_of_the_link_is_left_alone(folder: LogFolder, tmp_path: Path) -> None:
    """Another program's app.log is no link of ours; and no link leads our lines out of the folder."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (logs / "app.log").write_text("theirs", encoding="utf-8")
    (logs / "api-2027-01-15.log").symlink_to(tmp_path / "elsewhere")
    folder.handle(record("one", provider="spotify"))

    assert (logs / "app.log").read_text(encoding="utf-8") == "theirs"
    assert [line["message"] for line in lines_of(logs)] == ["one"]
    assert not (tmp_path / "elsewhere").exists()


def test_children_of_a_fork_write_whole_lines_beside_their_parent(tmp_path: Path) -> None:
    """Logging is set up once, in the parent."""
    assert len(run(FORKING, tmp_path)) == 1000

    found = lines_of(tmp_path)
    assert sorted((line["by"], line["number"]) for line in found) == [
        (by, number) for by in range(5) for number in range(200)
    ]
    assert len({line["process_id"] for line in found}) == 5


def test_a_child_of_a_fork_opens_its_own_files(tmp_path: Path) -> None:
    """With its parent's it would share a place in the file, and take back a line that is not its own."""
    assert run(OWNING, tmp_path) == []


def test_setting_up_again_leaves_no_file_open(tmp_path: Path) -> None:
    """Each time that a command or Celery's signal asks for it."""
    for _ in range(3):
        setup_logging("INFO", tmp_path, stream=io.StringIO())
    assert len(opened(tmp_path)) == 4
    setup_logging("INFO", stream=io.StringIO())
    assert opened(tmp_path) == []


def test_files_hold_no_more_than_the_stream_does(tmp_path: Path) -> None:
    """What is withheld there is withheld here; the readable stream is no reason for unreadable files."""
    setup_logging("INFO", tmp_path, stream=io.StringIO(), pretty=True, context=lambda: {"trace_id": "a" * 32})
    try:
        raise ValueError("jane.canary@example.org")
    except ValueError:
        logger.exception("it failed", extra={"api_key": "canary", "provider": "spotify"})
    logging.getLogger("some.library").error("bad body %r", {"name": "canary"})

    first, second = lines_of(tmp_path, "error")
    assert (first["trace_id"], first["user_id"], first["api_key"]) == ("a" * 32, None, "***")
    assert "in test_files_hold_no_more" in first["exception"]
    assert second["message"] == "bad body <dict withheld>"
    assert not [path for path in tmp_path.glob("*.log") if "canary" in path.read_text(encoding="utf-8")]
