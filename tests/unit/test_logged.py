"""Functions that say how long they took and what they raised, and nothing of what they were given."""

from __future__ import annotations

import asyncio
import functools
import inspect
import io
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import CancelledError
from typing import Any

import pytest
from celery import Celery
from celery.exceptions import Ignore, Retry, SoftTimeLimitExceeded

import worker
from tests.unit.test_logging import _logging_as_before  # noqa: F401 - what is set up is put back
from worker.errors import ProviderUnavailable
from worker.logs import (
    clear_request_context,
    get_logger,
    log_exceptions,
    log_execution_time,
    set_request_context,
    setup_logging,
)

CANARY = "jane canary, 12 main st"

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines() -> Lines:
    """What was written, each line as an object."""
    stream = io.StringIO()
    setup_logging("INFO", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def whichever(function: Callable[..., Any], *args: Any) -> Any:
    """What a plain or an asynchronous *function* returns."""
    answer = function(*args)
    return asyncio.run(answer) if inspect.iscoroutine(answer) else answer


@log_execution_time
def double(value: int) -> int:
    """Twice *value*."""
    return 2 * value


@log_execution_time(level="WARNING")
async def double_later(value: int) -> int:
    """Twice *value*."""
    await asyncio.sleep(0.01)
    return 2 * value


@pytest.mark.parametrize(("function", "level"), [(double, "INFO"), (double_later, "WARNING")])
def test_a_timed_function_answers_and_says_how_long_it_took(
    lines: Lines, function: Callable[[int], Any], level: str
) -> None:
    """In the function's own name and place, with the seconds as a key; the name of the wrapper is nowhere."""
    assert whichever(function, 21) == 42

    (line,) = lines()
    assert (line["message"], line["level"], line["function"]) == ("function timed", level, function.__name__)
    assert (line["function_name"], line["module"]) == (function.__name__, "test_logged")
    assert line["line_number"] == inspect.unwrap(function).__code__.co_firstlineno
    assert (0.01 if function is double_later else 0) <= line["seconds"] < 60
    assert "error_type" not in line


def test_a_timed_function_that_fails_says_how_long_that_took(lines: Lines) -> None:
    """Its exception is the caller's, unchanged."""

    @log_execution_time
    def fail(address: str) -> None:
        raise ValueError(address)

    with pytest.raises(ValueError, match="canary"):
        fail(CANARY)

    (line,) = lines()
    assert (line["error_type"], line["seconds"] >= 0) == ("ValueError", True)
    assert "canary" not in json.dumps(line)


def test_a_line_below_the_level_costs_nothing_and_is_not_written(lines: Lines) -> None:
    """The level of the line decides, as for any other."""

    @log_execution_time(level="DEBUG")
    def quiet() -> int:
        return 1

    assert (quiet(), lines()) == (1, [])


@log_exceptions
def fail(address: str) -> None:
    """Raise an error that quotes *address*."""
    raise ValueError(address)


@log_exceptions(reraise=True)
async def fail_later(address: str) -> None:
    """Raise an error that quotes *address*, a little later."""
    await asyncio.sleep(0)
    raise ValueError(address)


@pytest.mark.parametrize("function", [fail, fail_later])
def test_an_exception_is_logged_and_raised(lines: Lines, function: Callable[[str], Any]) -> None:
    """With its kind and its places, and without a word of the argument that it quotes."""
    with pytest.raises(ValueError, match="canary"):
        whichever(function, CANARY)

    (line,) = lines()
    code = inspect.unwrap(function).__code__
    assert (line["message"], line["level"], line["error_type"]) == ("function failed", "ERROR", "ValueError")
    assert (line["function_name"], line["module"]) == (function.__name__, "test_logged")
    assert line["line_number"] > code.co_firstlineno  # of the raise
    assert f"in {function.__name__}" in line["exception"]
    assert "canary" not in json.dumps(line)


def test_an_exception_that_is_not_raised_again_becomes_the_default(lines: Lines) -> None:
    """None, unless another is named; for plain functions and asynchronous ones."""

    @log_exceptions(reraise=False)
    def count() -> int | None:
        raise KeyError(CANARY)

    @log_exceptions(reraise=False, default=())
    async def names() -> tuple[str, ...]:
        raise ProviderUnavailable("spotify answered 503", status=503)

    assert [count(), asyncio.run(names())] == [None, ()]
    assert [line.get("error_code") for line in lines()] == [None, "upstream_error"]


def test_one_exception_is_logged_once_however_many_functions_it_passes(lines: Lines) -> None:
    """By the innermost, which knows most; also across tasks of asyncio."""

    @log_exceptions
    def middle() -> None:
        fail(CANARY)

    @log_exceptions(reraise=False)
    def outer() -> None:
        middle()

    @log_exceptions(reraise=False)
    async def gathering() -> None:
        await asyncio.gather(fail_later(CANARY))

    outer()
    asyncio.run(gathering())

    assert [line["function"] for line in lines()] == ["fail", "fail_later"]


def test_the_same_exception_raised_anew_is_logged_anew(lines: Lines) -> None:
    """Some libraries keep one object for all their failures."""
    kept = OSError("gone")

    @log_exceptions
    def fail() -> None:
        raise kept

    @log_exceptions(reraise=False)
    def around() -> None:
        fail()

    around()
    with pytest.raises(OSError, match="gone"):
        fail()
    around()

    assert len(lines()) == 3


ORDERS = [KeyboardInterrupt(), SystemExit(), asyncio.CancelledError(), CancelledError(), Retry(), Ignore()]


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: type(order).__qualname__)
def test_an_order_is_neither_logged_nor_swallowed(lines: Lines, order: BaseException) -> None:
    """A cancellation, the end of the process, Celery's retry: they come as exceptions and are no failures."""

    @log_exceptions(reraise=False)
    def obey() -> None:
        raise order

    with pytest.raises(type(order)):
        obey()
    assert lines() == []


def test_a_task_of_asyncio_that_is_cancelled_is_cancelled(lines: Lines) -> None:
    """Even where exceptions are swallowed."""

    @log_exceptions(reraise=False)
    async def wait() -> None:
        await asyncio.sleep(60)

    async def cancel() -> bool:
        task = asyncio.ensure_future(wait())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert (asyncio.run(cancel()), lines()) == (True, [])


def test_a_time_limit_is_logged_and_never_swallowed(lines: Lines) -> None:
    """The task would run on, to be killed."""

    @log_exceptions(reraise=False)
    def slow() -> None:
        raise SoftTimeLimitExceeded

    with pytest.raises(SoftTimeLimitExceeded):
        slow()
    assert lines()[0]["error_type"] == "SoftTimeLimitExceeded"


def test_both_keep_what_the_function_is(lines: Lines) -> None:
    """Its name, its signature, its being asynchronous; on methods, partial functions and objects, too."""

    class Desk:
        @staticmethod
        @log_execution_time
        def ask(value: int) -> int:
            return value

        @log_exceptions
        @log_execution_time
        def tell(self, value: int) -> int:
            return value

        @log_execution_time
        async def later(self) -> int:
            return 3

    desk = Desk()
    partial = log_execution_time(functools.partial(double.__wrapped__, 4))  # type: ignore[attr-defined]

    assert (Desk.ask(1), desk.tell(2), asyncio.run(desk.later()), partial()) == (1, 2, 3, 8)
    assert (double.__name__, str(inspect.signature(double))) == ("double", "(value: 'int') -> 'int'")
    assert [inspect.iscoroutinefunction(each) for each in (double, double_later, fail_later)] == [
        False,
        True,
        True,
    ]
    kept = [line["function"].rpartition(".")[2] for line in lines()]
    assert kept == ["ask", "tell", "later", "double"]


def _generator() -> Iterator[int]:
    yield 1


async def _generator_later() -> AsyncIterator[int]:
    yield 1


@Celery("test", broker="memory://", set_as_current=False).task(name="a.b", shared=False)
def _task() -> None:
    pass


REFUSED = {
    "generator": _generator,
    "generator, whose": _generator_later,
    "is a task": _task,
    "below @classmethod": classmethod(lambda _: None),
    "below @staticmethod": staticmethod(double),
    "a function is needed": Celery,
    "function is": "DEBUG",
}


@pytest.mark.parametrize("says", REFUSED)
@pytest.mark.parametrize("decorator", [log_execution_time, log_exceptions])
def test_what_would_be_told_wrongly_is_refused_where_it_is_decorated(decorator: Any, says: str) -> None:
    """A generator's call ends before its body begins, and a task would lose its ``delay``."""
    with pytest.raises(TypeError, match=says):
        decorator(REFUSED[says])


def test_a_level_that_is_none_is_refused_where_it_is_named() -> None:
    """Not at the first failure."""
    with pytest.raises(TypeError, match="'LOUD' is none of DEBUG"):
        log_exceptions(level="LOUD")(lambda: None)


def test_a_function_s_lines_carry_the_request(lines: Lines) -> None:
    """From set_request_context until clear_request_context, each thread its own."""
    set_request_context(request_id="r-1", user_id="u-1", trace_id="a" * 32)
    try:
        double(1)
        thread = threading.Thread(target=double, args=(2,))
        thread.start()
        thread.join()
    finally:
        clear_request_context()
    double(3)

    first, others, after = lines()
    assert (first["request_id"], first["user_id"], first["trace_id"]) == ("r-1", "u-1", "a" * 32)
    assert {others["request_id"], after["request_id"], after["trace_id"]} == {None}


def test_a_service_s_own_logger_is_told_in_full_and_its_neighbours_are_not(lines: Lines) -> None:
    """What came by get_logger is ours by its very name; credentials are masked all the same."""
    text = "of ['a', 'b']"
    get_logger("orders.api")
    own, below = get_logger("orders.api"), get_logger("orders.api").getChild("library")

    own.info("took %s with %s", text, "password=s3cret", extra={"size": [1, 2], "token": "s3cret"})
    below.info("took %s", text, extra={"size": [1, 2]})

    first, second = lines()
    assert (first["message"], first["size"], first["token"]) == (
        f"took {text} with password=***",
        [1, 2],
        "***",
    )
    assert (second["message"], second["size"]) == ("took <str withheld>", "<list withheld>")
    assert not [key for key in first if "own" in key]


@pytest.mark.parametrize("name", ["", "root"])
def test_the_root_logger_is_nobody_s_own(name: str) -> None:
    """Every library's lines would pass for ours."""
    with pytest.raises(ValueError, match="needs a name"):
        get_logger(name)


def test_all_of_it_comes_from_the_package() -> None:
    """``from worker import …``, in the order of the alphabet, and each name is there."""
    assert worker.__all__ == sorted(worker.__all__)
    assert {*worker._FOUND_IN, "app"} == set(worker.__all__)
    assert worker.log_exceptions is log_exceptions
    assert [name for name in worker.__all__ if getattr(worker, name) is None] == []
