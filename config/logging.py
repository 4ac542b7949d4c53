"""One JSON object per line for machines, one readable line for a person at a terminal.

A line has ``timestamp`` (UTC), ``level``, ``logger_name``, ``module``, ``function_name``, ``line_number``
and ``message``, a constant phrase. What changes from line to line is a key of its own; where it is known
``integration.provider``, ``error_code``, ``trace_id``, ``request_id`` and ``user_id`` are among them.
Everything written has gone through :mod:`config.records` first, which see for what is withheld.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from pythonjsonlogger.json import JsonFormatter

from config.records import FIELDS, Known, extras, safe
from config.tracebacks import rendered

__all__ = ["setup_logging"]

NOISY = ("amqp", "asyncio", "kombu", "redis", "urllib3")
"""Libraries that log every step at INFO or DEBUG, urllib3 with the address and its query."""

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def setup_logging(
    log_level: str | int = "INFO",
    *,
    environment: str = "development",
    stream: TextIO | None = None,
    pretty: bool | None = None,
    context: Known | None = None,
) -> None:
    """Send all that this process logs to one stream; doing it twice is doing it once.

    Args:
        log_level: A level's name or number.
        environment: In ``development`` a terminal gets readable lines, everything else JSON.
        stream: Standard error when None, so that commands can print data on standard output.
        pretty: Readable lines or not, whatever the environment.
        context: Gives the keys of the present call (``trace_id`` and so on) for every line.
    """
    stream = sys.stderr if stream is None else stream
    if pretty is None:
        pretty = environment == "development" and stream.isatty()
    root = logging.getLogger()
    root.handlers[:] = [_Safe(_readable(stream) if pretty else _machine(stream), context or _nothing)]
    root.setLevel(log_level.upper() if isinstance(log_level, str) else log_level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


class _Safe(logging.Handler):
    """Hands a safe copy of each record to the handler that writes."""

    def __init__(self, writer: logging.Handler, known: Known) -> None:
        super().__init__()
        self._writer, self._known = writer, known

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; one that cannot be made safe leaves a line that says so."""
        try:
            line = safe(record, self._known)
        except Exception:  # noqa: BLE001 - whatever an odd argument does must not reach who logs
            line = safe(logging.makeLogRecord({"name": record.name, "msg": "log line lost"}), _nothing)
        self._writer.handle(line)

    def flush(self) -> None:
        """Flush what writes."""
        self._writer.flush()


class _Json(JsonFormatter):
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
    names = {**FIELDS, "exc_info": "exception", "provider": "integration.provider"}
    writer.setFormatter(_Json(list(FIELDS), rename_fields=names))
    return writer


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
