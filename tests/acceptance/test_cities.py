"""Another city in a file: workers that are started as ``narrows up`` starts them serve it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery.result import AsyncResult

from tasks.cities import load_cities
from tests.acceptance.city_hall import report
from tests.fleet import Ground, until
from tests.sandbox import CityPlayer
from tests.sandbox.faults import Fault
from worker import find_submission, registry
from worker.application import app
from worker.cli.root import run
from worker.engine import engine
from worker.errors import ArgumentsInvalid
from worker.keys import keys
from worker.stack.programs import CeleryPrograms
from worker.stack.stack import Stack

BOSTON, KEY = "bos311", "boston-key"
FILLED_IN = {
    r"^base_url = .*$": 'base_url = "{base_url}"',
    r"^agencies = .*$": 'agencies = ["BTD", "PWD"]',
    r"^zips = .*$": 'zips = ["02108-02137", "02163"]',
    r"^resend = .*$": 'resend = "verify"\nverify_after = 1.0',
    r"^# correlation = ": "correlation = ",
    r"^# \[find\].*$": '[find]\nwithin = "requests"',
    r'^# path = "/service-requests"$': 'path = "/service-requests"',
    r"^# params = \{ correlationId": "params = { correlationId",
}
"""What a person changes in the file that ``narrows city add`` has written."""


@pytest.fixture(scope="module")
def boston() -> CityPlayer:
    """The city: the handbook's interface, which gives our own id back."""
    return CityPlayer(BOSTON, keys=[KEY])


@pytest.fixture(scope="module")
def here(boston: CityPlayer) -> Iterator[Ground]:
    """Servers of its own."""
    with Ground(players=[boston]) as ground:
        yield ground


@pytest.fixture(scope="module")
def folder(here: Ground, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where Boston's file lies, written by the command and filled in."""
    folder = tmp_path_factory.mktemp("cities")
    assert run(["city", "add", "--slug", "bos", "--name", "Boston", "--folder", str(folder)]) == 0
    file = folder / "bos.toml"
    text = file.read_text(encoding="utf-8")
    for line, filled in FILLED_IN.items():
        filled_in = filled.replace("{base_url}", here.sandbox.base_url(BOSTON))
        text, count = re.subn(line, filled_in, text, flags=re.MULTILINE)
        assert count == 1, line
    file.write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def _served(here: Ground, folder: Path) -> Iterator[None]:
    """A worker that is told of the folder and of nothing else, and this process, which knows the city too."""
    env = {
        **here.env,
        "NARROWS_CITIES": str(folder),
        "NARROWS_PROVIDERS__BOS311__API_KEY": KEY,
        "NARROWS_PROVIDERS__BOS311__TOTAL_TIMEOUT": "1.5",
    }
    assert load_cities(folder) == (BOSTON,)
    with Stack(workers=1, beat=False, env=env, programs=CeleryPrograms(concurrency=8)) as stack:
        yield
        log = stack.workers[0].log.read_text(errors="replace")
    assert KEY not in log
    del registry._providers[BOSTON]  # tests elsewhere know the real ones only
    for name in [name for name in app.tasks if name.startswith(BOSTON)]:
        del app.tasks[name]


@pytest.fixture(autouse=True)
def _behaved(_served: None, here: Ground) -> Iterator[None]:
    """All is well before each test."""
    here.sandbox.control.reset()
    yield
    here.sandbox.control.reset()


def submit(about: str) -> AsyncResult[Any]:
    """A request to Boston, made as a service does that has the folder too."""
    where = {"address": "1 City Hall Square", "zip": "02108"}
    result: AsyncResult[Any] = app.tasks[f"{BOSTON}.submit_service_request"].delay(
        report(about, agency="pwd", location=where)
    )
    return result


def heard(here: Ground) -> list[str]:
    """The methods by which Boston was asked."""
    return [entry["method"] for entry in here.sandbox.control.journal(BOSTON)]


def test_a_city_in_a_file_takes_service_requests(boston: CityPlayer, here: Ground) -> None:
    """By workers that know nothing of it but the folder; its number is looked at, and it is asked about."""
    told = submit("a hole").get(timeout=15)

    number = told["external_id"]
    looked = app.send_task(f"{BOSTON}.check_service_request", (number,), queue=BOSTON).get(timeout=15)
    rounds = app.send_task("nyc311.poll_service_requests").get(timeout=15)
    until(lambda: heard(here) == ["POST", "GET", "GET"])
    until(lambda: not engine().state.exists(keys(BOSTON).round))
    assert boston.files.filed[number].agency == "PWD"
    assert told == find_submission(told["submission_id"], BOSTON)
    assert (told["external_status"], told["agency"], told["state"]) == ("open", "PWD", "accepted")
    assert (looked["external_id"], looked["external_status"]) == (number, "open")
    assert rounds == {"started": [BOSTON, "nyc311"]}
    assert [one.external_id for one in engine().ledger(BOSTON).open()] == [number]


def test_a_request_is_checked_by_what_the_file_says() -> None:
    """Boston has agencies and zips of its own."""
    wrong = report("a hole", agency="DOT", location={"address": "1 Centre Street", "zip": "10007"})

    with pytest.raises(ArgumentsInvalid) as refused:
        app.tasks[f"{BOSTON}.submit_service_request"].delay(wrong)

    assert "payload.agency: takes an agency of the city: BTD, PWD" in str(refused.value)
    assert "payload.location.zip: takes a zip of Boston" in str(refused.value)


@pytest.mark.parametrize(
    "mode", ["acted_hang_up", "acted_error", "acted_silent", "truncate", "reset", "hang"]
)
def test_a_doubt_is_resolved_by_asking_the_city(boston: CityPlayer, here: Ground, mode: str) -> None:
    """Whether it had taken the request or not: it has it once in the end, and no person was needed."""
    here.sandbox.control.fault(BOSTON, mode=mode, method="POST", times=1)
    acted = mode.startswith("acted") or mode == "truncate"

    call = submit(mode)
    until(lambda: (find_submission(call.id, BOSTON) or {})["state"] == "in_doubt")
    told = call.get(timeout=20)

    assert told["state"] == "accepted"
    assert boston.arrivals[call.id] == 1
    assert boston.files.filed[told["external_id"]].correlation == call.id
    assert heard(here) == (["POST", "GET"] if acted else ["POST", "GET", "POST"])
    assert not engine().dead_letters(BOSTON).find(call.id)


def test_a_city_that_cannot_be_asked_is_asked_again(boston: CityPlayer, here: Ground) -> None:
    """The doubt lasts as long as nobody answers, and nothing is sent meanwhile."""
    here.sandbox.control.faults[BOSTON].set(
        [
            Fault(mode="acted_hang_up", method="POST", times=1),
            Fault(status=500, method="GET", times=2),
        ]
    )

    call = submit("a long doubt")
    told = call.get(timeout=30)

    asked = [(each["method"], each["status"]) for each in here.sandbox.control.journal(BOSTON)]
    assert told["state"] == "accepted"
    assert asked == [("POST", None), ("GET", 500), ("GET", 500), ("GET", 200)]
    assert boston.arrivals[call.id] == 1
