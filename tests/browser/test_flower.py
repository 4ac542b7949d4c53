"""Flower as a person on call sees it: who waits and why, who failed, and of nobody whose call it was."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, HttpCredentials, Page, Response, expect
from playwright.sync_api import Error as PlaywrightError

import tasks
from tests.acceptance.city_hall import report
from tests.acceptance.every_provider import PACE
from tests.acceptance.onlookers import page as fetched
from tests.fleet import Fleet, Ground, until
from tests.sandbox import LOTS
from worker.errors import NarrowsError

PHONE, TEXT = "+12125550164", "canary-text-64aa"
STREET, BOROUGH = "280 Riverside Drive", "Manhattan"
CALLER = "canary-caller-64aa"
PRIVATE = (PHONE, PHONE[1:], TEXT, STREET, CALLER, "Centre Street")
PATHS = ("/", "/tasks", "/tasks/datatable", "/broker", "/api/tasks", "/api/workers", "/metrics", "/workers")
PATIENCE = 20_000.0
"""Milliseconds."""

Keep = Callable[[Page, str], None]


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    """Servers of its own, and the sandbox."""
    with Ground() as ground:
        yield ground


@pytest.fixture(scope="module")
def fleet(ground: Ground) -> Iterator[Fleet]:
    """A worker, and Flower as ``narrows up`` starts it."""
    with Fleet(ground, workers=1, flower=True, env=PACE, include="tasks") as fleet:
        until(lambda: fetched(fleet, "/api/workers") != "{}", 20.0)
        yield fleet


@pytest.fixture(scope="module")
def calls(ground: Ground, fleet: Fleet) -> dict[str, Any]:
    """One call for each way to end, or not to, as Flower has heard of it."""
    control = ground.sandbox.control
    control.fault("twilio", status=400)
    control.fault("spotify", status=429, only="/v1/", headers={"Retry-After": "600"})
    made = {
        "answered": tasks.fetch_permits.delay(LOTS[0].bbl),
        "private": tasks.geocode.delay(f"{STREET}, {BOROUGH}"),
        "submitted": tasks.submit_service_request.delay(report("hole", contact={"name": CALLER})),
        "refused": tasks.send_sms.delay(PHONE, TEXT),
        "parked": tasks.search_track.delay("Hells Bells", "AC/DC"),
    }
    states = {"refused": "FAILURE", "parked": "RETRY"}
    wanted = {call.id: states.get(name, "SUCCESS") for name, call in made.items()}
    until(lambda: states_of(fleet, wanted) == wanted, 30.0, told=lambda: states_of(fleet, wanted))
    return made


@pytest.fixture
def page(browser: Browser, fleet: Fleet) -> Iterator[Page]:
    """A tab of somebody who has the account; it asks nobody but Flower."""
    user, _, password = fleet.programs.flower_auth.partition(":")
    asked: list[str] = []
    context = browser.new_context(
        base_url=fleet.stack.addresses["flower"],
        http_credentials={"username": user, "password": password},
        viewport={"width": 1280, "height": 800},
    )
    context.set_default_timeout(PATIENCE)
    context.on("request", lambda request: asked.append(request.url))
    yield context.new_page()
    context.close()
    assert {urlsplit(url).hostname for url in asked} == {"127.0.0.1"}


def states_of(fleet: Fleet, ids: Iterable[str]) -> dict[str, str]:
    """What Flower takes the tasks' states for; "" when it has not heard of one."""
    known = json.loads(fetched(fleet, "/api/tasks"))
    return {each: str(known.get(each, {}).get("state", "")) for each in ids}


def row_of(page: Page, call: Any) -> Any:
    """The task's line in the table."""
    return page.locator("#tasks-table tbody tr", has_text=call.id)


def field(page: Page, name: str) -> Any:
    """A field of a task's page."""
    return (
        page.locator(".detail-row")
        .filter(has=page.locator("dt", has_text=re.compile(f"^{name}$")))
        .locator("dd")
    )


def hidden(page: Page) -> bool:
    """Whether nothing private stands anywhere in the page, its scripts and attributes included."""
    content = page.content()
    return not any(each in content for each in PRIVATE)


@pytest.mark.parametrize("password", [None, "wrong"])
def test_who_has_no_account_is_refused(
    browser: Browser, fleet: Fleet, password: str | None, picture: Keep
) -> None:
    """By the pages, the API and the metrics; also with the right name and a wrong password."""
    known: HttpCredentials | None = {"username": "narrows", "password": password} if password else None
    context = browser.new_context(base_url=fleet.stack.addresses["flower"], http_credentials=known)
    answers: dict[str, Response] = {}
    context.on("response", lambda answer: answers.update({urlsplit(answer.url).path: answer}))
    try:
        for path in PATHS:
            page = context.new_page()
            with suppress(PlaywrightError):  # so Chromium calls an answer without a body
                page.goto(path)
            assert answers[path].status == 401
            assert int(answers[path].headers["content-length"]) <= len("Access denied")
        picture(page, "refused")
    finally:
        context.close()


def test_the_tasks_are_listed_with_their_states(page: Page, calls: dict[str, Any], picture: Keep) -> None:
    """And found by what may be shown of them, not by what may not."""
    page.goto("/tasks")

    for name, state in {"answered": "SUCCESS", "refused": "FAILURE", "parked": "RETRY"}.items():
        expect(row_of(page, calls[name])).to_contain_text(state)
    picture(page, "tasks")
    search = page.get_by_role("searchbox")
    search.fill(LOTS[0].bbl)
    expect(page.locator("#tasks-table tbody tr")).to_have_count(1)
    expect(row_of(page, calls["answered"])).to_be_visible()
    search.fill(PHONE)
    expect(page.locator("#tasks-table tbody")).to_contain_text("No tasks match")
    search.fill("")
    assert hidden(page)


def test_a_parked_call_is_retry_with_the_reason_and_the_time(
    page: Page, calls: dict[str, Any], picture: Keep
) -> None:
    """As its caller's result says it too."""
    page.goto(f"/task/{calls['parked'].id}")

    expect(field(page, "Status")).to_have_text("RETRY")
    expect(field(page, "Exception")).to_have_text(
        re.compile(r"spotify answered 429, again in 600(\.0)? s · about (\d{4}-\d\d-\d\d )?\d\d:\d\d UTC")
    )
    expect(field(page, "Arguments")).to_have_text("('Hells Bells', 'AC/DC')")
    picture(page, "retry")


def test_a_task_shows_stars_for_what_is_private(page: Page, calls: dict[str, Any], picture: Keep) -> None:
    """Arguments of an answered call, and of a submission; of results only what kind of thing they are."""
    for name, given, got in (("private", "(***,)", "{, ...}"), ("submitted", "(***,)", "{, ...}")):
        page.goto(f"/task/{calls[name].id}")

        expect(field(page, "Status")).to_have_text("SUCCESS")
        expect(field(page, "Arguments")).to_have_text(given)
        expect(field(page, "Result")).to_have_text(got)
        assert hidden(page)
        picture(page, name)


def test_a_failed_call_shows_what_it_failed_of(page: Page, calls: dict[str, Any], picture: Keep) -> None:
    """The provider, the status and its own code; neither the number nor the text."""
    with pytest.raises(NarrowsError):
        calls["refused"].get(timeout=10)

    page.goto(f"/task/{calls['refused'].id}")

    expect(field(page, "Status")).to_have_text("FAILURE")
    expect(field(page, "Exception")).to_have_text("RequestInvalid('twilio answered 400 (20400)')")
    expect(field(page, "Arguments")).to_have_text("(***, ***)")
    assert hidden(page)
    picture(page, "failure")


def test_the_workers_page_leads_to_a_worker_that_cannot_be_touched(
    page: Page, ground: Ground, picture: Keep
) -> None:
    """Its queues and its settings are there, no button that would stop it, and no password."""
    page.goto("/workers")
    expect(page.locator("#workers-table")).to_contain_text("worker-1@")
    picture(page, "workers")
    page.get_by_role("link", name=re.compile("worker-1@")).first.click()

    expect(page.locator("#workername")).to_contain_text("worker-1@")
    expect(page.get_by_role("button", name=re.compile("Shut Down|Actions|Grow|Revoke"))).to_have_count(0)
    picture(page, "worker")
    page.locator("#worker-tab-queues").click()
    expect(page.locator("#worker-queues")).to_contain_text("nyc_open_data")
    page.locator("#worker-tab-config").click()
    expect(page.locator("#tab-config")).to_contain_text("broker_url")
    picture(page, "settings")
    assert ground.valkey.url.split(":")[2].partition("@")[0] not in page.content()
    assert hidden(page)


def test_a_page_of_somebody_else_can_have_nothing_done(page: Page, calls: dict[str, Any]) -> None:
    """A form on another site, sent by a browser that knows the password; nor can the reader himself."""
    page.goto("/tasks")
    task_id = calls["parked"].id
    own = page.evaluate(
        f"fetch('/api/task/revoke/{task_id}', {{method: 'POST'}}).then(answer => answer.status)"
    )
    elsewhere = {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    foreign = page.request.post(f"/api/task/revoke/{task_id}", headers=elsewhere)
    results = page.goto(f"/api/task/result/{calls['private'].id}")

    assert results is not None
    assert (own, foreign.status, results.status) == (403, 403, 403)
    assert calls["parked"].state == "RETRY"
    assert STREET.upper() not in results.text().upper()


def test_after_flower_or_the_broker_was_away_new_tasks_are_seen(
    page: Page, fleet: Fleet, ground: Ground, calls: dict[str, Any], picture: Keep
) -> None:
    """Flower has forgotten the old ones: it is a window, not the record."""
    flower = next(child for child in fleet.stack._children if child.program.name == "flower")
    pid = flower.pid
    os.kill(pid, signal.SIGKILL)
    until(lambda: flower.pid not in {0, pid} and flower.is_ready, 30.0)
    ground.valkey.kill()
    ground.valkey.start()
    until(lambda: fleet.ready, 60.0)

    def seen() -> bool:
        """Whether a call that is made now comes to be known."""
        call = tasks.fetch_hpd_violations.delay(LOTS[0].bbl)
        call.get(timeout=30)
        page.goto("/tasks")
        page.wait_for_selector("#tasks-table tbody tr")
        return bool(row_of(page, call).filter(has_text="SUCCESS").count())

    until(seen, 60.0)
    expect(row_of(page, calls["answered"])).to_have_count(0)
    picture(page, "after")
