"""One trace for each call, whatever becomes of it: real workers, a real collector, both over sockets."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from tests.acceptance.lot import Lot
from tests.acceptance.providers import STEADY, echo, increment, keep, pace
from tests.collector import Collected, Receiver
from tests.fleet import Fleet, Ground, held, until
from worker.bulk.enqueueing import enqueue_many
from worker.context import Context, bound
from worker.engine import engine
from worker.letters.deadletter import DeadLetters

CANARY = "canary-5551234567"
SERVICE = """
import json, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

kept = InMemorySpanExporter()
theirs = TracerProvider()
theirs.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(theirs)

import tests.acceptance.providers as providers

with trace.get_tracer("shop").start_as_current_span("GET /orders"):
    call = providers.echo.delay(77)
assert trace.get_tracer_provider() is theirs
call.get(timeout=30)
print(json.dumps([[s.name, f"{s.context.trace_id:032x}", f"{s.context.span_id:016x}",
                   f"{s.parent.span_id:016x}" if s.parent else ""] for s in kept.get_finished_spans()]))
"""


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """The collector."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture(scope="module")
def tracing(receiver: Receiver) -> dict[str, str]:
    """The settings that send spans there."""
    return {"NARROWS_TRACING_ENDPOINT": receiver.url, "NARROWS_TRACING_HEADERS": f"x-key={CANARY}"}


@pytest.fixture(scope="module")
def fleet(clean: Ground, tracing: dict[str, str]) -> Iterator[Fleet]:
    """Two workers that tell of their calls, as this process does of its own."""
    chosen = {"NARROWS_CLAIM_LEASE": "2", "NARROWS_PROVIDERS__STEADY__RETRY_FLOOR": "1000", **tracing}
    Ground._point({**clean.env, **tracing})
    with Fleet(clean, workers=2, env=chosen) as fleet:
        yield fleet
    engine().tracer.close()
    Ground._point(clean.env)


@pytest.fixture
def told(receiver: Receiver, state: Redis) -> Iterator[Receiver]:
    """The collector, well behaved."""
    assert state.ping()
    yield receiver
    receiver.mode = "well"


def traced(call: Any, *args: Any, **options: Any) -> tuple[str, Any]:
    """The trace id of a call that is made now, and its result."""
    with bound(Context()) as context:
        return context.trace_id, call(*args, **options)


def all_of(receiver: Receiver, trace_id: str, *names: str) -> list[Collected]:
    """The spans of a trace, once those are among them, as often as they are named."""

    def there() -> bool:
        known = [span.name for span in receiver.spans(trace_id)]
        return all(known.count(name) >= names.count(name) for name in names)

    until(there, 30.0, told=lambda: [span.name for span in receiver.spans(trace_id)])
    return receiver.spans(trace_id)


def named(spans: Sequence[Collected], name: str) -> list[Collected]:
    """Those of that name, as they began."""
    return [span for span in spans if span.name == name]


def events(span: Collected) -> list[str]:
    """What happened in it."""
    return [event.name for event in span.events]


def test_a_call_made_at_once_is_one_tree_from_its_producer_to_the_provider(told: Receiver) -> None:
    """Sent, queued, run, let out, asked: each below the one that caused it, with what is known of it."""
    trace_id, call = traced(echo.delay, 1)
    assert call.get(timeout=20) == 1

    spans = all_of(told, trace_id, "steady.echo send", "steady.echo run")

    (sent,), (run,) = named(spans, "steady.echo send"), named(spans, "steady.echo run")
    (queued,), (made,) = named(spans, "narrows.queue"), named(spans, "narrows.integrations.steady")
    (gate,), (http,) = named(spans, "narrows.gate"), named(spans, "GET")
    assert len(spans) == 6
    assert [sent.parent_id, queued.parent_id, run.parent_id] == ["", sent.span_id, sent.span_id]
    assert [made.parent_id, gate.parent_id, http.parent_id] == [run.span_id, made.span_id, made.span_id]
    assert [sent.kind, run.kind, made.kind, http.kind] == ["PRODUCER", "CONSUMER", "INTERNAL", "CLIENT"]
    assert sent.start <= queued.end <= run.start + 0.05
    assert gate.end <= http.start
    assert http.end <= made.end <= run.end
    assert {span.service for span in spans} == {"narrows"}
    assert {span.status for span in spans} == {"UNSET"}
    expected = {
        "http.status_code": 200,
        "peer.ip": "127.0.0.1",
        "narrows.attempt": 1,
        "narrows.outcome": "success",
    }
    assert expected.items() <= made.attributes.items()
    expected = {"http.request.method": "GET", "http.response.status_code": 200, "server.address": "127.0.0.1"}
    assert expected.items() <= http.attributes.items()
    expected = {"messaging.message.id": call.id, "narrows.outcome": "success", "narrows.lane": "interactive"}
    assert expected.items() <= run.attributes.items()
    assert 0 <= run.attributes["narrows.queue_wait"] < 20


def test_a_parked_call_goes_on_in_its_trace(told: Receiver, lot: Lot) -> None:
    """The run that was held back ends without a fault, says why and for how long; the next is its sibling."""
    with lot.shut():
        trace_id, call = traced(pace.delay, 1)
        lot.holds(1)
    assert call.get(timeout=20) == 1

    spans = all_of(told, trace_id, "paced.pace send", "paced.pace run", "paced.pace run")

    (sent,), (held, made) = named(spans, "paced.pace send"), named(spans, "paced.pace run")
    held_back, asked = named(spans, "narrows.integrations.paced")
    (why,) = held_back.events
    assert [held.parent_id, made.parent_id] == [sent.span_id] * 2
    assert [held.attributes["narrows.outcome"], made.attributes["narrows.outcome"]] == ["deferred", "success"]
    assert [held.status, held_back.status, asked.status] == ["UNSET"] * 3
    assert (why.name, why.attributes["narrows.reason"]) == ("deferred", "cooldown")
    assert why.attributes["narrows.wait"] > 60
    assert events(held) == ["deferred"]
    assert "http.status_code" not in held_back.attributes
    assert asked.attributes["http.status_code"] == 200
    assert made.attributes["narrows.queue_wait"] <= made.attributes["narrows.since_enqueued"]


def test_a_failed_attempt_and_the_next_are_runs_of_one_trace(told: Receiver, clean: Ground) -> None:
    """The first has the error's code and status, and when it is tried again; the second has its number."""
    clean.sandbox.control.fault(STEADY.name, status=500, times=1)
    trace_id, call = traced(echo.delay, 3)
    assert call.get(timeout=20) == 3

    spans = all_of(told, trace_id, "steady.echo send", "steady.echo run", "steady.echo run")

    first, second = named(spans, "narrows.integrations.steady")
    failed, made = named(spans, "steady.echo run")
    assert [first.status, first.said] == ["ERROR", "upstream_error"]
    assert [first.attributes["http.status_code"], second.attributes["http.status_code"]] == [500, 200]
    assert [first.attributes["narrows.attempt"], second.attributes["narrows.attempt"]] == [1, 2]
    assert [failed.attributes["narrows.outcome"], made.attributes["narrows.outcome"]] == [
        "retried",
        "success",
    ]
    (retried,) = failed.events
    assert retried.name == "retried"
    assert 0 < retried.attributes["narrows.wait"] <= 0.6


def test_a_call_that_died_with_its_worker_is_brought_back_in_its_trace(
    told: Receiver, fleet: Fleet, clean: Ground
) -> None:
    """The lost run could tell nobody; the one after it says that it is a copy."""
    control = clean.sandbox.control
    control.fault(STEADY.name, mode="hang")
    trace_id, call = traced(echo.delay, 4)
    until(lambda: control.counts(STEADY.name)["in_flight"] == 1)
    for number in range(2):
        fleet.kill(number)
    control.clear(STEADY.name)
    assert call.get(timeout=40) == 4

    spans = all_of(told, trace_id, "steady.echo send", "steady.echo run")

    (sent,), (run,) = named(spans, "steady.echo send"), named(spans, "steady.echo run")
    assert run.parent_id == sent.span_id
    assert run.attributes["narrows.copy"] is True
    assert run.attributes["narrows.outcome"] == "success"


def test_a_dead_letter_that_is_replayed_by_hand_goes_on_in_its_trace(
    told: Receiver, state: Redis, clean: Ground
) -> None:
    """The replay is a producer of its own, and counts the generation; the error's text is nowhere."""
    letters = DeadLetters(state, STEADY.name)
    trace_id, call = traced(keep.delay, "lot", CANARY, "yes")
    raw = until(lambda: [raw for page in letters.pages() for raw in page], 20.0)
    assert letters.replay(raw, by="ann") == ["parked"]
    name = "steady.keep run"

    spans = all_of(told, trace_id, "steady.keep send", "steady.keep replay", name, name)

    (replay,), (dead, again) = named(spans, "steady.keep replay"), named(spans, name)
    assert [again.parent_id, replay.kind] == [replay.span_id, "PRODUCER"]
    assert [dead.status, dead.said] == ["ERROR", "unexpected_error"]
    assert [dead.attributes["narrows.outcome"], events(dead)] == ["dead_lettered", ["dead_lettered"]]
    assert dead.events[0].attributes["narrows.code"] == "unexpected_error"
    assert [replay.attributes["narrows.replays"], again.attributes["narrows.replays"]] == [1, 1]
    assert dead.attributes["messaging.message.id"] == again.attributes["messaging.message.id"] == call.id
    until(lambda: len(letters) == 1)
    clean.sandbox.control.reset()


def test_next_steps_are_below_the_run_that_they_follow(told: Receiver) -> None:
    """Celery publishes them after the task has run."""
    trace_id, _ = traced(echo.apply_async, (5,), link=increment.s())

    spans = all_of(told, trace_id, "steady.echo run", "steady.increment send", "steady.increment run")

    (first,), (sent,) = named(spans, "steady.echo run"), named(spans, "steady.increment send")
    (second,) = named(spans, "steady.increment run")
    assert [sent.parent_id, second.parent_id] == [first.span_id, sent.span_id]


def test_a_batch_is_one_producer_with_many_runs(told: Receiver) -> None:
    """Each call of it is below the one span that wrote them all."""
    trace_id, _ = traced(enqueue_many, echo, range(100, 105))

    spans = all_of(told, trace_id, "steady.echo send", *["steady.echo run"] * 5)

    (sent,) = named(spans, "steady.echo send")
    assert {run.parent_id for run in named(spans, "steady.echo run")} == {sent.span_id}


def test_a_call_by_bare_name_goes_on_in_its_callers_trace(told: Receiver, clean: Ground) -> None:
    """W3C's ``traceparent`` is heard; what is none is not, and a trace that is not kept is not begun."""
    trace_id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    service = Celery("service", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False)

    def send(number: int, traceparent: str) -> Any:
        headers = {"traceparent": traceparent}
        return service.send_task("steady.echo", (number,), queue="steady", headers=headers)

    calls = [
        send(200, f"00-{trace_id}-{parent}-01"),
        send(201, CANARY),
        send(202, f"00-{'a' * 32}-{parent}-00"),
    ]
    assert [call.get(timeout=20) for call in calls] == [200, 201, 202]
    service.close()

    (run,) = named(all_of(told, trace_id, "steady.echo run"), "steady.echo run")
    (other,) = named(all_of(told, calls[1].id.replace("-", ""), "steady.echo run"), "steady.echo run")
    assert [run.parent_id, run.attributes["messaging.message.id"]] == [parent, calls[0].id]
    assert other.parent_id == ""
    assert told.spans("a" * 32) == []


def test_the_dead_letter_of_a_bare_call_is_in_its_callers_trace(
    told: Receiver, clean: Ground, state: Redis
) -> None:
    """It keeps what is left of the trace, so that its replay goes on in it."""
    trace_id = "5bf92f3577b34da6a3ce929d0e0e4736"
    service = Celery("service", broker=clean.valkey.url, backend=clean.valkey.url, set_as_current=False)
    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    service.send_task("steady.keep", ("lot", CANARY, "yes"), queue="steady", headers=headers)
    service.close()

    all_of(told, trace_id, "steady.keep run")

    def buried() -> bool:
        raws = [raw for page in DeadLetters(state, STEADY.name).pages() for raw in page]
        return trace_id in {json.loads(raw)["trace_id"] for raw in raws}

    until(buried, 20.0)


def test_a_service_with_a_provider_of_its_own_keeps_it(told: Receiver, clean: Ground) -> None:
    """Its span is above ours, which goes where its own go; the worker's go to our collector."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    known = {name: value for name, value in clean.env.items() if "__" not in name}
    found = subprocess.run(
        [sys.executable, "-c", SERVICE],
        env={**bare, **known},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert found.returncode == 0, found.stderr

    (name, trace_id, span_id, above), (top, same, root, nothing) = json.loads(found.stdout)
    (run,) = named(all_of(told, trace_id, "steady.echo run"), "steady.echo run")
    assert [name, top, same, above, nothing] == ["steady.echo send", "GET /orders", trace_id, root, ""]
    assert run.parent_id == span_id
    assert named(told.spans(trace_id), "steady.echo send") == []


@pytest.mark.parametrize("mode", ["hang", "endless", "garbage", "refuse", "hang_up"])
def test_a_collector_that_misbehaves_costs_calls_nothing(told: Receiver, mode: Any) -> None:
    """They are made and answered meanwhile."""
    told.mode = mode

    calls = [echo.delay(number) for number in range(300, 320)]

    assert [call.get(timeout=20) for call in calls] == list(range(300, 320))


def test_what_a_prefork_child_still_has_is_sent_when_its_worker_stops(
    told: Receiver, clean: Ground, tracing: dict[str, str]
) -> None:
    """The provider of a child is made in it; nothing is lost when TERM comes right after the answer."""
    seldom = {**tracing, "OTEL_BSP_SCHEDULE_DELAY": "60000"}
    prefork = Fleet(clean, workers=1, pool="prefork", concurrency=2, env=seldom)
    with held("steady"), prefork:
        trace_id, call = traced(echo.delay, 6)
        assert call.get(timeout=20) == 6

    all_of(told, trace_id, "steady.echo send", "steady.echo run")


def test_nothing_private_is_in_any_span(told: Receiver, clean: Ground, fleet: Fleet) -> None:
    """Arguments, queries, paths, bodies, keys, exceptions' texts: of all that this module has sent.

    Nor is the collector's key in the log, where OpenTelemetry has nothing to complain of.
    """
    traced(keep.delay, "lot", CANARY)
    _, call = traced(keep.delay, "lot", CANARY, "yes")
    with pytest.raises(Exception, match="ValueError"):
        call.get(timeout=20)
    trace_id, call = traced(echo.delay, 7)
    call.get(timeout=20)
    all_of(told, trace_id, "steady.echo run")

    everything = b"".join(told.raw)

    assert told.headers["x-key"] == CANARY
    assert set(told.paths) == {"/v1/traces"}
    assert b"steady.keep run" in everything
    assert not re.search(rb"canary|5551234567|/keep/|/echo/|could not keep", everything)
    assert clean.valkey.url.encode() not in everything
    assert CANARY not in fleet.logs
    assert "ended span" not in fleet.logs
