"""Tracing is off until it is asked for, and says what it lacks."""

from __future__ import annotations

import subprocess
import sys
from uuid import uuid4

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision

from config.settings import Settings, SettingsError
from worker.context import current_context, set_request_context
from worker.tracing.provider import SharedTraces
from worker.tracing.tracer import Untraced, chosen_tracer

ENDPOINT = "NARROWS_TRACING_ENDPOINT"
SECRET = "canary-key"
QUIET = """
import sys
import tasks
from worker.application import app
from worker.engine import engine
with engine().tracer.sending("steady.echo", {}, {}):
    pass
parts = ("opentelemetry.sdk.trace", "opentelemetry.exporter", "worker.tracing_")
print([name for name in sys.modules if name.startswith(parts)])
"""
BARE = """
import sys
sys.modules["opentelemetry"] = None
import tasks
from worker.engine import engine
try:
    engine().tracer
except Exception as why:
    print(type(why).__name__, why)
"""


def spawned(code: str, **env: str) -> str:
    """What *code* prints, run by itself."""
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_without_an_endpoint_nothing_that_traces_is_imported() -> None:
    """Not by a producer, and not when it sends. redis-py imports its API and metrics by itself."""
    assert spawned(QUIET) == "[]"


def test_an_endpoint_without_the_packages_is_told_with_its_cure() -> None:
    """At start, by name."""
    said = spawned(BARE, NARROWS_TRACING_ENDPOINT="http://127.0.0.1:4318")

    assert said.startswith("ConfigurationError NARROWS_TRACING_ENDPOINT needs a package that is not here")
    assert said.endswith("pip install narrows[otel]")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://otlp.example.org/", "https://otlp.example.org/v1/traces"),
        ("https://otlp.example.org/team/v1/traces", "https://otlp.example.org/team/v1/traces"),
    ],
)
def test_a_collectors_base_address_gets_the_path_of_traces(given: str, expected: str) -> None:
    """As OpenTelemetry's own variable has it."""
    assert Settings.load({ENDPOINT: given}).tracing_endpoint == expected


@pytest.mark.parametrize(
    "given",
    [
        f"http://user:{SECRET}@host:4318",
        f"http://host/?key={SECRET}",
        f"grpc://{SECRET}:4317",
        "http://host:port",
        SECRET,
    ],
)
def test_an_address_that_is_none_is_refused_without_being_shown(given: str) -> None:
    """It may hold a key."""
    with pytest.raises(SettingsError, match=ENDPOINT) as caught:
        Settings.load({ENDPOINT: given})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "given", [SECRET, f"x key={SECRET}", f"a={SECRET}\nb=c", f"content-type={SECRET}", f"={SECRET}"]
)
def test_headers_that_are_none_are_refused_without_being_shown(given: str) -> None:
    """So are those that are ours to set."""
    with pytest.raises(SettingsError, match="NARROWS_TRACING_HEADERS") as caught:
        Settings.load({"NARROWS_TRACING_HEADERS": given})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "refused"),
    [
        ("https://otlp.example.org", False),
        ("http://127.0.0.1:4318", False),
        ("http://10.1.2.3:4318", False),
        ("http://collector:4318", False),
        ("http://collector.observability.svc:4318", False),
        ("http://otlp.example.org", True),
        ("http://8.8.8.8:4318", True),
    ],
)
def test_production_sends_spans_beyond_its_network_by_tls_only(address: str, refused: bool) -> None:  # noqa: FBT001
    """A collector beside the workers may be asked in clear."""
    with pytest.raises(SettingsError) as caught:  # no Redis is named either
        Settings.load({"NARROWS_ENVIRONMENT": "production", ENDPOINT: address})

    assert refused == any(ENDPOINT in problem for problem in caught.value.problems)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_of_traces_that_are_uuids_the_share_is_kept(share: float) -> None:
    """OpenTelemetry's own sampler would keep none of them at a half."""
    sampler = SharedTraces(share)

    decisions = [sampler.should_sample(None, uuid4().int, "run").decision for _ in range(4000)]

    kept = decisions.count(Decision.RECORD_AND_SAMPLE)
    assert abs(kept / 4000 - share) < 0.05


def test_off_is_off() -> None:
    """The verbs are there and do nothing."""
    tracer = chosen_tracer(Settings())

    assert isinstance(tracer, Untraced)
    assert not tracer.on


def test_a_request_in_a_span_of_the_services_own_has_that_trace_id() -> None:
    """Its log lines and the spans find one another."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("shop")

    with tracer.start_as_current_span("GET /orders") as span:
        trace_id = f"{span.get_span_context().trace_id:032x}"
        assert current_context().trace_id == trace_id
        assert set_request_context(request_id="r").trace_id == trace_id
    assert set_request_context(trace_id="a" * 32).trace_id == "a" * 32
    set_request_context()
