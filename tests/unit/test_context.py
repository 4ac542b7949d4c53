"""Who asked is known wherever the call is made."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.context import (
    Context,
    bound,
    clear_request_context,
    current_context,
    from_header,
    log_fields,
    set_request_context,
    to_header,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEX = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(autouse=True)
def _no_context() -> Iterator[None]:
    """Nothing set before, nothing left behind."""
    clear_request_context()
    yield
    clear_request_context()


def test_what_a_service_sets_arrives_in_the_worker() -> None:
    """The header is plain JSON and holds all three."""
    set_request_context(request_id="r-1", user_id="u-1", trace_id=TRACE)

    header = to_header()

    assert header == {"trace_id": TRACE, "request_id": "r-1", "user_id": "u-1"}
    assert from_header(header) == current_context()


def test_a_call_without_a_context_gets_a_trace_of_its_own() -> None:
    """Two calls that have nothing to do with one another share nothing."""
    first, second = to_header(), to_header()

    assert first.keys() == second.keys() == {"trace_id"}
    assert HEX.fullmatch(first["trace_id"])
    assert first != second
    assert log_fields() == {}


def test_a_context_without_a_trace_keeps_the_one_it_was_given() -> None:
    """Every call of one request stands under one trace id."""
    context = set_request_context(request_id="r-1")

    assert HEX.fullmatch(context.trace_id)
    assert to_header()["trace_id"] == context.trace_id == log_fields()["trace_id"]


def test_setting_replaces_and_clearing_forgets() -> None:
    """A thread that serves the next request must not speak for the last one."""
    first = set_request_context(user_id="u-1")
    second = set_request_context(request_id="r-2")

    assert second.user_id is None
    assert first.trace_id != second.trace_id
    clear_request_context()
    assert log_fields() == {}


def test_a_uuid_is_a_trace_id_without_its_dashes() -> None:
    """Celery's ids and those of many services are UUIDs."""
    assert set_request_context(trace_id="0AF76519-16CD-43DD-8448-EB211C80319C").trace_id == TRACE


@pytest.mark.parametrize("nonsense", ["", "0" * 32, "xyz", TRACE + "0", f"{TRACE}\n", "é" * 32, "9" * 9999])
def test_a_trace_id_that_is_none_is_replaced(nonsense: str) -> None:
    """It may have come with a stranger's request; it must not stop ours."""
    made = set_request_context(trace_id=nonsense).trace_id

    assert HEX.fullmatch(made)
    assert made != nonsense


def test_a_header_without_a_trace_takes_the_default() -> None:
    """A task enqueued by bare name is still one trace, named by Celery's root id."""
    assert from_header({}, default="0af76519-16cd-43dd-8448-eb211c80319c").trace_id == TRACE
    assert from_header({"trace_id": "no"}, default=TRACE).trace_id == TRACE
    assert HEX.fullmatch(from_header({}, default="no").trace_id)


@pytest.mark.parametrize("header", [None, 1, "x", [], {"trace_id": 5, "user_id": ["u"], "request_id": b"r"}])
def test_a_strange_header_is_an_empty_one(header: object) -> None:
    """Anybody can write into the queue."""
    context = from_header(header)

    assert HEX.fullmatch(context.trace_id)
    assert (context.request_id, context.user_id) == (None, None)


@given(st.dictionaries(st.sampled_from(["trace_id", "request_id", "user_id", "v"]), st.text(max_size=300)))
def test_ids_are_bounded_and_cannot_forge_lines(header: dict[str, str]) -> None:
    """Whatever a header holds, what comes out is short, printable and survives the next hop."""
    context = from_header(header)

    for value in (context.request_id or "", context.user_id or ""):
        assert len(value) <= 128
        assert value.isprintable()
    assert from_header(to_header(context)) == context


def test_only_strings_are_taken() -> None:
    """The error comes where the mistake is, names the field and shows a right value."""
    with pytest.raises(TypeError, match=r"user_id: a string is needed, for instance user_id='42'"):
        set_request_context(user_id=42)  # type: ignore[arg-type]


def test_a_bound_context_ends_with_its_block() -> None:
    """Also when the task fails: the thread goes on to another task."""
    outer = set_request_context(request_id="outer")

    seen = []

    def task() -> None:
        with bound(Context(request_id="inner")):
            seen.append(current_context().request_id)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        task()

    assert seen == ["inner"]
    assert current_context() == outer


def test_threads_do_not_share_a_context() -> None:
    """A worker's slots run different calls at the same time."""
    set_request_context(request_id="main")
    seen: list[dict[str, str]] = []

    thread = threading.Thread(target=lambda: seen.append(log_fields()))
    thread.start()
    thread.join()

    assert seen == [{}]
