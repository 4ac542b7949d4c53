"""What a person on call sees of a real fleet in trouble: the dashboard's numbers, and who is paged.

One run for all: providers of the sandbox fail and refuse, workers are killed, and a real Prometheus reads
workers and exporter the whole time, with our own rules and a second for each of their minutes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from celery.result import AsyncResult

from tasks import current_weather, fetch_permits, lookup_isrc, search_track
from tasks.letters import replay_dead_letters
from tests.acceptance.providers import echo, look
from tests.fleet import Fleet, Ground, until
from tests.monitoring import CONFIG, Alertmanager, Pager, Prometheus, missing, read, shortened
from worker.application import app
from worker.engine import engine
from worker.exporter import exposition

pytestmark = pytest.mark.skipif(
    bool(missing("prometheus", "alertmanager")), reason=missing("prometheus", "alertmanager")
)

RULES = (CONFIG / "prometheus" / "rules.yml").read_text(encoding="utf-8")
HERE = {
    "NARROWS_CLAIM_LEASE": "2",
    "NARROWS_PROVIDERS__WILD__API_KEY": "key-of-wild",
    "NARROWS_PROVIDERS__NYC_OPEN_DATA__CACHE_SECONDS": "1",  # an answer is soon an old one
    "NARROWS_PROVIDERS__NYC_OPEN_DATA__BREAKER_RESET_AFTER": "1",
    "NARROWS_PROVIDERS__NYC_OPEN_DATA__RETRY_ATTEMPTS": "100",
    "NARROWS_PROVIDERS__NYC_OPEN_DATA__RETRY_FLOOR": "1000",
    "NARROWS_PROVIDERS__OPENWEATHER__DAILY_QUOTA": "1",  # soon spent
}
SUBSTITUTES = {"$__rate_interval": "15s", "$provider": ".*"}
LOT = "1012650001"
LOTS = [f"10083{number:05d}" for number in range(50001, 50011)]
"""Nobody has asked for them, so no old answer stands in."""


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers that give a lost call up after 2 s; the exporter's page, here, has their settings."""
    clean._point({**clean.env, **HERE})
    with Fleet(clean, workers=2) as fleet:
        with clean.client() as state:
            state.config_set("maxmemory", "1gb")
        yield fleet
        with clean.client() as state:
            state.config_set("maxmemory", "0")
    clean._point(clean.env)


@pytest.fixture(scope="module")
def exporter(fleet: Fleet) -> Iterator[str]:
    """Where the exporter's page is; here, for its own process would refuse the tests' providers."""
    assert fleet.ready
    page = exposition(engine(), app, host="127.0.0.1", port=0)
    yield page.start()
    page.stop()


@pytest.fixture(scope="module")
def pager() -> Iterator[Pager]:
    """In PagerDuty's place."""
    with Pager() as pager:
        yield pager


@pytest.fixture(scope="module")
def prometheus(fleet: Fleet, exporter: str, pager: Pager) -> Iterator[Prometheus]:
    """It reads the fleet each second, and tells Alertmanager, which tells the pager."""
    targets = {
        "narrows-worker": [_place(worker.program.address) for worker in fleet.stack.workers],
        "narrows-exporter": [_place(exporter)],
    }
    with (
        Alertmanager(pager) as manager,
        Prometheus(targets, rules=shortened(RULES), alertmanager=_place(manager.url)) as prometheus,
    ):
        yield prometheus


@pytest.fixture(scope="module")
def trouble(clean: Ground, fleet: Fleet, prometheus: Prometheus) -> Iterator[list[AsyncResult[Any]]]:
    """All that can go wrong has; the calls that wait for it to be mended."""
    control = clean.sandbox.control
    until(lambda: len(prometheus.query("up == 1")) == 3, 30.0)
    _workers_killed(clean, fleet)
    fetch_permits.delay(LOT).get(timeout=30)
    search_track.delay("Blue Train").get(timeout=30)
    current_weather.delay(40.7, -74.0).get(timeout=30)
    control.fault("wild", status=401)
    refused = look.delay("somewhere")
    until(refused.failed, 30.0, told=lambda: refused.state)
    control.fault("wild", status=500)
    failed = look.delay("elsewhere")
    until(failed.failed, 30.0, told=lambda: failed.state)
    control.clear("wild")
    until(lambda: replay_dead_letters.delay().get(timeout=60), 60.0)  # the letter comes behind the result
    control.fault("nyc_open_data", status=500)
    waiting = [fetch_permits.delay(lot) for lot in LOTS]
    waiting += [lookup_isrc.delay(f"GBAAA99{number:05d}") for number in range(40)]
    until(lambda: _stale(fleet), 60.0)
    yield waiting
    waiting.clear()


def test_every_query_of_the_dashboard_has_an_answer(
    prometheus: Prometheus, trouble: list[AsyncResult[Any]]
) -> None:
    """A panel that shows nothing when all goes wrong would show nothing ever."""
    assert trouble
    left = dict(_queries())
    assert len(left) > 50

    def answered() -> bool:
        current_weather.delay(40.7, -74.0).get(timeout=30)  # whose answer is kept, and good
        for expression in [each for each in left if prometheus.query(_filled(each))]:
            del left[expression]
        return not left

    until(answered, 30.0, told=lambda: left)


def test_an_outage_pages_with_what_a_person_needs_and_its_end_is_told(
    clean: Ground, prometheus: Prometheus, pager: Pager, trouble: list[AsyncResult[Any]]
) -> None:
    """From a provider that really fails to the event at PagerDuty's address, and to its resolution."""
    key, event = until(
        lambda: _triggered(pager, "BreakerOpen", "nyc_open_data"), 60.0, told=lambda: _told(pager, prometheus)
    )

    assert key == pager.key
    assert event["summary"] == "The breaker of nyc_open_data is not closed"
    assert (event["severity"], event["class"], event["component"]) == (
        *("warning", "BreakerOpen"),
        "nyc_open_data",
    )
    assert event["custom_details"]["runbook"] == "docs/operations.md#breakeropen"
    refused = until(
        lambda: _triggered(pager, "CredentialsRefused", "wild"), told=lambda: _told(pager, prometheus)
    )
    assert refused[1]["severity"] == "critical"

    clean.sandbox.control.clear()
    fetched = trouble[: len(LOTS)]
    until(lambda: all(call.ready() for call in fetched), 60.0, told=lambda: [call.state for call in fetched])
    until(
        lambda: _resolved(pager, "BreakerOpen", "nyc_open_data"), 60.0, told=lambda: _told(pager, prometheus)
    )
    assert prometheus.query('ALERTS{alertname="BreakerOpen", alertstate="firing"}') == []


def test_every_rule_could_be_worked_out(prometheus: Prometheus, trouble: list[AsyncResult[Any]]) -> None:
    """None of them met series that it cannot put together."""
    assert trouble
    groups = prometheus.ask("/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]

    assert len(rules) == sum(
        len(group["rules"]) for group in read(CONFIG / "prometheus" / "rules.yml")["groups"]
    )
    assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []


def _workers_killed(clean: Ground, fleet: Fleet) -> None:
    """Both workers die with calls in their hands; those that come after them find the calls."""
    clean.sandbox.control.fault("steady", latency_ms=1500)
    calls = [echo.delay(number) for number in range(6)]
    until(lambda: clean.sandbox.control.counts("steady")["in_flight"] >= 4, 30.0)
    for number in range(2):
        fleet.kill(number)
    until(lambda: all(call.ready() for call in calls), 60.0, told=lambda: [call.state for call in calls])
    until(lambda: fleet.ready, 30.0)


def _stale(fleet: Fleet) -> bool:
    """Whether an old answer stood in; the building is asked for once more, and its provider is down."""
    fetch_permits.delay(LOT).get(timeout=30)
    return sum(fleet.metrics("cache_hits_total", tier="stale")) > 0


def _triggered(pager: Pager, alert: str, provider: str) -> tuple[str, dict[str, Any]] | None:
    """Key and payload of the event that says so."""
    for event in list(pager.events):
        if event["event_action"] == "trigger" and _about(event) == (alert, provider):
            return event["routing_key"], event["payload"]
    return None


def _resolved(pager: Pager, alert: str, provider: str) -> bool:
    """Whether an event says that it is over."""
    begun = {event["dedup_key"] for event in list(pager.events) if _about(event) == (alert, provider)}
    return any(
        event["dedup_key"] in begun for event in list(pager.events) if event["event_action"] == "resolve"
    )


def _told(pager: Pager, prometheus: Prometheus) -> str:
    """What came, and how the breakers are."""
    events = [(event["event_action"], *_about(event)) for event in list(pager.events)]
    states = {
        each["metric"]["provider"]: each["value"][1] for each in prometheus.query("circuit_breaker_state")
    }
    return f"{events} {states}"


def _about(event: dict[str, Any]) -> tuple[str, str]:
    """Which alert it tells of, and of which provider; a resolution may name neither."""
    told = event.get("payload") or {}
    return told.get("class", ""), told.get("component", "")


def _queries() -> Iterator[tuple[str, str]]:
    """Each expression of the dashboard, and its panel's title."""
    dashboard = json.loads((CONFIG / "grafana" / "dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"], panel["title"]


def _filled(expression: str) -> str:
    """What Grafana makes of it when all providers are chosen."""
    for name, value in SUBSTITUTES.items():
        expression = expression.replace(name, value)
    assert not re.search(r"\$\w", expression), expression
    return expression


def _place(url: str) -> str:
    """Its host and port."""
    return url.removeprefix("http://")
