"""One JSON object per line for machines, one readable line for a person at a terminal.

A line has ``timestamp`` (UTC), ``level``, ``logger_name``, ``module``, ``function_name``, ``line_number``,
``process_id``, ``message``, a constant phrase, and ``trace_id``, ``request_id`` and ``user_id``, null where
there is none. What changes from line to line is a key of its own; where it is known ``integration.provider``
and ``error_code`` are among them. Everything written has gone through :mod:`config.records` first, which see
for what is withheld. Services use :func:`worker.logs.setup_logging`, which knows the context.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from config.log_folder import LogFolder
from config.records import CONTEXT, FIELDS, Known, extras, safe
from config.tracebacks import rendered

__all__ = ["setup_logging"]

NOISY = ("amqp", "asyncio", "kombu", "redis", "urllib3")
"""Libraries that log every step at INFO or DEBUG, urllib3 with the address and its query."""

_LINE = "_narrows_line"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def setup_logging(
    log_level: str | int = "INFO",
    log_dir: str | Path | None = None,
    environment: str = "development",
    *,
    stream: TextIO | None = None,
    pretty: bool | None = None,
    context: Known | None = None,
) -> None:
    """Send all that this process logs to one stream, and to files; doing it twice is doing it once.

    Args:
        log_level: A level's name or number.
        log_dir: The folder for app.log, error.log, api.log and model.log (:mod:`config.log_folder`); None is
            no files. One that cannot be written is told on the stream, and is tried again with each line.
        environment: In ``development`` a terminal gets readable lines, everything else JSON.
        stream: Standard error when None, so that commands can print data on standard output.
        pretty: Readable lines or not on the stream, whatever the environment.
        context: Gives the keys of the present call (``trace_id`` and so on) for every line.
    """
    stream = sys.stderr if stream is None else stream
    if pretty is None:
        pretty = environment == "development" and stream.isatty()
    writers = [_readable(stream) if pretty else _machine(stream)]
    if log_dir:
        writers.append(_files(Path(log_dir), writers[0]))
    root = logging.getLogger()
    for before in root.handlers:
        if isinstance(before, _Safe):
            before.close()
    root.handlers[:] = [_Safe(writers, context or _nothing)]
    root.setLevel(log_level.upper() if isinstance(log_level, str) else log_level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    if sys.unraisablehook is sys.__unraisablehook__:  # another one is somebody's, pytest's for instance
        sys.unraisablehook = _ignored


class _Safe(logging.Handler):
    """Hands a safe copy of each record to the handlers that write."""

    def __init__(self, writers: Sequence[logging.Handler], known: Known) -> None:
        super().__init__()
        self._writers, self._known = writers, known

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; one that cannot be made safe leaves a line that says so."""
        try:
            line = safe(record, self._known)
        except Exception:  # noqa: BLE001 - whatever an odd argument does must not reach who logs
            line = safe(logging.makeLogRecord({"name": record.name, "msg": "log line lost"}), _nothing)
        for writer in self._writers:
            try:
                writer.handle(line)
            except Exception:  # noqa: BLE001 - nor what a handler does not see to itself: RichHandler's, ours
                writer.handleError(line)

    def flush(self) -> None:
        """Flush what writes."""
        for writer in self._writers:
            writer.flush()

    def close(self) -> None:
        """Let the files go; the stream is not ours to close."""
        for writer in self._writers:
            writer.close()
        super().close()


class _Json(JsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        """The line; made once for the stream and the files, which costs more than to write it."""
        line = record.__dict__.get(_LINE)
        if line is None:
            line = record.__dict__[_LINE] = super().format(record)
        return str(line)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002
        """When, in UTC to the millisecond, so that lines of many machines sort as text."""
        when = datetime.fromtimestamp(record.created, UTC)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's name
        """The exception without foreign words."""
        return rendered(ei[1], ei[2]) if ei[1] else ""


class _Readable(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        """The event, its keys, and the exception below."""
        pairs = "".join(f"  {key}={value}" for key, value in extras(record).items())
        line = f"{record.msg}{pairs}".replace("\n", "\\n")
        error = record.exc_info[1] if record.exc_info else None
        return f"{line}\n{rendered(error)}" if error else line


def _machine(stream: TextIO) -> logging.Handler:
    writer = logging.StreamHandler(stream)
    writer.setFormatter(_json())
    return writer


def _files(folder: Path, stream: logging.Handler) -> logging.Handler:
    writer = LogFolder(folder.absolute(), complain=stream.handle)  # a process may change where it is
    writer.setFormatter(_json())
    writer.prepare()
    return writer


def _json() -> logging.Formatter:
    names = {**FIELDS, "exc_info": "exception", "provider": "integration.provider"}
    return _Json([*FIELDS, *CONTEXT], rename_fields=names)


def _readable(stream: TextIO) -> logging.Handler:
    from rich.console import Console
    from rich.logging import RichHandler

    writer = RichHandler(console=Console(file=stream), show_path=False, log_time_format="%H:%M:%S")
    writer.setFormatter(_Readable())
    return writer


def _nothing() -> Mapping[str, object]:
    return {}


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """The last words of a process, which Python would print with every foreign message."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("narrows").critical("process failed", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    error = args.exc_value
    if error is not None and not isinstance(error, SystemExit):
        found = (type(error), error, args.exc_traceback)
        logging.getLogger("narrows").critical("thread failed", exc_info=found)


def _ignored(args: sys.UnraisableHookArgs) -> None:
    """What was raised where nobody can catch it, mostly by the collector in somebody's ``__del__``."""
    if args.exc_value is not None:
        found = (args.exc_type, args.exc_value, args.exc_traceback)
        logging.getLogger("narrows").warning("exception ignored", exc_info=found)
