"""Every line can be searched, and none holds what is nobody's business."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from celery import Celery
from celery.app import trace
from hypothesis import given
from hypothesis import strategies as st

from config.logging import NOISY, setup_logging
from worker.errors import ProviderUnavailable, ResponseUnreadable

PRIVATE = ("canary", "555", "0100", "s3cret")
"""Parts of a person's address, a telephone number and a password."""

MESSAGE = "row (jane.canary@example.org, +1 212 555 0100) at redis://:s3cret@h/0?q=canary"

Lines = Callable[[], list[dict[str, Any]]]

logger = logging.getLogger("narrows")
foreign = logging.getLogger("some.library")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """What setup_logging changes in the process, put back."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    sys.excepthook, threading.excepthook = hooks


@pytest.fixture
def stream() -> io.StringIO:
    """Where lines go."""
    return io.StringIO()


@pytest.fixture
def lines(stream: io.StringIO) -> Lines:
    """What was written, each line as an object."""
    setup_logging("INFO", stream=stream)
    return lambda: [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_says_when_where_and_what(lines: Lines) -> None:
    """The event is a constant; whatever changes is a key."""
    logger.warning(
        "call deferred", extra={"integration.provider": "nyc_open_data", "wait": 1.5, "bbl": "1012650001"}
    )

    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line.pop("line_number") > 0
    assert line.pop("process_id") == os.getpid()
    assert line == {
        "level": "WARNING",
        "logger_name": "narrows",
        "module": "test_logging",
        "function_name": "test_a_line_says_when_where_and_what",
        "message": "call deferred",
        "trace_id": None,
        "request_id": None,
        "user_id": None,
        "integration.provider": "nyc_open_data",
        "wait": 1.5,
        "bbl": "1012650001",
    }


def test_the_time_is_utc_to_the_millisecond(lines: Lines) -> None:
    """Lines of many machines are sorted as text."""
    logger.handle(
        logging.makeLogRecord({"name": "narrows", "msg": "x", "levelno": 30, "created": 1_800_000_000.0625})
    )

    assert lines()[0]["timestamp"] == "2027-01-15T08:00:00.062Z"


def test_every_line_of_a_call_names_its_trace(stream: io.StringIO) -> None:
    """The context comes from who knows it; a line's own keys win."""
    known: Mapping[str, object] = {"trace_id": "a" * 32, "request_id": "r", "user_id": "u"}
    setup_logging(stream=stream, context=lambda: known)

    logger.info("one")
    logger.info("two", extra={"trace_id": "b" * 32})

    one, two = map(json.loads, stream.getvalue().splitlines())
    assert (one["trace_id"], one["request_id"], one["user_id"]) == ("a" * 32, "r", "u")
    assert two["trace_id"] == "b" * 32


def test_a_context_that_fails_costs_no_line(stream: io.StringIO) -> None:
    """Logging is the last thing that may break."""

    def broken() -> Mapping[str, object]:
        raise RuntimeError

    setup_logging(stream=stream, context=broken)
    logger.info("one")

    assert json.loads(stream.getvalue())["message"] == "one"


def test_a_key_that_a_line_already_has_is_kept_under_another_name(lines: Lines) -> None:
    """Nothing that somebody logs is lost, and nothing forges a level."""
    logger.info("moved", extra={"level": 3, "timestamp": "x"})

    (line,) = lines()
    assert (line["level"], line["extra_level"], line["extra_timestamp"]) == ("INFO", 3, "x")


def test_our_own_error_is_told_in_full(lines: Lines) -> None:
    """Its message holds nothing private, and its code is a key."""
    try:
        raise ProviderUnavailable("nyc_open_data answered 503", status=503)
    except ProviderUnavailable:
        logger.exception("call failed")

    (line,) = lines()
    assert line["error_code"] == "upstream_error"
    assert line["exception"].startswith("worker.errors.ProviderUnavailable: nyc_open_data answered 503\n")
    assert "tests/unit/test_logging.py:" in line["exception"]


def _raise_chained() -> None:
    try:
        try:
            raise KeyError(MESSAGE)
        except KeyError as inner:
            raise ResponseUnreadable("not JSON") from inner
    except ResponseUnreadable as outer:
        outer.add_note(MESSAGE)
        raise ExceptionGroup(MESSAGE, [ValueError(MESSAGE), outer]) from outer


def test_a_foreign_error_is_told_without_its_words(lines: Lines) -> None:
    """Type and place stay, through causes, groups and notes."""
    try:
        _raise_chained()
    except ExceptionGroup:
        logger.exception("task failed")

    (line,) = lines()
    assert not [part for part in PRIVATE if part in json.dumps(line)]
    for part in ("ExceptionGroup: <message withheld>", "holding ValueError: <message withheld>",
                 "caused by worker.errors.ResponseUnreadable: not JSON",
                 "caused by KeyError: <message withheld>", "in _raise_chained"):  # fmt: skip
        assert part in line["exception"]


def test_an_error_with_a_code_of_its_own_is_still_foreign(lines: Lines) -> None:
    """SQLAlchemy's errors have one too, and print their parameters."""

    class Foreign(Exception):
        code = "e3q8"

    try:
        raise Foreign(MESSAGE)
    except Foreign:
        logger.exception("task failed")

    (line,) = lines()
    assert "error_code" not in line
    assert "canary" not in json.dumps(line)


@pytest.mark.parametrize("pretty", [False, True])
def test_nothing_private_is_written_whichever_way_it_is_logged(stream: io.StringIO, pretty: bool) -> None:  # noqa: FBT001
    """As an exception, an argument, a key, a nested value, a warning, another library's line."""
    setup_logging("DEBUG", stream=stream, pretty=pretty)
    error = OSError(MESSAGE)

    logger.error("it failed: %s", error, exc_info=error, stack_info=True)
    logger.warning(
        "connecting",
        extra={"url": "redis://u:s3cret@h/0", "why": error, "deep": {"a": [{"password": "s3cret"}]}},
    )
    logger.warning("calling", extra={"api_key": "s3cret", "body": b"canary", "thing": object()})
    foreign.error("cannot connect to %s: %s", "redis://:s3cret@h//", error)
    foreign.error("%(who)s sent %(what)r", {"who": "jane.canary@example.org", "what": {"name": "canary"}})
    foreign.error("bad message, body: %s", "['Jane Canary s3cret canary']")
    foreign.error("wrong format %d", "canary")
    foreign.error(error)
    foreign.error("asking https://h/x?q=canary for 2125550100")
    logging.getLogger("urllib3.connectionpool").warning(
        "Retrying after '%r': %s", error, "/x?appid=s3cret&q=canary"
    )
    logging.getLogger("urllib3.connectionpool").debug("GET /x?appid=s3cret")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("https://u:s3cret@h/x", stacklevel=1)

    written = stream.getvalue().replace("\n", " ")
    assert not [part for part in PRIVATE if part in written]
    assert written.count("cannot connect to redis://***@h//") == 1


def test_celery_s_line_about_a_result_holds_no_result(lines: Lines) -> None:
    """Run by Celery's own tracer: the arguments and what came back stay out."""
    app = Celery("test", broker="memory://", set_as_current=False)

    @app.task(name="geoclient.geocode", shared=False)
    def geocode(address: str) -> str:
        return address.upper()

    geocode.apply(args=["jane canary, 0100 s3cret st"], task_id="t-1")

    (line,) = lines()
    assert (line["message"], line["task"], line["task_id"]) == ("task succeeded", "geoclient.geocode", "t-1")
    assert line["runtime"] >= 0
    assert not [part for part in (*PRIVATE, "CANARY") if part in json.dumps(line)]


def test_celery_s_line_about_a_failure_holds_no_message(lines: Lines) -> None:
    """The error's type and place are told once, by Celery's tracer."""
    app = Celery("test", broker="memory://", set_as_current=False)

    @app.task(name="geoclient.geocode", shared=False)
    def geocode(address: str) -> None:
        raise ValueError(address)

    geocode.apply(args=[MESSAGE], task_id="t-1")

    (line,) = lines()
    assert (line["message"], line["level"], line["error_type"]) == ("task failed", "ERROR", "ValueError")
    assert "in geocode" in line["exception"]
    assert not [part for part in PRIVATE if part in json.dumps(line)]


def test_celery_s_line_about_an_arrival_holds_no_arguments(lines: Lines) -> None:
    """As celery.worker.strategy logs it, with Celery's own template."""
    data = {"id": "t-1", "name": "a.b", "args": "('canary',)", "kwargs": "{'k': 'canary'}", "eta": None}
    logging.getLogger("celery.worker.strategy").info(trace.LOG_RECEIVED, data, extra={"data": data})

    (line,) = lines()
    assert (line["message"], line["task"], line["task_id"]) == ("task received", "a.b", "t-1")
    assert "canary" not in json.dumps(line)


def test_a_mapping_that_is_the_only_argument_is_no_way_in(lines: Lines) -> None:
    """``%r`` would print it whole; of ours it is shown, its credentials are not."""
    foreign.error("bad body %r", {"name": "canary"})
    logger.error("took %s", {"size": 3, "token": "s3cret"})

    assert [line["message"] for line in lines()] == [
        "bad body <dict withheld>",
        "took {'size': 3, 'token': '***'}",
    ]


def test_a_library_s_explanations_are_cut_after_the_first_paragraph(lines: Lines) -> None:
    """Celery explains an unknown task on a page that ends with the message itself."""
    foreign.error("Received %s.\nIt was dropped.\n\nThe body was:\n%s", KeyError("canary"), "{'k': 'canary'}")

    assert lines()[0]["message"] == "Received KeyError: <message withheld>.\nIt was dropped."


def test_a_retry_is_told_without_its_reason(lines: Lines) -> None:
    """Celery prints the exception there; our own line has the code."""
    data = {"id": "t-1", "name": "a.b", "exc": f"Retry in 3s: ValueError({MESSAGE!r})"}
    logging.getLogger("celery.app.trace").info(trace.LOG_RETRY, data, extra={"data": data})

    (line,) = lines()
    assert line["message"] == "task to be retried"
    assert not [part for part in PRIVATE if part in json.dumps(line)]


def test_noisy_libraries_are_quiet_even_at_debug(stream: io.StringIO) -> None:
    """urllib3 at DEBUG writes each address with its query."""
    setup_logging(logging.DEBUG, stream=stream)

    for name in ("urllib3.connectionpool", "kombu.transport", "redis.connection"):
        logging.getLogger(name).info("step")
    logger.debug("ours")

    assert [json.loads(line)["message"] for line in stream.getvalue().splitlines()] == ["ours"]


def test_setting_up_twice_writes_once(lines: Lines, stream: io.StringIO) -> None:
    """Celery's signal and a command may both ask for it."""
    setup_logging(stream=stream)
    logger.info("one")

    assert len(lines()) == 1


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("environment", "is_json"), [("development", False), ("production", True)])
def test_a_terminal_gets_readable_lines_in_development_only(environment: str, is_json: bool) -> None:  # noqa: FBT001
    """In production something else reads the terminal."""
    terminal = Terminal()
    setup_logging(environment=environment, stream=terminal)

    logger.info("call deferred", extra={"wait": 2})

    assert is_json == terminal.getvalue().startswith("{")
    assert "call deferred" in terminal.getvalue()


def test_a_value_cannot_forge_a_line_on_the_terminal() -> None:
    """Neither with a line break nor with a terminal's own commands."""
    terminal = Terminal()
    setup_logging(stream=terminal, pretty=True)

    logger.info("asked", extra={"name_given": "x\n12:00:00 CRITICAL all lost\x1b[2J"})

    assert "CRITICAL all lost" in terminal.getvalue().splitlines()[0]
    assert "\x1b[2J" not in terminal.getvalue()


def test_an_uncaught_error_ends_a_thread_in_a_line(lines: Lines) -> None:
    """Python would print it with every foreign message."""

    def fail() -> None:
        raise ValueError(MESSAGE)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()

    (line,) = lines()
    assert (line["level"], line["message"]) == ("CRITICAL", "thread failed")
    assert "in fail" in line["exception"]
    assert "canary" not in json.dumps(line)


def test_an_argument_that_cannot_be_shown_loses_the_line_and_not_the_caller(lines: Lines) -> None:
    """A repr, a len or an items() that raises is somebody else's bug."""

    class Odd(dict[str, str]):
        def items(self) -> Any:
            raise RuntimeError(MESSAGE)

    logger.info("odd", extra={"thing": Odd(a="b")})

    assert lines()[0]["message"] == "log line lost"


def test_a_number_longer_than_python_writes_is_told_by_its_size(lines: Lines) -> None:
    """Its digits would cost the caller an exception, with files or on a terminal."""
    logger.info("seen", extra={"count": 10**5000, "of": [-(10**5000)]})

    assert (lines()[0]["count"], lines()[0]["of"]) == ("<int of 16610 bits>", ["<int of 16610 bits>"])


@pytest.mark.parametrize("pretty", [True, False])
def test_a_stream_that_breaks_in_any_way_costs_the_line_and_not_the_caller(
    pretty: bool,  # noqa: FBT001
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Who logs has better things to do than to mind who reads."""

    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise RuntimeError("broken")

    setup_logging(stream=Broken(), pretty=pretty)

    logger.info("seen")

    assert "Logging error" in capfd.readouterr().err


def test_an_error_that_asyncio_tells_of_keeps_its_words(lines: Lines) -> None:
    """It writes the repr of a task, its error and a callback's arguments into a sentence of its own."""

    async def fail() -> None:
        raise ValueError(MESSAGE)

    async def serve() -> None:
        lost = asyncio.ensure_future(fail())
        asyncio.get_running_loop().call_soon(int, MESSAGE)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del lost
        gc.collect()

    asyncio.run(serve())

    told = lines()
    assert sorted(line["message"].partition(" ")[0] for line in told) == ["Exception", "Task"]
    assert all("ValueError: <message withheld>" in line["exception"] for line in told)
    assert not [part for part in PRIVATE if part in json.dumps(told)]


def test_an_error_that_nobody_can_catch_is_a_line_without_its_words() -> None:
    """Python prints it otherwise, from whatever thread the collector happens to come by in."""
    code = (
        "import sys; from config.logging import setup_logging\n"
        "class Odd:\n"
        "    def __del__(self): raise ValueError(sys.argv[1])\n"
        "setup_logging(); Odd()"
    )
    command = [sys.executable, "-c", code, MESSAGE]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stderr

    line = json.loads(told)
    assert (line["level"], line["message"]) == ("WARNING", "exception ignored")
    assert "in __del__" in line["exception"]
    assert not [part for part in PRIVATE if part in told]


json_like = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**4299, 10**4301)
    | st.floats()
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=json_like)
def test_whatever_is_logged_becomes_one_line_of_strict_json(value: Any) -> None:
    """No value breaks the line, not even NaN or half a surrogate pair."""
    stream = io.StringIO()
    setup_logging(stream=stream)

    logger.info("seen", extra={"value": value})
    foreign.info("seen %s", value)

    ours, theirs = stream.getvalue().splitlines()
    for line in (ours, theirs):
        json.loads(line, parse_constant=lambda _: pytest.fail("not JSON"))
