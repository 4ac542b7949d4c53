"""Spans leave by a real socket; a collector that does wrong costs spans, and a bounded time."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

import pytest

from config.settings import Settings
from tests.collector import Receiver
from worker.tracing.check import tracing_finding
from worker.tracing.export import Collector
from worker.tracing.provider import QUEUE, OwnProvider
from worker.tracing.spans import Spans

GONE = "http://127.0.0.1:9"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A collector."""
    with Receiver() as receiver:
        yield receiver


@pytest.mark.parametrize("mode", ["hang", "refuse", "hang_up"])
def test_what_the_collector_does_not_take_is_given_up_in_time(receiver: Receiver, mode: Any) -> None:
    """The reason is a word, and nothing of it hangs on."""
    receiver.mode = mode
    collector = Collector(receiver.url, {}, within=0.5)

    started = time.monotonic()
    said = collector.post(b"")

    assert said
    assert time.monotonic() - started < 5.0
    collector.shutdown()


@pytest.mark.parametrize("mode", ["endless", "garbage"])
def test_an_answer_is_read_no_further_than_it_has_to_be(receiver: Receiver, mode: Any) -> None:
    """Its status says that the batch was taken."""
    receiver.mode = mode
    collector = Collector(receiver.url, {}, within=2.0)

    started = time.monotonic()
    said = collector.post(b"")

    assert said == ""
    assert time.monotonic() - started < 6.0
    collector.shutdown()


@pytest.mark.parametrize("mode", ["gone", "hang"])
def test_spans_beyond_the_queue_are_lost_and_nobody_waits(
    receiver: Receiver, mode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither those who make them nor, for long, the end of the process; the log has a line and no flood."""
    receiver.mode = mode
    own = OwnProvider(Settings(tracing_endpoint=GONE if mode == "gone" else receiver.url))
    spans = Spans(own)

    with caplog.at_level(logging.WARNING):
        started = time.thread_time()
        for _ in range(QUEUE + 1000):
            spans.replayed("steady.echo", "a" * 32, 1)
        spent = time.thread_time() - started
        started = time.monotonic()
        spans.close()

    assert spent < 5.0
    assert time.monotonic() - started < 15.0
    assert len(caplog.records) < 10
    assert "spans lost" in caplog.messages


def test_doctor_says_whether_the_collector_takes_spans(receiver: Receiver) -> None:
    """One that does not is a warning: calls are made all the same. A path may hold a key, and is not told."""
    place = receiver.url.removeprefix("http://")
    (off,) = tracing_finding(Settings())
    (well,) = tracing_finding(Settings(tracing_endpoint=f"{receiver.url}/v1/traces", tracing_sample=0.25))
    receiver.mode = "refuse"
    (ill,) = tracing_finding(Settings(tracing_endpoint=f"{receiver.url}/v1/traces"))

    assert [off.detail, well.detail] == ["off", f"25% of traces to {place}"]
    assert [well.advice, ill.ok] == ["", True]
    assert "503" in ill.detail
    assert ill.advice
