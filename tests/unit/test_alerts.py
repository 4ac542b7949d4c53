"""Alerts, their runbook and their ways to a person, as far as no fleet is needed for it."""

from __future__ import annotations

import re
import subprocess
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring import CONFIG, missing, read, tool

ROOT = CONFIG.parent
RULES = CONFIG / "prometheus" / "rules.yml"
ROUTES = CONFIG / "alertmanager" / "alertmanager.yml"
CASES = sorted((ROOT / "tests" / "prometheus").glob("*.yml"))
SIDES = ("source_matchers", "target_matchers")
LEVELS = {"1": "critical", "2": "warning"}

promtool = pytest.mark.skipif(bool(missing("promtool")), reason=missing("promtool"))
amtool = pytest.mark.skipif(bool(missing("amtool")), reason=missing("amtool"))


def alerts() -> list[dict[str, Any]]:
    """Every alert of our rules."""
    return [rule for group in read(RULES)["groups"] for rule in group["rules"] if "alert" in rule]


def names() -> list[str]:
    """The names of all alerts."""
    return [each["alert"] for each in alerts()]


def sections() -> dict[str, str]:
    """The runbook's sections by their headings."""
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    runbook = text.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    _, *parts = re.split(r"^### (.+)$", runbook, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def ran(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """The command, ended."""
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert() -> None:
    """In the same order, too, so that a person finds neighbours beside each other."""
    assert list(sections()) == names()
    assert len(names()) == len(set(names()))


@pytest.mark.parametrize("alert", alerts(), ids=names())
def test_an_alert_says_how_grave_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    """Its labels agree with each other and with its section, and its link leads there."""
    level = alert["labels"]["level"]
    section = sections()[alert["alert"]]

    assert alert["labels"] == {"service": "narrows", "level": level, "severity": LEVELS[level]}
    assert alert["annotations"]["runbook_url"] == f"docs/operations.md#{alert['alert'].lower()}"
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert section.strip().startswith(f"Level {level}:")
    assert "**Do" in section
    assert ("**Wake:**" in section) == (level == "1")


def test_texts_name_only_what_is_no_secret() -> None:
    """A provider, an address of ours, a reason, a number: nothing else is filled in."""
    filled = re.findall(r"{{(.+?)}}", RULES.read_text(encoding="utf-8"))

    assert {words.split("|")[0].strip() for words in filled} == {
        "$value",
        "$labels.provider",
        "$labels.instance",
        "$labels.reason",
    }


def test_every_alert_is_tested_to_fire_to_be_silent_before_and_to_end() -> None:
    """In tests/prometheus, which promtool runs."""
    points: dict[str, list[bool]] = {name: [] for name in names()}
    for case in chain.from_iterable(read(path)["tests"] for path in CASES):
        for point in case.get("promql_expr_test", ()):
            (asked,) = re.findall(r'alertname="(\w+)"', point["expr"])
            points[asked].append(bool(point["exp_samples"]))

    assert [name for name, fires in points.items() if fires[:1] != [False]] == []
    assert [name for name, fires in points.items() if True not in fires] == []
    assert [name for name, fires in points.items() if False not in fires[fires.index(True) :]] == []


@promtool
def test_prometheus_takes_the_configuration() -> None:
    """And the rules with it."""
    checked = ran(tool("promtool"), "check", "config", str(CONFIG / "prometheus" / "prometheus.yml"))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@promtool
def test_alerts_fire_at_the_right_minute_stay_silent_just_below_and_end() -> None:
    """What the files in tests/prometheus say of each."""
    tested = ran(tool("promtool"), "test", "rules", *map(str, CASES))

    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert tested.stdout.count("SUCCESS") == len(CASES) == 4


@promtool
def test_a_rule_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    """The tests of the rules can fail: an alert that waits longer is late for them."""
    place = tmp_path / "config" / "prometheus"
    place.mkdir(parents=True)
    (place / "rules.yml").write_text(RULES.read_text("utf-8").replace("for: 5m", "for: 6m"), encoding="utf-8")
    (case,) = (each for each in CASES if "BreakerOpen" in each.read_text("utf-8"))
    (tmp_path / "tests" / "prometheus").mkdir(parents=True)
    (tmp_path / "tests" / "prometheus" / case.name).write_text(case.read_text("utf-8"), encoding="utf-8")

    tested = ran(tool("promtool"), "test", "rules", f"tests/prometheus/{case.name}", cwd=tmp_path)

    assert tested.returncode != 0
    assert "BreakerOpen" in tested.stdout + tested.stderr


@amtool
def test_alertmanager_takes_the_configuration() -> None:
    """As it stands."""
    checked = ran(tool("amtool"), "check-config", str(ROUTES))

    assert checked.returncode == 0, checked.stdout + checked.stderr


@amtool
@pytest.mark.parametrize("level", LEVELS)
def test_an_alert_reaches_the_receiver_of_its_level(level: str) -> None:
    """Whatever else it says of itself."""
    labels = (f"level={level}", f"severity={LEVELS[level]}", "service=narrows", "provider=harbor")

    routed = ran(tool("amtool"), "config", "routes", "test", f"--config.file={ROUTES}", *labels)

    assert routed.stdout.split() == [f"level-{level}"], routed.stderr


@amtool
def test_an_alert_without_a_level_is_not_dropped() -> None:
    """Somebody else's rules on the same Prometheus may know no levels."""
    routed = ran(tool("amtool"), "config", "routes", "test", f"--config.file={ROUTES}", "alertname=Else")

    assert routed.stdout.split() == ["level-2"], routed.stderr


def test_the_key_of_pagerduty_is_in_a_file() -> None:
    """Never in the configuration, which is in the repository."""
    duties = [duty for each in read(ROUTES)["receivers"] for duty in each["pagerduty_configs"]]

    assert {duty["routing_key_file"] for duty in duties} == {"/run/secrets/pagerduty_routing_key"}
    assert all(not {"routing_key", "service_key"} & set(duty) for duty in duties)


def test_inhibitions_name_alerts_that_exist_and_none_that_is_graver() -> None:
    """A misspelt name keeps nothing quiet. What pages is silenced by less only where a breaker works."""
    levels = {each["alert"]: each["labels"]["level"] for each in alerts()}

    for rule in read(ROUTES)["inhibit_rules"]:
        (source,), (target,) = (re.findall(r'"(.+)"', *rule[side]) for side in SIDES)
        assert set(source.split("|")) | set(target.split("|")) <= set(levels)
        assert rule["equal"] in (["service"], ["service", "provider"])
        if "!=" not in rule["target_matchers"][0]:
            graver = {name for name in target.split("|") if levels[name] == "1"}
            assert all(levels[name] == "1" for name in source.split("|")) or graver <= {"ErrorRateHigh"}
