"""Where a span's parent is read from; anyone may have written it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.context import of_message
from worker.tracing.traceparent import Parent, parent_of, parsed, root_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
WHOLE = f"00-{TRACE}-{SPAN}-01"

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WHOLE, Parent(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-00", Parent(TRACE, SPAN, sampled=False)),
        (f"00-{TRACE}-{SPAN}-03", Parent(TRACE, SPAN, sampled=True)),
        (f"cc-{TRACE}-{SPAN}-01-what-will-be", Parent(TRACE, SPAN, sampled=True)),
        (f"00-{TRACE}-{SPAN}-01-more", None),
        (f"cc-{TRACE}-{SPAN}-01.more", None),
        (f"ff-{TRACE}-{SPAN}-01", None),
        (f"00-{TRACE.upper()}-{SPAN}-01", None),
        (f"00-{'0' * 32}-{SPAN}-01", None),
        (f"00-{TRACE}-{'0' * 16}-01", None),
        (f"00-{TRACE}-{SPAN}", None),
        (f"{WHOLE}\n", None),
        (f"cc-{TRACE}-{SPAN}-01-{'x' * 600}", None),
        (None, None),
        (WHOLE.encode(), None),
    ],
)
def test_a_traceparent_is_what_the_recommendation_says(text: object, expected: Parent | None) -> None:
    """Later versions may say more; zeros, capitals and version ff are none."""
    assert expected == parsed(text)


@given(anything | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{30,34}-[0-9a-f]{14,18}-[0-9a-g]{1,3}.?"))
def test_garbage_never_raises(said: Any) -> None:
    """Whatever stands there, in our own header or in another."""
    for headers in (
        {"traceparent": said},
        {"narrows": said, "root_id": said},
        {"narrows": {"trace_id": said, "parent": said}, "traceparent": said},
    ):
        context = of_message(headers)
        parent = parent_of(headers, context.trace_id)
        assert parent is None or parent.trace_id == context.trace_id


@given(st.integers(1, 2**128 - 1), st.integers(1, 2**64 - 1), st.booleans())
def test_what_is_carried_is_read_again(trace: int, span: int, sampled: bool) -> None:  # noqa: FBT001
    """By the next process, in our own header."""
    parent = Parent(f"{trace:032x}", f"{span:016x}", sampled)

    headers = {"narrows": {"trace_id": parent.trace_id, "parent": parent.carried}}

    assert parent_of(headers, of_message(headers).trace_id) == parent


def test_our_own_header_goes_before_w3cs() -> None:
    """Instrumentation of Celery adds the other to each message; ours is nearer to the call."""
    ours = {"trace_id": TRACE, "parent": "00f067aa0ba90200-01"}

    assert parent_of({"narrows": ours, "traceparent": WHOLE}, TRACE) == Parent(
        TRACE, "00f067aa0ba90200", sampled=True
    )


def test_a_traceparent_of_another_trace_is_no_parent() -> None:
    """A call has one trace: that of its log lines."""
    headers = {"narrows": {"trace_id": "a" * 32}, "traceparent": WHOLE}

    assert parent_of(headers, of_message(headers).trace_id) is None


def test_the_trace_of_a_bare_call_is_its_traceparents_or_its_roots() -> None:
    """In this order."""
    assert of_message({"traceparent": WHOLE, "root_id": "b" * 32}).trace_id == TRACE
    assert of_message({"traceparent": "no", "root_id": "b" * 32}).trace_id == "b" * 32
    assert root_of({"root_id": 5}) is None
