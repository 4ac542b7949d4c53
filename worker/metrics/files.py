"""The files into which a prefork worker's children count, and what becomes of those of the dead.

prometheus_client gives each process a file per kind of metric and adds them up at a scrape
(https://prometheus.github.io/client_python/multiprocess/, read 2026-11-21). It decides for files when it is
first imported, so it is told to decide anew; and it never removes any: a worker whose children are replaced
every 2,000 tasks would scrape thousands. So before each scrape the parent adds the files of dead children to
one of its own; the sums stay. This module imports prometheus_client only then.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from worker.errors import ConfigurationError

__all__ = ["directory", "mark_process_dead", "prepare_multiprocess", "settled"]

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_FILE = re.compile(r"(?P<kind>[a-z]+(?:_[a-z]+)?)_(?P<pid>\d+)\.db")
_SUM = "{kind}_of-the-dead.db"
_ADDED = frozenset({"counter", "histogram", "summary"})
_lock = threading.Lock()


def directory() -> Path | None:
    """Where the processes of this worker count; None when it counts in memory."""
    path = os.environ.get(VARIABLE)
    return Path(path) if path else None


def prepare_multiprocess(path: Path) -> None:
    """Count into files in *path*, which belongs to this worker alone and is emptied of an earlier run's.

    Call it in the parent before anything counts.

    Raises:
        ConfigurationError: worker.metrics.metrics is there already, or *path* is not ours alone.
    """
    if "worker.metrics.metrics" in sys.modules and directory() != path:
        raise ConfigurationError("metrics: the metrics were imported before their files were prepared")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.is_symlink() or path.stat().st_uid != os.geteuid():
        raise ConfigurationError("metrics: the directory for metric files belongs to someone else")
    path.chmod(0o700)
    for file in path.glob("*.db"):
        found = _FILE.fullmatch(file.name)
        if found is None or int(found["pid"]) == os.getpid() or not _lives(int(found["pid"])):
            file.unlink(missing_ok=True)
    os.environ[VARIABLE] = str(path)
    # Celery's command line imports Flower's, and so prometheus_client, before any of our code runs.
    values: Any = sys.modules.get("prometheus_client.values")
    if values is not None:
        values.ValueClass = values.get_value_class()


def remove_orphans(parent: Path, prefix: str) -> None:
    """Remove the directories ``<prefix><pid>-…`` in *parent* whose worker was killed before it could."""
    for path in parent.glob(f"{prefix}*-*"):
        pid = path.name.removeprefix(prefix).partition("-")[0]
        if (
            pid.isdigit()
            and not path.is_symlink()
            and path.stat().st_uid == os.geteuid()
            and not _lives(int(pid))
        ):
            shutil.rmtree(path, ignore_errors=True)


def mark_process_dead(pid: int) -> None:
    """Add what the child *pid* counted to the sum and remove its files. For the parent; scrapes do it too."""
    with _lock:
        _bury(lambda other: other == pid)


@contextmanager
def settled() -> Iterator[None]:
    """The files of dead children added up, and none moved until the block ends."""
    if directory() is None:
        yield
        return
    with _lock:
        _bury(lambda pid: not _lives(pid))
        yield


def _bury(dead: Callable[[int], bool]) -> None:
    path = directory()
    for file in list(path.glob("*.db")) if path else ():
        found = _FILE.fullmatch(file.name)
        if found is not None and dead(int(found["pid"])):
            if found["kind"] in _ADDED:
                _add(file, file.with_name(_SUM.format(kind=found["kind"])))
            file.unlink(missing_ok=True)


def _add(file: Path, total: Path) -> None:
    """Add each number in *file* to the same in *total*; buckets of histograms lie there one by one."""
    from prometheus_client.mmap_dict import MmapedDict

    if not file.stat().st_size:  # its process died before it had written a byte
        return
    totals = MmapedDict(str(total))  # type: ignore[no-untyped-call]
    try:
        for key, value, _, _ in MmapedDict.read_all_values_from_file(str(file)):  # type: ignore[no-untyped-call]
            totals.write_value(key, totals.read_value(key)[0] + value, 0.0)  # type: ignore[no-untyped-call]
    finally:
        totals.close()  # type: ignore[no-untyped-call]


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
