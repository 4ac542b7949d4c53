"""Functions that say in the log how long they took, and what they raised.

Both decorators take plain functions and ``async`` ones, with or without parentheses, and say nothing of
arguments and results. The line names the function itself, not this module, and goes through the logger of
its module.
"""

from __future__ import annotations

import functools
import inspect
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from types import CodeType, TracebackType
from typing import Any, ParamSpec, TypeVar, overload

from celery.exceptions import SoftTimeLimitExceeded, TaskPredicate

from config.loggers import get_logger

__all__ = ["log_exceptions", "log_execution_time"]

P = ParamSpec("P")
R = TypeVar("R")

_ORDERS = (CancelledError, TaskPredicate)
"""No failures but orders to stop, wait or ignore, which come as exceptions; asyncio's own is not even one."""

_MARK = "_narrows_logged"
_depth: ContextVar[int] = ContextVar("narrows_log_exceptions", default=0)


@overload
def log_execution_time(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def log_execution_time(*, level: int | str = ...) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def log_execution_time(function: Any = None, /, *, level: int | str = logging.INFO) -> Any:
    """The function, which logs ``function timed`` with ``function`` and ``seconds`` each time that it ends.

    Also when it fails; then ``error_type`` says with what.

    Args:
        function: What ends when it returns: no generator, whose body runs later.
        level: Of the line.

    Raises:
        TypeError: it is a generator, a class or a task; says what to do.
    """
    if function is None:
        return functools.partial(log_execution_time, level=level)
    told, number = _Told(function), _number(level)

    @contextmanager
    def timed() -> Iterator[None]:
        started, error_type = time.perf_counter(), None
        try:
            yield
        except BaseException as error:
            error_type = type(error).__name__
            raise
        finally:
            seconds = round(time.perf_counter() - started, 6)
            told.say(number, "function timed", seconds=seconds, error_type=error_type)

    return _around(function, timed)


@overload
def log_exceptions(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def log_exceptions(
    *, reraise: bool = ..., default: Any = ..., level: int | str = ...
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def log_exceptions(
    function: Any = None,
    /,
    *,
    reraise: bool = True,
    default: Any = None,
    level: int | str = logging.ERROR,
) -> Any:
    """The function, which logs ``function failed`` with ``function``, ``error_type`` and the way it came.

    One exception is logged once, by the innermost of several such functions. What is no failure passes
    unlogged: a cancellation, the end of the process, and Celery's retry, ignore and reject.

    Args:
        function: What may fail.
        reraise: Whether callers still get the exception.
        default: What they get otherwise. A soft time limit is raised all the same: it is to end the task.
        level: Of the line.

    Raises:
        TypeError: it is a generator, a class or a task; says what to do.
    """
    if function is None:
        return functools.partial(log_exceptions, reraise=reraise, default=default, level=level)
    told, number = _Told(function), _number(level)

    @contextmanager
    def watched() -> Iterator[None]:
        depth = _depth.get()
        token = _depth.set(depth + 1)
        try:
            yield
        except _ORDERS:
            raise
        except Exception as error:
            if not vars(error).pop(_MARK, False):
                told.say(number, "function failed", error=error, error_type=type(error).__name__)
            if reraise or isinstance(error, SoftTimeLimitExceeded):
                if depth:  # another of us is around this one; the outermost leaves no mark behind
                    vars(error)[_MARK] = True
                raise
        finally:
            with suppress(ValueError):  # a coroutine that is thrown away ends in somebody else's context
                _depth.reset(token)

    return _around(function, watched, default)


class _Told:
    """Writes lines in a function's name."""

    def __init__(self, function: Any) -> None:
        _refuse(function)
        inner = inspect.unwrap(function)
        inner = getattr(inner, "func", inner)  # of a functools.partial
        self._code: CodeType | None = getattr(inner, "__code__", None)
        self._name = getattr(inner, "__qualname__", type(inner).__name__)
        self._logger = get_logger(getattr(inner, "__module__", None) or __name__)

    def say(self, level: int, event: str, *, error: BaseException | None = None, **keys: object) -> None:
        if not self._logger.isEnabledFor(level):
            return
        path, line, name = __file__, 0, self._name
        if self._code:
            path, line, name = self._code.co_filename, self._code.co_firstlineno, self._code.co_name
        found = None
        if error is not None:
            line = _line_in(self._code, error.__traceback__) or line
            found = (type(error), error, error.__traceback__)
        extra = {"function": self._name, **keys}
        logger = self._logger
        logger.handle(logger.makeRecord(logger.name, level, path, line, event, (), found, name, extra))


def _around(function: Any, guard: Callable[[], AbstractContextManager[None]], default: Any = None) -> Any:
    """*function* inside of a *guard*; *default* is returned when that swallows an exception."""
    if _is_async(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **kwargs: Any) -> Any:
            answer = default
            with guard():
                answer = await function(*args, **kwargs)
            return answer  # noqa: RET504 - or the default, when the guard swallowed an exception

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        answer = default
        with guard():
            answer = function(*args, **kwargs)
        return answer  # noqa: RET504 - the same

    return called


def _is_async(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - of an object whose call is asynchronous
    )


def _refuse(function: Any) -> None:
    name = getattr(function, "__qualname__", repr(type(function).__name__))
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{name} is a generator, whose body runs after its call: decorate what consumes it")
    if isinstance(function, (staticmethod, classmethod)):
        raise TypeError(f"{name}: put the decorator below @{type(function).__name__}")
    if hasattr(function, "apply_async"):
        raise TypeError(f"{name} is a task: put the decorator below the one that makes it a task")
    if not callable(function) or inspect.isclass(function):
        raise TypeError(f"{name}: a function is needed; options go by name, such as (level='DEBUG')")


def _number(level: int | str) -> int:
    """A level as logging counts it."""
    number = logging.getLevelName(level.upper()) if isinstance(level, str) else level
    if not isinstance(number, int):
        raise TypeError(f"level: {level!r} is none of DEBUG, INFO, WARNING, ERROR, CRITICAL")
    return number


def _line_in(code: CodeType | None, trace: TracebackType | None) -> int | None:
    """The line of *code* that an exception passed."""
    while trace is not None and trace.tb_frame.f_code is not code:
        trace = trace.tb_next
    return trace.tb_lineno if trace else None
