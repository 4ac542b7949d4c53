"""What a real Alertmanager keeps quiet because another alert says more, with our own configuration of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from urllib.request import Request, urlopen

import pytest

from tests.fleet import until
from tests.monitoring import CONFIG, Alertmanager, Pager, missing, read

pytestmark = pytest.mark.skipif(bool(missing("alertmanager")), reason=missing("alertmanager"))

LEVELS = {
    rule["alert"]: rule["labels"]["level"]
    for group in read(CONFIG / "prometheus" / "rules.yml")["groups"]
    for rule in group["rules"]
    if "alert" in rule
}

Alert = tuple[str, str]
"""Its name, and the provider; "" where it has none."""


@pytest.fixture(scope="module")
def pager() -> Iterator[Pager]:
    """In PagerDuty's place."""
    with Pager() as pager:
        yield pager


@pytest.fixture
def manager(pager: Pager) -> Iterator[Alertmanager]:
    """One that knows of nothing yet."""
    pager.events.clear()
    with Alertmanager(pager) as manager:
        yield manager


def fired(manager: Alertmanager, alerts: Iterable[Alert]) -> None:
    """Tell it that they fire, as Prometheus does."""
    told = [
        {
            "labels": {"alertname": name, "level": LEVELS[name], "service": "narrows"}
            | ({"provider": provider} if provider else {}),
            "annotations": {"summary": f"{name} of {provider}"},
        }
        for name, provider in alerts
    ]
    request = Request(  # noqa: S310 - loopback
        f"{manager.url}/api/v2/alerts",
        data=json.dumps(told).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=20):  # noqa: S310 - loopback
        pass


def heard(manager: Alertmanager) -> set[Alert]:
    """Those that are not kept quiet."""
    return {
        (each["labels"]["alertname"], each["labels"].get("provider", ""))
        for each in manager.ask("/api/v2/alerts")
        if each["status"]["state"] == "active"
    }


def known(manager: Alertmanager) -> list[str]:
    """The states of all that it was told; one that has just come is ``unprocessed``."""
    return [each["status"]["state"] for each in manager.ask("/api/v2/alerts")]


@pytest.mark.parametrize(
    ("alerts", "loud"),
    [
        (
            [("StateDown", ""), ("ExporterAbsent", ""), ("ErrorRateHigh", "harbor"), ("BrokerDown", "")],
            [("StateDown", "")],
        ),
        (
            [("BreakerOpen", "harbor"), ("ErrorRateHigh", "harbor"), ("ErrorRateHigh", "pier")],
            [("BreakerOpen", "harbor"), ("ErrorRateHigh", "pier")],
        ),
        (
            [("BreakerOpen", "harbor"), ("SubmissionsInDoubt", "harbor"), ("DeadLettersGrow", "harbor")],
            [("BreakerOpen", "harbor"), ("SubmissionsInDoubt", "harbor"), ("DeadLettersGrow", "harbor")],
        ),
        ([("BreakerOpenLong", "harbor"), ("BreakerOpen", "harbor")], [("BreakerOpenLong", "harbor")]),
        (
            [("WorkersAbsent", ""), ("NoWorkerForProvider", "harbor"), ("WorkerDown", "")],
            [("WorkersAbsent", "")],
        ),
        ([("BeatDown", ""), ("PollerLate", "nyc311")], [("BeatDown", "")]),
    ],
    ids=["state", "breaker", "breaker_but_not_doubt", "graver", "workers", "beat"],
)
def test_what_follows_from_something_graver_is_kept_quiet(
    manager: Alertmanager, pager: Pager, alerts: Sequence[Alert], loud: Sequence[Alert]
) -> None:
    """And nothing else is: not another provider's trouble, not what only a person can mend."""
    fired(manager, alerts)

    until(lambda: len(known(manager)) == len(alerts) and "unprocessed" not in known(manager), 20.0)
    until(lambda: heard(manager) == set(loud), 20.0, told=lambda: heard(manager))
    until(lambda: len(pager.events) == len(loud), 20.0, told=lambda: pager.events)
    told = {(each["payload"]["class"], each["payload"]["severity"]) for each in pager.events}
    assert told == {(name, {"1": "critical", "2": "warning"}[LEVELS[name]]) for name, _ in loud}
