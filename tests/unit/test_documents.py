"""The documents say nothing that is not there: links, commands, settings, metrics, log lines, states."""

from __future__ import annotations

import importlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from config import environment
from config.settings import ProviderSettings, Settings
from tests.command_lines import misused, targets
from tests.documented import DOCUMENTS, ROOT
from worker.metrics.build import Build
from worker.metrics.fleet import FleetGauges, Survey
from worker.metrics.gauges import ProviderState
from worker.metrics.metrics import Metrics
from worker.overrides import overridden
from worker.provider import Provider

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
LIFECYCLE = (ROOT / "docs" / "call_lifecycle.md").read_text(encoding="utf-8")
WAITING = (ROOT / "docs" / "waiting.md").read_text(encoding="utf-8")
EXPECTED = {
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "why.md",
    "call_lifecycle.md",
    "operations.md",
    "waiting.md",
    "adding_a_provider.md",
}

document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
METRIC = re.compile(r"`(\w+)(?:\{[\w,]+\})?`")
IN_EXPRESSION = re.compile(r"\b([a-z]+(?:_[a-z]+)+)\b(?=[{)\[ ])(?! \()")
PROMETHEUS = {"scrape_samples_scraped"}
"""Metrics that it makes itself."""


def test_every_document_is_looked_at() -> None:
    """A new one joins by lying in docs."""
    assert {path.name for path in DOCUMENTS} >= EXPECTED


@document
def test_every_link_leads_somewhere(path: Path) -> None:
    """Files of the checkout, and headings in them; other hosts are not asked."""
    for link in LINK.findall(prose(path)):
        place, _, heading = link.partition("#")
        if place.startswith(("http://", "https://")):
            continue
        target = (path.parent / unquote(place)).resolve() if place else path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not heading or heading in headings(target), link


@document
def test_every_narrows_command_is_one(path: Path) -> None:
    """With its subcommands, options and number of arguments."""
    problems = [problem for line in commands(path, "narrows") if (problem := misused(line))]

    assert problems == []


@document
def test_every_make_target_is_one(path: Path) -> None:
    """And each is told in the Makefile's own help."""
    named = {word for line in commands(path, "make") for word in line.split()[1:2]}

    assert named <= targets()


@document
def test_every_setting_is_one(path: Path) -> None:
    """``<NAME>`` stands for a provider, ``…__`` for the name before it."""
    text = path.read_text(encoding="utf-8")
    provider = "NARROWS_PROVIDERS__NYC_OPEN_DATA__"
    names = {name.replace("<NAME>", "NYC_OPEN_DATA") for name in re.findall(r"NARROWS_[A-Z][\w<>]*", text)}
    names |= {f"{provider}{name}" for name in re.findall(r"…__([A-Z_]+)", text)}
    whole = {name for name in names if not name.endswith("_")}

    found = environment.read(dict.fromkeys(whole, "no such file"), Settings)

    assert [problem for problem in found.problems if "is not a setting" in problem] == []


def test_the_defaults_of_waiting_are_those_in_force() -> None:
    """A provider that declares nothing stays as it is when each is set to what is told."""
    told = {
        name: value
        for row in table(WAITING, "setting")
        for name, value in zip(
            re.findall(r"(?:NARROWS_|__)([A-Z_]+)`", row[0]), SPAN.findall(row[1]), strict=False
        )
    }
    fleet, each = Settings.model_fields, ProviderSettings.model_fields
    plain = Provider(name="plain", base_url="https://api.example.org")
    chosen = {name.lower(): value for name, value in told.items() if name.lower() in each}

    assert len(told) > 10
    assert {name.lower() for name in told} <= {*fleet, *each}
    assert [
        name for name in told if name.lower() in fleet and float(told[name]) != fleet[name.lower()].default
    ] == []
    assert overridden(plain, ProviderSettings.model_validate(chosen)) == plain


def test_the_numbers_of_waiting_are_those_in_the_code() -> None:
    """Each by the name of its constant, in Python or in Lua."""
    rows = table(WAITING, "number")
    told = {(row[2], float(row[0])) for row in rows}

    assert len(rows) > 10
    assert {(where, constant(where)) for _, _, where in rows} == told


def test_every_metric_is_told_and_every_metric_told_is_one() -> None:
    """In the table of the operations page."""
    told = {name for row in table(OPERATIONS, "metric") for name in METRIC.findall(row[0])}

    assert told == metrics() - {f"adapter_latency_seconds_{end}" for end in ("bucket", "count", "sum")}


def test_every_alert_asks_for_metrics_that_exist() -> None:
    """An expression with a misspelt name never fires."""
    rules = YAML(typ="safe", pure=True).load(ROOT / "config" / "prometheus" / "rules.yml")
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    asked = {name for expression in expressions for name in IN_EXPRESSION.findall(expression)}

    assert len(asked) >= 20
    assert asked - PROMETHEUS <= metrics()


def test_every_log_line_is_written_somewhere() -> None:
    """As a constant phrase of ours."""
    code = "".join(
        path.read_text(encoding="utf-8")
        for part in ("config", "worker", "tasks")
        for path in (ROOT / part).rglob("*.py")
    )
    phrases = {phrase for row in table(OPERATIONS, "message") for phrase in SPAN.findall(row[0])}

    assert len(phrases) > 10
    assert sorted(phrase for phrase in phrases if f'"{phrase}"' not in code) == []


def test_the_states_of_a_call_are_those_of_its_record() -> None:
    """In the diagram and in the table; a dead letter is no state of the record."""
    header = (ROOT / "worker" / "lua" / "record.lua").read_text(encoding="utf-8").partition("]]")[0]
    states = set(re.findall(r'^\s+(?:state\s+)?"(\w+)"\s{2,}', header, re.MULTILINE))

    told = {name for row in table(LIFECYCLE, "state") for name in SPAN.findall(row[0])}

    assert states == {"queued", "running", "waiting", "parked", "slow", "ended"}
    assert {end for pair in arrows() for end in pair[:2]} - {"[*]"} == {*states, "dead_letter"}
    assert told == states


def test_every_arrow_names_its_script_and_every_script_of_records_has_an_arrow() -> None:
    """The diagram and the table have the same ones."""
    writing = {
        *(
            "enqueue",
            "begin",
            "claim",
            "extend",
            "finish",
            "reconcile",
            "release",
            "cancel",
            "letters_replay",
        ),
    }
    named = {word for *_, label in arrows() for word in re.findall(r"\w+", label) if word in writing}
    rows = {word for row in table(LIFECYCLE, "from") for word in SPAN.findall(row[2]) if word in writing}

    assert all((ROOT / "worker" / "lua" / f"{name}.lua").is_file() for name in writing)
    assert all(set(re.findall(r"\w+", label)) & writing for *_, label in arrows())
    assert named == rows == writing


def test_every_arrow_of_the_diagram_is_in_the_table() -> None:
    """The table also says what a crash does there."""
    rows = {
        (start, end)
        for row in table(LIFECYCLE, "from")
        for start, end in itertools.product(_ends(row[0]), _ends(row[1]))
    }
    drawn = {(_plain(start), _plain(end)) for start, end, _ in arrows() if end != "[*]"}

    assert drawn <= rows


def prose(path: Path) -> str:
    """The document without its fenced blocks."""
    return FENCE.sub("", path.read_text(encoding="utf-8"))


def headings(path: Path) -> set[str]:
    """The anchors that its headings make, as GitHub does."""
    found = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE) if path.suffix == ".md" else []
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


def commands(path: Path, program: str) -> Iterator[str]:
    """Each command line of *program*, from code spans and blocks, without its comment."""
    spans = SPAN.findall(prose(path))
    lines = [
        line for _, block in FENCE.findall(path.read_text(encoding="utf-8")) for line in block.splitlines()
    ]
    for text in [*spans, *lines]:
        for found in re.finditer(rf"(?:^|[\s;]){program} ([a-z].*)", text.partition("#")[0]):
            yield f"{program} {found[1].partition(';')[0].strip()}"


def metrics() -> set[str]:
    """The names on the ``/metrics`` of a worker and of the exporter."""
    registry = CollectorRegistry()
    Metrics(registry)
    known = ProviderState(
        provider="p", breaker_state=0, tokens=1.0, quota_remaining=1, submissions={"s": 1}, poller_lag=0.0
    )
    gauges = FleetGauges(lambda: Survey(providers=(known,)))
    families = [*registry.collect(), *Build().collect(), *gauges.collect()]
    names = {f"{each.name}_total" if each.type == "counter" else each.name for each in families}
    parts = {
        f"{each.name}_{end}"
        for each in families
        if each.type == "histogram"
        for end in ("bucket", "count", "sum")
    }
    return names | parts


def constant(where: str) -> float:
    """The number whose name and file *where* has, as a page in docs writes them."""
    name, link = SPAN.findall(where)[0], LINK.findall(where)[0]
    path = (ROOT / "docs" / link).resolve().relative_to(ROOT)
    if path.suffix == ".py":
        return float(getattr(importlib.import_module(".".join(path.with_suffix("").parts)), name))
    text = (ROOT / path).read_text(encoding="utf-8")
    return float(re.findall(rf"^local {name} = ([\d.]+)", text, re.MULTILINE)[0])


def table(text: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column is called *first*."""
    rows = iter(text.splitlines())
    next(row for row in rows if row.startswith(f"| {first} |"))
    next(rows)
    found = itertools.takewhile(lambda row: row.startswith("|"), rows)
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in found]


def arrows() -> list[tuple[str, str, str]]:
    """From, to and label of each arrow of the diagram."""
    blocks = [block for kind, block in FENCE.findall(LIFECYCLE) if kind == "mermaid"]
    found = re.findall(r"^\s*(\S+) --> (\S+?)(?::\s*(.+))?$", blocks[0], re.MULTILINE)
    assert len(blocks) == 1
    return [(start, end, label) for start, end, label in found if label or end != "[*]"]


def _ends(cell: str) -> list[str]:
    return SPAN.findall(cell) or [cell]


def _plain(end: str) -> str:
    return {"[*]": "\N{EN DASH}", "dead_letter": "dead letter"}.get(end, end)
