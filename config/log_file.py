"""One log file of one day, which any number of processes append to at the same time.

A line is a single ``write`` to a file that was opened for appending, and the kernel puts those one behind the
other (POSIX, ``write()``: the move to the end and the writing are one step). So there is no lock that a
frozen process could hold, and nothing is renamed that another process still writes to. Half a line, which a
process leaves that is killed while it writes, becomes a line of its own when the next one is written.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from pathlib import Path

__all__ = ["LogFile"]

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_FOR_ITS_OWNER = 0o600
_FOLDER_FOR_ITS_OWNER = 0o700

_CUT = b'{"level": "ERROR", "message": "log line cut"}'
"""What stands in the place of a line that its process could not finish."""

_LONGEST_HALF = 1024 * 1024
"""Bytes in which the beginning of such a line is looked for."""

_MOMENT = 0.001
"""Seconds in which a line that is being written just now is whole."""


class LogFile:
    """The file ``<stem>-<day>.log`` of a folder; ``<stem>.log`` is a link to that of the latest day.

    Args:
        folder: Where it lies; made when it is missing.
        stem: What kind of lines it holds.
    """

    def __init__(self, folder: Path, stem: str) -> None:
        self._folder, self._stem = folder, stem
        self._path = folder
        self._day = ""
        self._opened: int | None = None
        self._by = 0

    def write(self, line: bytes, day: str) -> None:
        """Append the *line* to the file of that *day*.

        Raises:
            OSError: it could not be written; the next call tries again.
        """
        opened = self.open(day)
        half = _ends_half(opened)
        start = _append(opened, b"\n" + line if half else line)
        if self._is_in_place(opened):
            self._mend(opened, start, start + half)
            return
        gone = os.fstat(opened).st_nlink == 0
        self.close()
        if gone:  # somebody removed the file before we wrote, and the line went with it
            _append(self.open(day), line)

    def open(self, day: str) -> int:
        """The descriptor of that *day*'s file; a forked child gets one of its own.

        Raises:
            OSError: there is no such file, and none can be made.
        """
        if self._opened is not None and self._day == day and self._by == os.getpid():
            return self._opened
        path = self._folder / f"{self._stem}-{day}.log"
        try:
            opened = os.open(path, _FLAGS, _FOR_ITS_OWNER)
        except FileNotFoundError:
            self._folder.mkdir(_FOLDER_FOR_ITS_OWNER, parents=True, exist_ok=True)
            opened = os.open(path, _FLAGS, _FOR_ITS_OWNER)
        # The new one stands before the old one is closed: a signal or a fork in between finds a good number.
        before = self._opened if self._by == os.getpid() else None
        self._path, self._day, self._opened, self._by = path, day, opened, os.getpid()
        if before is not None:
            os.close(before)
        with contextlib.suppress(OSError):  # a file system without links still takes lines
            self._link(path.name)
        return opened

    def close(self) -> None:
        """Let the file go; the next line opens it again."""
        opened, self._opened = self._opened, None
        if opened is not None and self._by == os.getpid():
            os.close(opened)

    def _is_in_place(self, opened: int) -> bool:
        """Whether what we write to still is the file of that name: it may be removed, moved or replaced."""
        try:
            return os.path.samestat(os.fstat(opened), os.stat(self._path))  # noqa: PTH116 - on every line
        except FileNotFoundError:
            return False

    def _mend(self, opened: int, start: int, end: int) -> None:
        """Say what it is where half a line lies before *start*, and have it end at *end*.

        The kernel ends a write between two pages when its process is killed or the disk is full. It lets
        nobody else write meanwhile, so what lies before our line stays as it is, and only we mend it.
        """
        if not start or os.pread(opened, 1, start - 1) == b"\n":
            return
        seen = os.pread(opened, min(start, _LONGEST_HALF), max(0, start - _LONGEST_HALF))
        size = end - start + len(seen) - (seen.rfind(b"\n") + 1)
        text = (_CUT if size > len(_CUT) else b"").ljust(size - 1) + b"\n"
        again = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)  # ours would append it
        try:
            if os.path.samestat(os.fstat(opened), os.fstat(again)):
                os.pwrite(again, text, end - size)
        finally:
            os.close(again)

    def _link(self, name: str) -> None:
        """Have ``<stem>.log`` lead to *name*; a real file of that name is somebody's, and stays."""
        link = self._folder / f"{self._stem}.log"
        if link.is_symlink() and link.readlink() == Path(name):
            return
        if link.exists() and not link.is_symlink():
            return
        fresh = self._folder / f".{self._stem}.log.{os.getpid()}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(name)
        fresh.replace(link)


def _ends_half(opened: int) -> bool:
    """Whether the file ends in half a line that nobody is about to finish."""
    before = 0
    while (size := os.fstat(opened).st_size) > before and os.pread(opened, 1, size - 1) != b"\n":
        before = size
        time.sleep(_MOMENT)
    return size == before > 0


def _append(opened: int, line: bytes) -> int:
    """Write the whole *line* behind all others; where in the file it begins.

    One that fits in part is tried once more as a whole, which either fits or says what is wrong.
    """
    if os.write(opened, line) < len(line) and os.write(opened, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return os.lseek(opened, 0, os.SEEK_CUR) - len(line)
