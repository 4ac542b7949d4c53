"""What is seen of all submissions: gauges, status, concerns, the doctor; and what other services hear."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from celery import states
from celery.result import AsyncResult
from prometheus_client import CollectorRegistry, generate_latest

from config.settings import ProviderSettings, settings
from tests.fleet import until
from tests.integration.conftest import HeldClock
from tests.integration.deployment import CHECKOUT, NAME
from tests.integration.quay import CANARY, QUAY, Quay, declared
from worker.cli.notes import notes_on
from worker.concerns import concerns
from worker.doctor.checks import Finding
from worker.doctor.examination import examine
from worker.engine import engine
from worker.keys import keys
from worker.metrics.fleet import FleetGauges
from worker.record import Records
from worker.snapshot import look, provider_states, standings
from worker.stack.embedded import EmbeddedValkey
from worker.submissions.submitted import Submitted
from worker.survey import Surveyor

MINUTE, HOUR = 60_000, 3_600_000


@pytest.fixture(scope="module", autouse=True)
def quay() -> Iterator[None]:
    """The provider, known to this module only."""
    with declared():
        yield


@pytest.fixture
def here(redis_url: str, clock: HeldClock) -> Quay:
    """An empty deployment whose submissions are made by a clock that stands at now."""
    return Quay(url=redis_url, now=clock)


def submitted(here: Quay) -> Submitted:
    """How they stand."""
    found = standings(here.engine, [QUAY.name])[0].submitted
    assert found is not None
    return found


def shown(here: Quay) -> dict[str, float]:
    """The gauges of this provider, by their names and the state."""
    registry = CollectorRegistry()
    registry.register(FleetGauges(Surveyor(here.engine, here.app).survey))
    lines = generate_latest(registry).decode().splitlines()
    of_it = [line.partition(" ") for line in lines if f'provider="{QUAY.name}"' in line]
    return {name.replace(f'provider="{QUAY.name}"', ""): float(value) for name, _, value in of_it}


def worries(here: Quay) -> dict[str, float]:
    """What a person should look at, of this provider."""
    (standing,) = standings(here.engine, [QUAY.name])
    return {each.kind: each.amount for each in concerns(standing) if each.kind != "dead_letters"}


# --- how they stand -------------------------------------------------------------------------------


def test_every_state_has_a_gauge_from_the_first_scrape_on(here: Quay) -> None:
    """Nothing was ever submitted: that is known, so it is zero."""
    gauges = shown(here)

    states = ("accepted", "in_doubt", "queued", "rejected", "sending")
    assert {f'submissions{{,state="{state}"}}': 0.0 for state in states}.items() <= gauges.items()
    assert (gauges["poller_lag_seconds{}"], gauges["oldest_in_doubt_seconds{}"]) == (0.0, 0.0)


def test_a_provider_that_takes_no_submissions_has_no_such_gauge(here: Quay) -> None:
    """Zero would be a statement."""
    (state,) = (each for each in provider_states(look(here.engine)) if each.provider == NAME)

    assert (state.submissions, state.in_doubt, state.poller_lag) == ({}, None, None)


def test_submissions_are_counted_by_state(here: Quay, clock: HeldClock) -> None:
    """An open one is accepted, and counted once."""
    clock.ms -= 90 * MINUTE
    here.doubted("d1")
    clock.ms += 30 * MINUTE
    here.waiting("d2")
    here.accepted("a1", "ext-1")
    here.accepted("a2", "ext-2", settled=True)
    here.queued("q1")

    gauges = shown(here)

    counts = {name: count for name, count in gauges.items() if name.startswith("submissions")}
    assert sum(counts.values()) == 5
    assert counts['submissions{,state="in_doubt"}'] == counts['submissions{,state="accepted"}'] == 2
    assert 5400 <= gauges["oldest_in_doubt_seconds{}"] < 5460
    assert 3600 <= gauges["poller_lag_seconds{}"] < 3660


def test_the_lag_is_that_of_the_one_that_was_asked_about_longest_ago(here: Quay, clock: HeldClock) -> None:
    """One that nobody asked about yet counts from when it was accepted, and a settled one not at all."""
    clock.ms -= 10 * HOUR
    here.accepted("settled", "ext-0", settled=True)
    here.accepted("first", "ext-1")
    clock.ms += 5 * HOUR
    here.ledger.observed("first", "open")
    five = submitted(here).lag
    clock.ms -= HOUR
    here.accepted("second", "ext-2")
    six = submitted(here).lag
    clock.ms += 5 * HOUR
    here.ledger.observed("second", "open")
    here.ledger.observed("first", "closed", closed=True)
    one = submitted(here).lag
    here.ledger.observed("second", "closed", closed=True)

    hours = [round(lag / 3600, 1) for lag in (five, six, one)]
    assert hours == [5.0, 6.0, 1.0]
    assert submitted(here).lag == 0.0


def test_the_ledger_says_the_same_of_the_oldest(here: Quay, clock: HeldClock) -> None:
    """Open ones by the last question, the others by when they came to be what they are."""
    clock.ms -= HOUR
    here.accepted("open", "ext-1")
    here.doubted("doubted")

    assert here.ledger.oldest("open") == here.ledger.oldest("in_doubt") == clock.ms / 1000
    assert here.ledger.oldest("queued") is None


# --- status, and what a person is called for ------------------------------------------------------


def test_status_tells_of_submissions(here: Quay, capsys: pytest.CaptureFixture[str]) -> None:
    """In fields for programs, in a line for people, where there is something to tell."""
    here.doubted("d1")
    here.accepted("a1", "ext-1")
    here.narrows("status")
    line = capsys.readouterr().out
    here.narrows("status", "--json")
    providers = {each["provider"]: each for each in json.loads(capsys.readouterr().out)["providers"]}

    assert "quay: submissions: 1 in doubt, 1 open, the first in doubt for " in line
    assert providers[QUAY.name]["submissions"]["in_doubt"] == 1
    assert providers[QUAY.name]["submissions"]["open"] == 1
    assert providers[NAME]["submissions"] is None


def test_what_is_settled_is_no_news(here: Quay) -> None:
    """Thousands that were accepted need no line of their own."""
    here.accepted("a1", "ext-1", settled=True)

    assert list(notes_on(standings(here.engine, [QUAY.name])[0])) == []


def test_a_doubt_concerns_a_person_after_an_hour(here: Quay, clock: HeldClock) -> None:
    """A provider that can be asked has said long before; the number of all is told."""
    clock.ms -= 59 * MINUTE
    here.waiting("d1")
    before = worries(here)
    clock.ms -= 2 * MINUTE
    here.waiting("d2")

    assert (before, worries(here)) == ({}, {"in_doubt": 2})


def test_a_poller_that_does_not_come_concerns_a_person_after_three_hours(
    here: Quay, clock: HeldClock
) -> None:
    """Two rounds may fall out."""
    clock.ms -= 3 * HOUR - MINUTE
    here.accepted("a1", "ext-1")
    before = worries(here)
    clock.ms -= 2 * MINUTE
    here.accepted("a2", "ext-2")

    assert (before, list(worries(here))) == ({}, ["poller_late"])


def test_concerns_name_the_command_that_shows_more(here: Quay, clock: HeldClock) -> None:
    """As all others do."""
    clock.ms -= 4 * HOUR
    here.doubted("d1")
    here.accepted("a1", "ext-1")

    said = [str(each) for each in concerns(standings(here.engine, [QUAY.name])[0])]

    assert any("narrows submission list quay;" in f"{each};" for each in said)
    assert any("narrows submission list quay --state open" in each for each in said)


# --- the doctor -----------------------------------------------------------------------------------


def fsync(here: Quay) -> Finding:
    """What the doctor says of how soon the state is on disk; asked again where the machine is slow."""
    name = "state redis: fsync"
    found: Finding = until(
        lambda: next((each for each in examine(here.engine, here.app) if each.name == name), None),
        within=60.0,
    )
    return found


def test_the_doctor_warns_where_a_crash_could_send_twice() -> None:
    """A machine that forgets its last second has forgotten what it sent: no failure, and a word."""
    with EmbeddedValkey(appendfsync="everysec") as server:
        found = fsync(Quay(url=server.url))

    assert (found.ok, found.detail) == (True, "everysec")
    assert "send a submission twice to quay" in found.advice
    assert "nyc311" not in found.advice, "which has no key here, and so is not served"


def test_the_doctor_has_no_word_where_each_write_is_on_disk() -> None:
    """As with the file that we ship."""
    with EmbeddedValkey(appendfsync="always") as server:
        found = fsync(Quay(url=server.url))

    assert (found.ok, found.detail, found.advice) == (True, "always", "")


def test_the_doctor_says_when_it_may_not_ask() -> None:
    """Hosted servers refuse CONFIG."""
    with EmbeddedValkey(appendfsync="always") as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "guest", "on", ">secret", "~*", "&*", "+@all", "-config")
        found = fsync(Quay(url=f"redis://guest:secret@127.0.0.1:{server.port}/0"))

    assert (found.ok, found.detail, bool(found.advice)) == (True, "not told", True)


@pytest.mark.parametrize(("own", "ok"), [({}, True), ({"nyc311": ProviderSettings(rate=5.0)}, False)])
def test_a_key_is_missed_where_something_else_of_its_provider_is_set(
    redis_url: str,
    own: dict[str, ProviderSettings],
    ok: bool,  # noqa: FBT001
) -> None:
    """Who has set nothing of it may have no use for it: that is a word, and no failure."""
    here = Quay(url=redis_url, changed={"providers": own})

    found = {finding.name: finding for finding in examine(here.engine, here.app)}["provider nyc311"]

    assert (found.ok, "NARROWS_PROVIDERS__NYC311__API_KEY" in found.advice) == (ok, True)


# --- other services -------------------------------------------------------------------------------

ASKS = """
import json, sys
from worker import find_submission
told = find_submission(*json.loads(sys.argv[1]))
heavy = {"tasks", "requests", "prometheus_client", "fsspec", "typer"} & set(sys.modules)
print(json.dumps({"told": told, "heavy": sorted(heavy)}))
"""


def asked(url: str, *args: str) -> dict[str, Any]:
    """What another service hears of a submission, and what that made it load."""
    roles = ("BROKER", "STATE", "CACHE", "RESULT")
    heard = subprocess.run(
        [sys.executable, "-c", ASKS, json.dumps(args)],
        cwd=CHECKOUT,
        env={f"NARROWS_{role}_URL": url for role in roles},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert not heard.returncode, heard.stderr
    found: dict[str, Any] = json.loads(heard.stdout)
    return found


def test_another_service_asks_for_a_submission_by_its_id(here: Quay) -> None:
    """With the provider's name it loads no task; what it hears is what the task will return."""
    here.queued("q1")
    here.accepted("a1", "ext-1")

    waiting, accepted = (asked(here.url, name, QUAY.name) for name in ("q1", "a1"))

    told = {"submission_id": "q1", "external_id": None, "external_status": None, "agency": "DOT"}
    assert waiting == {"told": {**told, "state": "pending_external"}, "heavy": []}
    assert accepted["told"]["state"] == "accepted"
    assert CANARY not in str(accepted)


@pytest.fixture
def ours(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process's own engine has the deployment in its environment, too."""
    monkeypatch.setenv("NARROWS_STATE_URL", redis_url)
    settings.cache_clear()
    engine.cache_clear()
    yield
    settings.cache_clear()
    engine.cache_clear()


@pytest.mark.usefixtures("ours")
def test_a_submission_that_waits_tells_its_callers_that_it_is_pending(here: Quay) -> None:
    """In its result's ``info``, and beside it; once it is in doubt, that."""
    here.queued("q1")
    report, claim = here.begin("q1")[1:]
    here.quay.finish(
        report, claim, "retry", wait=60.0, attempt=1, reason="upstream_error", submission="queued"
    )
    here.waiting("d1")

    pending, doubted = (AsyncResult(name, app=here.app) for name in ("q1", "d1"))

    told = {"submission_id": "q1", "external_id": None, "external_status": None, "agency": "DOT"}
    assert pending.state == states.RETRY
    assert pending.info.submission == {**told, "state": "pending_external"}
    assert pending.backend.get_task_meta("q1")["waiting"]["submission"] == pending.info.submission
    assert doubted.info.submission["state"] == "in_doubt"
    assert CANARY not in f"{pending.info!r} {pending.backend.get_task_meta('q1')}"


def test_another_service_need_not_know_the_provider(here: Quay) -> None:
    """All that our tasks know are asked."""
    known = {
        "operation": "submit_service_request",
        "resend": "never",
        "print": "",
        "digest": "",
        "details": "{}",
    }
    records = Records(here.engine.state, here.engine.line, "nyc311")
    records.write("s1", "[]", noted=json.dumps(known), behind=False)

    assert here.engine.state.exists(keys("nyc311").call("s1"))
    assert asked(here.url, "s1")["told"]["state"] == "pending_external"
    assert asked(here.url, "nobody")["told"] is None


def test_a_redis_that_is_gone_is_one_error_for_who_asks() -> None:
    """The same as everywhere; no address in it."""
    heard = subprocess.run(
        [sys.executable, "-c", ASKS, json.dumps(["s1", QUAY.name])],
        cwd=CHECKOUT,
        env={"NARROWS_STATE_URL": "redis://:canary-password@127.0.0.1:1/0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert heard.stderr.strip().splitlines()[-1].startswith("worker.errors.StateUnavailable")
    assert "canary-password" not in heard.stderr
