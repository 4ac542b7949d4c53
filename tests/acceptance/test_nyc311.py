"""NYC 311 by real workers, in both of its interfaces: what the City does, and what becomes of a request."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from celery import Celery
from celery.result import AsyncResult
from redis import Redis

from tasks import check_service_request, submit_service_request
from tests.acceptance.city_hall import CITY, PACE, CityHall, report
from tests.fleet import Fleet, Ground, until
from worker import find_submission
from worker.cli.root import run
from worker.engine import engine
from worker.errors import ArgumentsInvalid, CallInDoubt, CredentialsRefused
from worker.keys import keys

CANARY = "canary311"


@pytest.fixture(scope="module", params=["handbook", "apim"])
def contract(request: pytest.FixtureRequest) -> str:
    """One of the City's interfaces."""
    return str(request.param)


@pytest.fixture(scope="module")
def fleet(clean: Ground, contract: str) -> Iterator[Fleet]:
    """Two workers that speak it, and give a lost call up after 2 s."""
    env = {**PACE, "NARROWS_PROVIDERS__NYC311__CONTRACT": contract, "NARROWS_CLAIM_LEASE": "2"}
    with Fleet(clean, workers=2, env=env) as fleet:
        yield fleet


@pytest.fixture
def hall(state: Redis, clean: Ground) -> Iterator[CityHall]:
    """A city that has taken nothing yet."""
    hall = CityHall(state=state, ground=clean)
    hall.clear()
    yield hall
    hall.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What the City does, and what is known of the request in the end.

    Attributes:
        fault: How the sandbox misbehaves, or how its player does (*player*).
        arrived: How often the City has it; it is asked once, whatever it says.
    """

    state: str
    code: str | None
    arrived: int
    fault: Mapping[str, Any] = field(default_factory=dict)
    player: Mapping[str, Any] = field(default_factory=dict)


ROWS = {
    "takes it": Row(state="accepted", code=None, arrived=1),
    "refuses it, 400": Row(fault={"status": 400}, state="rejected", code="upstream_rejected", arrived=0),
    "refuses it, inside a 200": Row(
        player={"envelope_in_200": True}, state="rejected", code="upstream_rejected", arrived=0
    ),
    "does not know our key, 401": Row(
        player={"keys": set()}, state="pending_external", code="upstream_rejected", arrived=0
    ),
    "forbids it, 403": Row(
        fault={"status": 403}, state="pending_external", code="upstream_rejected", arrived=0
    ),
    "fails, 500": Row(fault={"status": 500}, state="in_doubt", code="in_doubt", arrived=0),
    "takes it and fails, 500": Row(
        fault={"mode": "acted_error"}, state="in_doubt", code="in_doubt", arrived=1
    ),
    "takes it and hangs up": Row(
        fault={"mode": "acted_hang_up"}, state="in_doubt", code="in_doubt", arrived=1
    ),
    "takes it and is silent": Row(
        fault={"mode": "acted_silent"}, state="in_doubt", code="in_doubt", arrived=1
    ),
    "hangs up in its answer": Row(fault={"mode": "truncate"}, state="in_doubt", code="in_doubt", arrived=1),
    "resets the connection": Row(fault={"mode": "reset"}, state="in_doubt", code="in_doubt", arrived=0),
    "takes it and names no number": Row(
        player={"numberless": True}, state="in_doubt", code="in_doubt", arrived=1
    ),
    "answers drop by drop": Row(fault={"mode": "drip_body"}, state="in_doubt", code="in_doubt", arrived=1),
    "never ends its answer": Row(fault={"mode": "endless"}, state="in_doubt", code="in_doubt", arrived=0),
    "answers a page": Row(fault={"mode": "html"}, state="in_doubt", code="in_doubt", arrived=0),
    "answers 202": Row(fault={"mode": "accepted_202"}, state="in_doubt", code="in_doubt", arrived=0),
    "answers garbage": Row(fault={"mode": "garbage"}, state="in_doubt", code="in_doubt", arrived=0),
    "sends us elsewhere": Row(fault={"mode": "redirect"}, state="in_doubt", code="in_doubt", arrived=0),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_what_the_city_does_decides_what_becomes_of_a_request(
    hall: CityHall, contract: str, row: Row
) -> None:
    """It is sent once, its state and its dead letter say what is known, and nothing more is sent."""
    if row.fault:
        hall.misbehave(**row.fault)
    for name, value in row.player.items():
        setattr(hall.player, name, value)

    call = submit_service_request.delay(report("a hole"))
    until(lambda: call.ready() and hall.rests(call.id), told=lambda: call.state)

    accepted = row.state == "accepted"
    assert find_submission(call.id, CITY) == {
        "submission_id": call.id,
        "external_id": "311-10000000" if accepted else None,
        "external_status": "open" if accepted and contract == "handbook" else None,
        "agency": "DOT",
        "state": row.state,
    }
    assert call.successful() == accepted
    assert [letter["code"] for letter in hall.letters()] == ([row.code] if row.code else [])
    assert len(hall.heard("POST")) == 1
    assert hall.arrived["a hole"] == row.arrived
    assert not hall.ground.sandbox.control.journal("elsewhere")


SPOKEN = {
    "handbook": ("/service-requests", 201, "x-api-key", "complaintType"),
    "apim": ("/create-sr/api/CreateServiceRequest", 200, "ocp-apim-subscription-key", "problem"),
}


def test_each_interface_is_spoken_in_its_own_words(hall: CityHall, contract: str) -> None:
    """Its path, its status, the header of its key, and the names of its fields."""
    submit_service_request.delay(report("a step")).get(timeout=10)

    (sent,) = hall.heard("POST")
    path, status, header, field_name = SPOKEN[contract]
    keys_sent = {other for _, _, other, _ in SPOKEN.values()} & set(sent["headers"])
    assert (sent["path"], sent["status"], keys_sent) == (path, status, {header})
    assert json.loads(sent["body"])[field_name] == "Street Condition"


def test_what_was_accepted_is_the_tasks_result(hall: CityHall) -> None:
    """And what is known of it by its id."""
    call = submit_service_request.delay(report("a lamp"))

    told = call.get(timeout=10)

    assert told == find_submission(call.id)
    assert set(told) == {"submission_id", "external_id", "external_status", "agency", "state"}
    assert [one.id for one in hall.ledger.open()] == [call.id]


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_raises_an_alarm_and_loses_no_request(hall: CityHall, fleet: Fleet, status: int) -> None:
    """It is not tried again; once the key is right its letter is replayed, and it is the same submission."""
    alarms = sum(fleet.metrics("credentials_refused_total", provider=CITY))
    hall.misbehave(status=status)
    key = str(uuid4())
    call = submit_service_request.delay(report("a tree"), idempotency_key=key)
    with pytest.raises(CredentialsRefused):
        call.get(timeout=10)
    until(hall.letters)
    asked = len(hall.heard("POST"))
    hall.behave()

    code = run(["dlq", "replay", CITY, call.id, "--yes"])

    until(lambda: (find_submission(call.id, CITY) or {})["state"] == "accepted")
    assert (asked, code) == (1, 0)
    assert sum(fleet.metrics("credentials_refused_total", provider=CITY)) == alarms + 1
    assert hall.letters() == []
    assert hall.arrived == {"a tree": 1}
    again = submit_service_request.delay(report("a tree"), idempotency_key=key)
    assert again.id == call.id
    assert hall.arrived == {"a tree": 1}


def test_a_worker_that_dies_while_it_submits_leaves_a_doubt(hall: CityHall, fleet: Fleet) -> None:
    """The City has taken it, nobody has heard that: it is not sent again, and a person is shown it."""
    hall.misbehave(mode="acted_silent", times=1)
    call = submit_service_request.delay(report("a crater"))
    until(lambda: hall.heard("POST"))
    for index in range(2):
        fleet.kill(index)

    with pytest.raises(CallInDoubt):
        call.get(timeout=30)

    until(lambda: hall.rests(call.id) and fleet.ready, 30.0)
    assert [letter["code"] for letter in hall.letters()] == ["in_doubt"]
    assert len(hall.heard("POST")) == 1
    assert hall.arrived == {"a crater": 1}


def test_a_throttled_fleet_pauses_for_as_long_as_the_city_says(hall: CityHall) -> None:
    """The request that heard it, and others that were not made, are pending meanwhile; each arrives once."""
    hall.misbehave(mode="throttle", times=1, method="POST", retry_after="3")
    first = submit_service_request.delay(report("hole 0"))
    until(lambda: hall.state.zcard(keys(CITY).parked) == 1)
    others = [submit_service_request.delay(report(f"hole {number}")) for number in range(1, 4)]
    calls = [first, *others]
    until(lambda: hall.state.zcard(keys(CITY).parked) == 4)
    pending = [(find_submission(call.id, CITY) or {})["state"] for call in calls]

    told = [call.get(timeout=15)["state"] for call in calls]

    throttled, *after = [each["at"] for each in hall.heard("POST")]
    assert pending == ["pending_external"] * 4
    assert told == ["accepted"] * 4
    assert after[0] - throttled >= 2.9
    assert len(after) == 4
    assert hall.arrived == {f"hole {number}": 1 for number in range(4)}


def test_a_day_whose_calls_are_spent_is_waited_for(hall: CityHall) -> None:
    """The City says so with a 403, and until when: no key is wrong, nobody is alarmed, nothing is lost."""
    hall.player.spent, hall.player.replenished = True, "00:00:02"
    call = submit_service_request.delay(report("a bench"))
    until(lambda: hall.heard("POST") and hall.state.zcard(keys(CITY).parked))
    pending = find_submission(call.id, CITY) or {}
    hall.player.spent = False

    assert pending["state"] == "pending_external"
    assert call.get(timeout=15)["state"] == "accepted"
    assert hall.arrived == {"a bench": 1}
    assert hall.letters() == []


def test_nothing_is_sent_beyond_our_own_quota(hall: CityHall) -> None:
    """Until the City's next day."""
    moment: Any = hall.state.time()
    tomorrow = moment[0] * 1000 + moment[1] // 1000 + 1500
    hall.state.hset(keys(CITY).limits, mapping={"quota_used": 100_000, "quota_until": tomorrow})

    call = submit_service_request.delay(report("a sign"))
    until(lambda: "nyc311 quota" in str(call.info), told=lambda: call.info)
    pending = find_submission(call.id, CITY) or {}
    asked = hall.heard("POST")

    assert (pending["state"], asked) == ("pending_external", [])
    assert call.get(timeout=15)["state"] == "accepted"
    assert hall.arrived == {"a sign": 1}


def test_a_request_waits_while_the_breaker_is_open(hall: CityHall) -> None:
    """Half of the last twenty looks failed; what is submitted then leaves when the City is well again."""
    hall.misbehave(status=500)
    looks = [check_service_request.delay(f"311-{number}") for number in range(8)]
    until(lambda: engine().gateway(CITY).breaker.current_state == "open", 15.0)
    call = submit_service_request.delay(report("a pipe"))
    until(lambda: "nyc311 breaker" in str(call.info), told=lambda: call.info)
    pending = find_submission(call.id, CITY) or {}
    asked = hall.heard("POST")
    hall.behave()

    assert (pending["state"], asked) == ("pending_external", [])
    assert call.get(timeout=20)["state"] == "accepted"
    assert hall.arrived == {"a pipe": 1}
    until(lambda: all(look.ready() for look in looks), 20.0)
    assert [look.result for look in looks] == [None] * len(looks)


def test_a_request_that_found_nobody_there_is_sent_once_somebody_is(hall: CityHall) -> None:
    """A refused connection has carried nothing: it is tried again, and is in no doubt meanwhile."""
    hall.ground.sandbox.stop()
    try:
        call = submit_service_request.delay(report("a hydrant"))
        until(lambda: call.state == "RETRY" and "refused" in repr(call.info), told=lambda: call.info)
        pending = find_submission(call.id, CITY) or {}
    finally:
        hall.ground.sandbox.start()

    assert pending["state"] == "pending_external"
    assert call.get(timeout=15)["state"] == "accepted"
    assert hall.arrived == {"a hydrant": 1}


BAD: dict[str, Any] = {
    "agency": "DTO",
    "description": CANARY,
    "location": {"zip": CANARY, "latitude": 1.0, "longitude": 2.0},
    "contact": {"phone": CANARY, "email": CANARY},
    "observed_at": CANARY,
    f"{CANARY} 1": CANARY,
}
WRONG = (
    "agency", "complaint_type", "location.zip", "location.latitude", "location.longitude", "contact.phone",
    "contact.email", "observed_at", "…",
)  # fmt: skip


def test_a_bad_request_is_refused_in_the_caller_with_every_wrong_field(hall: CityHall) -> None:
    """Nothing is recorded, nothing is sent, and no value is repeated."""
    with pytest.raises(ArgumentsInvalid) as refused:
        submit_service_request.delay(BAD)

    assert [name for name in WRONG if f"payload.{name}: " not in str(refused.value)] == []
    assert CANARY not in repr(refused.value)
    assert hall.ledger.counts()["queued"] == 0
    assert hall.state.keys(f"{keys(CITY).call('*')}") == []


def by_name(hall: CityHall, payload: dict[str, Any], **named: str) -> AsyncResult[Any]:
    """The call of a service that has none of our code."""
    url = hall.ground.valkey.url
    with Celery("stranger", broker=url, backend=url, set_as_current=False) as stranger:
        sent = stranger.send_task(f"{CITY}.submit_service_request", (payload,), named, queue=CITY)
    return AsyncResult(sent.id)


def test_a_bad_request_by_bare_name_is_refused_by_the_worker(hall: CityHall) -> None:
    """Before anything is sent; the letter names the fields and none of their values."""
    bare, good = by_name(hall, BAD), by_name(hall, report("by name"))

    with pytest.raises(ArgumentsInvalid) as refused:
        bare.get(timeout=10)
    (letter,) = until(hall.letters)

    said = f"{refused.value!r} {letter['error']} {letter['payload_excerpt']}"
    assert letter["code"] == "validation_error"
    assert [name for name in WRONG if f"payload.{name}: " not in letter["error"]] == []
    assert CANARY not in said
    assert good.get(timeout=10)["state"] == "accepted"
    assert hall.arrived == {"by name": 1}


def test_the_same_key_again_is_the_first_request(hall: CityHall) -> None:
    """At once, later, and by bare name."""
    key = str(uuid4())
    calls = [submit_service_request.delay(report("a swing"), idempotency_key=key) for _ in range(3)]
    first = calls[0].get(timeout=10)
    later = submit_service_request.delay(report("a swing"), idempotency_key=key)
    bare = by_name(hall, report("a swing"), idempotency_key=key)

    assert {call.id for call in (*calls, later)} == {first["submission_id"]}
    assert later.get(timeout=10) == first
    assert bare.get(timeout=10) == first
    assert hall.arrived == {"a swing": 1}


def test_a_person_who_found_it_at_the_city_resolves_a_doubt(hall: CityHall) -> None:
    """The number is the result from then on, its status is asked about, and nothing is sent."""
    hall.misbehave(mode="acted_hang_up", method="POST", times=1)
    call = submit_service_request.delay(report("a swamp"))
    until(hall.letters)
    (number,) = hall.player.files.filed

    code = run(["submission", "resolve", call.id, "accepted", "--external-id", number, "--yes"])

    told = find_submission(call.id, CITY) or {}
    assert (code, told["state"], told["external_id"]) == (0, "accepted", number)
    assert [one.external_id for one in hall.ledger.open()] == [number]
    assert hall.letters() == []
    assert hall.arrived == {"a swamp": 1}


@pytest.mark.parametrize("status", ["open", "in_progress", "closed", "cancelled"])
def test_a_request_is_looked_at_by_its_number(hall: CityHall, status: str) -> None:
    """Its status comes in a word, however the City writes it."""
    number = hall.player.files.file("a road", "DOT").number
    hall.player.move(number, status)

    told = check_service_request.delay(number).get(timeout=10)

    updated = told.pop("updated_at")
    assert told == {
        "external_id": number,
        "external_status": status,
        "agency": "DOT",
        "closed": status in {"closed", "cancelled"},
    }
    assert updated is not None


def test_a_new_number_is_found_after_a_while(hall: CityHall) -> None:
    """Until then the City says that it does not know it."""
    hall.player.files.lag = 1
    number = submit_service_request.delay(report("a kerb")).get(timeout=10)["external_id"]

    assert check_service_request.delay(number).get(timeout=10) is None
    assert check_service_request.delay(number).get(timeout=10)["external_status"] == "open"


def test_numbers_that_the_city_does_not_know_are_no_failures_of_it(hall: CityHall, fleet: Fleet) -> None:
    """Twenty-four of them: each is asked for once, and the breaker has seen proofs of life."""
    retries = sum(fleet.metrics("retries_total", provider=CITY))
    looks = [check_service_request.delay(f"311-{number:08d}") for number in range(24)]
    until(lambda: all(look.ready() for look in looks), 20.0)

    window = until(lambda: len(found := hall.state.hget(keys(CITY).breaker, "window") or b"") == 20 and found)
    assert [look.result for look in looks] == [None] * len(looks)
    assert window == b"0" * 20
    assert len(hall.heard("GET")) == 24
    assert sum(fleet.metrics("retries_total", provider=CITY)) == retries
    assert submit_service_request.delay(report("a wall")).get(timeout=10)["state"] == "accepted"


def test_a_look_that_failed_is_made_again(hall: CityHall) -> None:
    """It changes nothing, so it may be."""
    number = hall.player.files.file("a gate", "DOT").number
    hall.misbehave(status=500, method="GET", times=2)

    began = time.monotonic()
    told = check_service_request.delay(number).get(timeout=15)

    assert told["external_status"] == "open"
    assert [each["status"] for each in hall.heard("GET")] == [500, 500, 200]
    assert time.monotonic() - began >= 0.4
