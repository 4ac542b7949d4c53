"""What dashboards and alerts are built on has the names and labels that DESIGN gives."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from worker.errors import ConfigurationError
from worker.metrics import files
from worker.metrics.build import Build
from worker.metrics.fleet import FleetGauges, Survey
from worker.metrics.gauges import ProviderState
from worker.metrics.metrics import Metrics, rendered

Sample = tuple[str, tuple[tuple[str, str], ...]]

STATE = ProviderState(
    provider="p",
    breaker_state=2,
    tokens=1.5,
    rate_factor=0.5,
    credentials_set_aside=1,
    retry_budget_left=6,
    quota_remaining=7,
    quota_limit=20,
    quota_exhaustion=90.0,
    parked=3,
    waiting=2,
    queued=6,
    running=5,
    oldest_queued=1.5,
    slots=16,
    oldest_parked=4.5,
    dlq_depth=4,
    submissions={"queued": 2, "accepted": 9},
    poller_lag=0.5,
)


def samples(metrics: Metrics) -> dict[Sample, float]:
    """Everything on the page, by name and labels."""
    return parsed(metrics.page()[1].decode())


def surveyed(survey: Survey) -> dict[Sample, float]:
    """The same of an exporter's page."""
    registry = CollectorRegistry()
    registry.register(FleetGauges(lambda: survey))
    return parsed(rendered(registry)[1].decode())


def parsed(text: str) -> dict[Sample, float]:
    """As Prometheus reads it."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def shown(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One number on the page; None when it is absent."""
    return samples(metrics).get((name, tuple(sorted(labels.items()))))


def everything(metrics: Metrics) -> None:
    """One of each event."""
    metrics.call_ended("p", "fetch", "success", 0.2)
    metrics.deferred("p", "bucket")
    metrics.retried("p")
    metrics.dead_lettered("p", "upstream_error")
    metrics.replayed("p", "answered")
    metrics.cache_hit("p", "memory")
    metrics.cache_missed("p")
    metrics.breaker_moved("p", "open")


def test_each_event_counts_under_its_name() -> None:
    """Exactly the counters of DESIGN §3, with exactly their labels, and no others."""
    metrics = Metrics()
    everything(metrics)

    counted = {
        key: value for key, value in samples(metrics).items() if not key[0].startswith("adapter_latency")
    }

    assert counted == {
        ("adapter_calls_total", (("operation", "fetch"), ("provider", "p"), ("status", "success"))): 1,
        ("deferrals_total", (("provider", "p"), ("reason", "bucket"))): 1,
        ("retries_total", (("provider", "p"),)): 1,
        ("dead_letters_total", (("code", "upstream_error"), ("provider", "p"))): 1,
        ("dlq_replays_total", (("outcome", "answered"), ("provider", "p"))): 1,
        ("cache_hits_total", (("provider", "p"), ("tier", "memory"))): 1,
        ("cache_misses_total", (("provider", "p"),)): 1,
        ("circuit_breaker_transitions_total", (("provider", "p"), ("to", "open"))): 1,
    }


def test_latency_falls_into_buckets() -> None:
    """Cumulative, from 10 ms to the longest deadline."""
    metrics = Metrics()
    for seconds in (0.004, 0.2, 29.0, 300.0):
        metrics.call_ended("p", "fetch", "success", seconds)

    at = {"provider": "p", "operation": "fetch"}
    assert shown(metrics, "adapter_latency_seconds_bucket", le="0.01", **at) == 1
    assert shown(metrics, "adapter_latency_seconds_bucket", le="0.25", **at) == 2
    assert shown(metrics, "adapter_latency_seconds_bucket", le="30.0", **at) == 3
    assert shown(metrics, "adapter_latency_seconds_count", **at) == 4
    assert shown(metrics, "adapter_latency_seconds_sum", **at) == pytest.approx(329.204)


def test_the_fleet_s_state_is_shown_under_its_names() -> None:
    """Exactly the gauges of DESIGN §3 and those that alerts divide by, with exactly their labels."""
    shown = surveyed(
        Survey(
            providers=(STATE,),
            beats=True,
            memory=300,
            memory_limit=900,
            queues={"p": 8, "upkeep": 0},
            cache=True,
            errors=2,
        )
    )

    p = (("provider", "p"),)
    assert shown == {
        ("circuit_breaker_state", p): 2,
        ("rate_limit_tokens_available", p): 1.5,
        ("rate_limit_factor", p): 0.5,
        ("credentials_set_aside", p): 1,
        ("retry_budget_left", p): 6,
        ("quota_remaining", p): 7,
        ("quota_limit", p): 20,
        ("quota_exhaustion_seconds", p): 90,
        ("parked_calls", p): 3,
        ("waiting_calls", p): 2,
        ("queued_calls", p): 6,
        ("running_calls", p): 5,
        ("oldest_queued_seconds", p): 1.5,
        ("worker_slots", p): 16,
        ("oldest_parked_seconds", p): 4.5,
        ("dlq_depth", p): 4,
        ("submissions", (*p, ("state", "queued"))): 2,
        ("submissions", (*p, ("state", "accepted"))): 9,
        ("poller_lag_seconds", p): 0.5,
        ("queue_depth", (("queue", "p"),)): 8,
        ("queue_depth", (("queue", "upkeep"),)): 0,
        ("narrows_state_up", ()): 1,
        ("narrows_broker_up", ()): 1,
        ("narrows_cache_up", ()): 1,
        ("narrows_beat_up", ()): 1,
        ("narrows_state_memory_bytes", ()): 300,
        ("narrows_state_memory_limit_bytes", ()): 900,
        ("narrows_snapshot_errors_total", ()): 2,
    }


def test_a_server_that_did_not_answer_leaves_its_part_out_and_says_so() -> None:
    """A row of zeros would look as if there were nothing to do."""
    assert surveyed(Survey(errors=1)) == {
        ("narrows_state_up", ()): 0,
        ("narrows_broker_up", ()): 0,
        ("narrows_cache_up", ()): 0,
        ("narrows_snapshot_errors_total", ()): 1,
    }


def test_a_number_that_nobody_knows_is_absent() -> None:
    """A provider without a quota has not spent it."""
    names = {name for name, _ in surveyed(Survey(providers=(ProviderState(provider="p", breaker_state=0),)))}

    assert "circuit_breaker_state" in names
    assert names.isdisjoint(
        {
            "quota_remaining",
            "quota_limit",
            "rate_limit_tokens_available",
            "worker_slots",
            "poller_lag_seconds",
        }
    )


def test_a_worker_says_which_build_it_is() -> None:
    """While a deploy goes round, dashboards count by it."""
    metrics = Metrics()
    metrics.show(Build())

    ((name, labels),) = (key for key, value in samples(metrics).items() if value == 1)

    assert name == "narrows_build_info"
    assert [label for label, _ in labels] == ["celery", "python", "version"]
    assert all(value[0].isdigit() for _, value in labels)


def test_whoever_asks_for_openmetrics_gets_it() -> None:
    """Prometheus asks for it first."""
    metrics = Metrics()
    everything(metrics)

    content_type, text = metrics.page("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")

    assert content_type.startswith("application/openmetrics-text")
    assert "adapter_calls" in {family.name for family in parse_openmetrics(text.decode())}  # type: ignore[no-untyped-call]


def test_a_registry_may_be_handed_in() -> None:
    """A host application shows our counters beside its own."""
    registry = CollectorRegistry()
    Metrics(registry).retried("p")

    assert registry.get_sample_value("retries_total", {"provider": "p"}) == 1


def test_threads_lose_no_count() -> None:
    """All of a worker's slots count at once."""
    metrics = Metrics()

    def count() -> None:
        for _ in range(500):
            metrics.call_ended("p", "fetch", "success", 0.01)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert shown(metrics, "adapter_calls_total", provider="p", operation="fetch", status="success") == 4000


def test_files_must_be_prepared_before_the_library_is_there(tmp_path: Path) -> None:
    """It has decided for memory when it was imported; counting would silently go nowhere."""
    with pytest.raises(ConfigurationError, match="imported before"):
        files.prepare_multiprocess(tmp_path)


def run(script: str, folder: Path) -> str:
    """What a new interpreter prints: how a prefork worker's parent begins."""
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", script, str(folder)],
        cwd=root, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


PREFORK = """
import os, sys
from pathlib import Path
from worker.metrics import files
folder = Path(sys.argv[1])
files.prepare_multiprocess(folder)
from worker.metrics.metrics import Metrics
from worker.metrics.build import Build
metrics = Metrics()
metrics.show(Build())
metrics.retried("p")

def child(times):
    pid = os.fork()
    if pid == 0:
        for _ in range(times):
            metrics.call_ended("p", "fetch", "success", 0.2)
        os._exit(0)
    os.waitpid(pid, 0)
    return pid

def found():
    return sorted(file.name.replace(str(os.getpid()), "PARENT") for file in folder.glob("*.db"))
"""


def test_children_s_counts_are_added_up_and_outlive_them(tmp_path: Path) -> None:
    """Forty children die; the sums stay, the files do not, and what is no count is the parent's alone."""
    text = run(PREFORK + """
for round in range(3):
    for _ in range(10):
        child(2)
    page = metrics.page()[1].decode()
last = [child(1) for _ in range(10)]
for pid in last:
    files.mark_process_dead(pid)
print(found())
print(metrics.page()[1].decode())
""", tmp_path / "files")  # fmt: skip

    names, _, page = text.partition("\n")
    assert names == "['counter_PARENT.db', 'counter_of-the-dead.db', 'histogram_of-the-dead.db']"
    found = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in parse(page)
        for sample in family.samples
    }
    assert found["adapter_calls_total", None] == 70
    assert found["adapter_latency_seconds_bucket", "0.1"] == 0
    assert found["adapter_latency_seconds_bucket", "0.25"] == 70
    assert found["adapter_latency_seconds_count", None] == 70
    assert found["adapter_latency_seconds_sum", None] == pytest.approx(14.0)
    assert found["retries_total", None] == 1
    assert found["narrows_build_info", None] == 1
    assert len(re.findall("^narrows_build_info{", page, re.MULTILINE)) == 1


def test_a_living_child_s_counts_are_shown_and_its_files_left(tmp_path: Path) -> None:
    """Only the dead are added to the sum; the living go on counting where they are."""
    text = run(PREFORK + """
ask, answer = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    metrics.call_ended("p", "fetch", "success", 0.2)
    os.write(answer[1], b"x"); os.read(ask[0], 1)
    metrics.call_ended("p", "fetch", "success", 0.2)
    os._exit(0)
os.read(answer[0], 1)
first = metrics.page()[1].decode()
assert f"counter_{pid}.db" in {file.name for file in folder.glob("*.db")}
os.write(ask[1], b"x"); os.waitpid(pid, 0)
second = metrics.page()[1].decode()
for page in (first, second):
    print([line for line in page.splitlines() if line.startswith("adapter_calls_total{")])
""", tmp_path)  # fmt: skip

    assert [line.split()[-1].rstrip("']") for line in text.splitlines()] == ["1.0", "2.0"]


def test_an_earlier_run_s_files_are_removed(tmp_path: Path) -> None:
    """Their numbers belong to a worker that is no more; the folder is nobody else's to read."""
    folder = tmp_path / "files"
    folder.mkdir(mode=0o755)
    finished = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True
    )
    for name in (f"counter_{int(finished.stdout)}.db", "counter_of-the-dead.db", "gauge_liveall_notes.db"):
        (folder / name).write_bytes(b"")

    text = run(PREFORK + "print(found()); print(oct(folder.stat().st_mode & 0o777))", folder)

    assert text.splitlines()[1] == "0o700"
    assert "of-the-dead" not in text
    assert str(int(finished.stdout)) not in text
    assert "notes" not in text


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Someone else may have laid it where the worker was going to write."""
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)

    text = run("""
import sys
from pathlib import Path
from worker.metrics import files
from worker.errors import ConfigurationError
try:
    files.prepare_multiprocess(Path(sys.argv[1]))
except ConfigurationError as why:
    print(why)
""", link)  # fmt: skip

    assert text == "metrics: the directory for metric files belongs to someone else\n"


def test_a_producer_does_not_import_prometheus() -> None:
    """It takes a tenth of a second that every service would pay."""
    light = "worker.metrics.files, worker.context, worker.redaction"
    assert run(f"import sys, {light}; print('prometheus_client' in sys.modules)", Path()) == "False\n"
