"""Log lines in a folder: a file of each kind for each day, as JSON, for as many processes as there are.

    app-2026-11-21.log      every line
    error-2026-11-21.log    those of level ERROR and above
    api-2026-11-21.log      those about a provider, which have the key ``integration.provider``
    model-2026-11-21.log    those of loggers with a part named ``model`` or ``models``

Days are UTC's. Each process goes over to the new day's files by itself and removes those that are too old,
which does no harm when several do it. ``app.log`` and so on are links to the latest.
"""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from config.log_file import LogFile

__all__ = ["KEPT_DAYS", "LogFolder"]

KEPT_DAYS = 30
"""Days before today whose files are kept."""

_A_DAY = 86_400
_MODELS = frozenset({"model", "models"})

_KINDS: dict[str, Callable[[logging.LogRecord], bool]] = {
    "app": lambda _: True,
    "error": lambda record: record.levelno >= logging.ERROR,
    "api": lambda record: not record.__dict__.keys().isdisjoint({"integration.provider", "provider"}),
    "model": lambda record: not _MODELS.isdisjoint(record.name.split(".")),
}
_DATED = re.compile(rf"(?:{'|'.join(_KINDS)})-(\d{{4}}-\d\d-\d\d)\.log")
_HALF_A_LINK = re.compile(rf"\.(?:{'|'.join(_KINDS)})\.log\.\d+")


class LogFolder(logging.Handler):
    """Writes records into the files they belong to; they have been made safe before.

    A line that cannot be written is lost here, never waited for: who logs has better things to do. That is
    said once, and once again when lines are written again, with how many are missing.

    Args:
        folder: Made, for its owner only, when it is missing.
        complain: Takes a record that says how the folder is, and writes it elsewhere.
        clock: Seconds since the epoch.
    """

    def __init__(
        self,
        folder: Path,
        *,
        complain: Callable[[logging.LogRecord], object],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._folder, self._complain, self._clock = folder, complain, clock
        self._files = {kind: LogFile(folder, kind) for kind in _KINDS}
        self._number, self._day = -1, ""
        self._failing: set[str] = set()
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Append the record to each file it belongs to."""
        line = f"{self.format(record)}\n".encode()
        day = self._today()
        written = [self._write(kind, line, day) for kind, belongs in _KINDS.items() if belongs(record)]
        self._lost += not all(written)

    def prepare(self) -> None:
        """Make today's files; a folder that cannot be written is told at the start, not at the first line."""
        try:
            for file in self._files.values():
                file.open(self._today())
        except OSError as why:
            self._failed("app", why)

    def close(self) -> None:
        """Let all files go."""
        for file in self._files.values():
            file.close()
        super().close()

    def _write(self, kind: str, line: bytes, day: str) -> bool:
        """Whether the line is in the file of that kind."""
        try:
            self._files[kind].write(line, day)
        except OSError as why:
            self._files[kind].close()
            self._failed(kind, why)
            return False
        if kind in self._failing:
            self._recovered(kind)
        return True

    def _failed(self, kind: str, why: OSError) -> None:
        if not self._failing:
            self._say(logging.ERROR, "log files not written", reason=why.strerror or type(why).__name__)
        self._failing.add(kind)

    def _recovered(self, kind: str) -> None:
        """The others are well when the file of all lines is; they may have no line for long."""
        self._failing = set() if kind == "app" else self._failing - {kind}
        if not self._failing:
            lost, self._lost = self._lost, 0
            self.emit(self._say(logging.WARNING, "log files written again", lost=lost))

    def _say(self, level: int, event: str, **keys: object) -> logging.LogRecord:
        narrows = logging.getLogger("narrows")
        record = narrows.makeRecord(narrows.name, level, __file__, 0, event, (), None, "_say", keys)
        self._complain(record)
        return record

    def _today(self) -> str:
        """The day in UTC, such as ``2026-11-21``; the first line of a new one begins its files."""
        now = self._clock()
        number = int(now // _A_DAY)
        if number != self._number:
            self._number = number
            self._day = datetime.fromtimestamp(now, UTC).date().isoformat()
            self._turn(now)
        return self._day

    def _turn(self, now: float) -> None:
        """Begin all files of the day, so that an empty one says that there was nothing; forget the oldest."""
        first = (datetime.fromtimestamp(now, UTC) - timedelta(days=KEPT_DAYS)).date().isoformat()
        try:
            for file in self._files.values():
                file.open(self._day)
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    _forget(entry, first, before=now - _A_DAY)
        except OSError:
            return  # the line that is to be written now meets the same, and tells


def _forget(entry: os.DirEntry[str], first: str, *, before: float) -> None:
    """Remove a file of ours from before the day *first*, and what a process left that died making a link."""
    found = _DATED.fullmatch(entry.name)
    left = _HALF_A_LINK.fullmatch(entry.name)
    if (found and found[1] < first) or (left and entry.stat(follow_symlinks=False).st_mtime < before):
        Path(entry.path).unlink(missing_ok=True)
