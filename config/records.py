"""A log record as it may be written: a constant event, and keys that hold nothing private.

Our own records are made that way and are only masked. Celery's lines about tasks carry arguments, results
and messages of exceptions; they become constants with the task's name and id. Of any other library's
record the template is believed and the arguments are not: numbers and short plain texts pass, whatever
looks like a ``repr`` (a message's body, a result) does not, nor what a text without arguments quotes.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS

from config.loggers import OWN, is_ours
from config.masking import HIDDEN, Plain, is_secret_name, masked, plain
from config.tracebacks import code_of, summary

__all__ = ["CONTEXT", "FIELDS", "Known", "extras", "safe"]

Known = Callable[[], Mapping[str, object]]
"""Gives the keys that every line of the present call carries, such as ``trace_id``."""

FIELDS = {
    "asctime": "timestamp",
    "levelname": "level",
    "name": "logger_name",
    "module": "module",
    "funcName": "function_name",
    "lineno": "line_number",
    "process": "process_id",
    "message": "message",
}
"""A record's attribute to its key in the line, in the line's order."""

CONTEXT = ("trace_id", "request_id", "user_id")
"""Keys that stand in every line, null where nobody knows them: an index need not guess."""

_RESERVED = frozenset({*RESERVED_ATTRS, OWN})
_TAKEN = frozenset(FIELDS.values())
_KEPT = (
    "name", "levelno", "levelname", "pathname", "filename", "module", "lineno", "funcName", "created",
    "msecs", "relativeCreated", "thread", "threadName", "process", "processName", "stack_info",
)  # fmt: skip

_TASK_LINE = "Task %(name)s[%(id)s] "
_LOOKS_LIKE_REPR = re.compile(r"^[(<]|['\"\[\]{}\n]")
_QUOTED = re.compile(r"""(?<!\w)(['"])(?:\\.|(?!\1).)*(?:\1|$)""")
_SHORT = 200
_KIND = re.compile(r"\w+")


def safe(record: logging.LogRecord, known: Known) -> logging.LogRecord:
    """A copy of *record* that may be written; the original stays as other handlers expect it."""
    event, found = _said(record)
    keys: dict[str, Any] = {**_asked(known), **found}
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, BaseException):
        keys.setdefault("error_code", code_of(error))
    copy = logging.makeLogRecord({name: getattr(record, name) for name in _KEPT})
    copy.msg, copy.args = event, None
    copy.exc_info = record.exc_info if isinstance(error, BaseException) else None
    for key, value in keys.items():
        if value is not None:
            copy.__dict__[f"extra_{key}" if key in _TAKEN or key in _RESERVED else key] = value
    return copy


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """The keys that are not every record's own."""
    return {key: value for key, value in record.__dict__.items() if key not in _RESERVED}


def _said(record: logging.LogRecord) -> tuple[str, dict[str, Plain]]:
    """The event and the record's own keys."""
    data = record.__dict__.get("data")
    if record.name.startswith("celery.") and isinstance(data, Mapping) and isinstance(record.msg, str):
        return _of_task(record.msg, data)
    ours = is_ours(record)
    show = _own if ours else _foreign
    keys = {key: HIDDEN if is_secret_name(key) else show(value) for key, value in extras(record).items()}
    event = _event(record, show, digits=not ours).strip()
    return (event if ours else _believed(event, made=not record.args)), keys


def _believed(event: str, *, made: bool) -> str:
    """What may be shown of a library's text: the first paragraph, for then come the things themselves.

    Of one that was *made* before it was logged, as asyncio's and those of warnings are, the first line, for
    source or a ``repr`` follows; and what stands in it between quotes is a value.
    """
    return _QUOTED.sub(HIDDEN, event.partition("\n")[0]) if made else event.partition("\n\n")[0]


def _event(record: logging.LogRecord, show: Callable[[object], Plain], *, digits: bool) -> str:
    if not isinstance(record.msg, str):
        return str(show(record.msg))
    if not record.args:
        return masked(record.msg, digits=digits)
    args = record.args
    try:
        if isinstance(args, Mapping):
            return masked(record.msg % _Keyed(args, show), digits=digits)
        return masked(record.msg % tuple(show(value) for value in args), digits=digits)
    except (TypeError, ValueError, KeyError):
        return masked(record.msg, digits=digits)


class _Keyed(dict[str, Plain]):
    """A line's only argument when that is a mapping, for ``%(key)s`` as well as for ``%s`` and ``%r``."""

    def __init__(self, given: Mapping[str, object], show: Callable[[object], Plain]) -> None:
        super().__init__({key: show(value) for key, value in given.items()})
        self._whole = show(given)

    def __repr__(self) -> str:
        return str(self._whole)


def _own(value: object) -> Plain:
    return summary(value) if isinstance(value, BaseException) else plain(value)


def _foreign(value: object) -> Plain:
    """A number, a short text without structure, or what kind of thing was withheld."""
    if isinstance(value, BaseException):
        return summary(value)
    if isinstance(value, (bool, int, float)) or value is None:
        return plain(value)
    if isinstance(value, str) and len(value) <= _SHORT and not _LOOKS_LIKE_REPR.search(value):
        return masked(value, digits=True)
    return f"<{type(value).__name__} withheld>"


def _of_task(template: str, data: Mapping[str, Any]) -> tuple[str, dict[str, Plain]]:
    """Celery's line about a task (celery/app/trace.py, celery/worker/strategy.py) as event and keys."""
    keys: dict[str, Plain] = {"task": plain(data.get("name")), "task_id": plain(data.get("id"))}
    for name in ("runtime", "eta"):
        if data.get(name) is not None:
            keys[name] = plain(data[name])
    description = data.get("description")
    if isinstance(description, str) and (kind := _KIND.match(str(data.get("exc")))):
        keys["error_type"] = kind[0]
    return _outcome(template.removeprefix(_TASK_LINE), description), keys


def _outcome(rest: str, description: object) -> str:
    if rest.startswith("received"):
        return "task received"
    if rest.startswith("succeeded"):
        return "task succeeded"
    if rest.startswith("retry"):
        return "task to be retried"
    if description in {"ignored", "rejected"}:
        return f"task {description}"
    return "task failed" if description else "task noted"


def _asked(known: Known) -> Mapping[str, Plain]:
    try:
        return {key: plain(value) for key, value in known().items()}
    except Exception:  # noqa: BLE001 - a line without its trace id is better than no line
        return {}
