"""Open service requests are asked about in turn by real workers, and each change is told to who listens."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from statistics import median
from typing import Any

import pytest
from redis import Redis

from tasks import poll_service_requests, submit_service_request
from tasks.upkeep import check_health
from tests.acceptance.city_hall import CITY, PACE, CityHall, report
from tests.fleet import Fleet, Ground, until
from worker import find_submission
from worker.application import app
from worker.engine import engine
from worker.keys import keys

MANY, FEW = 12, 5
BETWEEN = 0.3


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers, which tell changes to another service's task as well."""
    with Fleet(clean, workers=2, env={**PACE, "NARROWS_STATUS_TASK": "billing.status_changed"}) as fleet:
        yield fleet


@pytest.fixture
def hall(state: Redis, clean: Ground) -> CityHall:
    """A city that has taken nothing yet."""
    hall = CityHall(state=state, ground=clean)
    hall.clear()
    state.delete("billing")
    return hall


def taken(hall: CityHall, count: int) -> list[str]:
    """The numbers of so many requests that the City has taken now, all of them open."""
    calls = [submit_service_request.delay(report(f"hole {number}")) for number in range(count)]
    for call in calls:
        call.get(timeout=10)
    return sorted(hall.player.files.filed)


def asked(hall: CityHall) -> list[str]:
    """The numbers that the City was asked about, in their order."""
    return [each["path"].rpartition("/")[2] for each in hall.heard("GET")]


def idle(hall: CityHall) -> bool:
    """Whether no round is unfinished and nobody asks."""
    return not hall.state.exists(keys(CITY).round, keys(CITY).polling)


def polled(hall: CityHall) -> list[str]:
    """The numbers asked about in a round of their own."""
    before = len(asked(hall))
    poll_service_requests.delay()
    until(lambda: len(asked(hall)) > before)
    until(lambda: idle(hall), 20.0)
    return asked(hall)[before:]


def moments(hall: CityHall) -> list[float]:
    """When each look arrived."""
    return [each["at"] for each in hall.heard("GET")]


def told_to_billing(hall: CityHall) -> list[dict[str, Any]]:
    """The arguments of the calls that wait for the other service."""
    with app.connection_for_read() as connection, connection.SimpleQueue("billing") as queue:
        messages = [queue.get(block=False) for _ in range(hall.state.llen("billing"))]
    assert {message.headers["task"] for message in messages} <= {"billing.status_changed"}
    return [message.payload[1] for message in messages]


def test_a_round_asks_about_each_in_turn_and_tells_what_changed(hall: CityHall) -> None:
    """300 ms apart; the channel and the task that is named in the settings hear the same."""
    numbers = taken(hall, MANY)
    moved = {numbers[3]: "in_progress", numbers[7]: "closed"}
    for number, status in moved.items():
        hall.player.move(number, status)
    with hall.state.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys(CITY).status)
        until(lambda: hall.state.pubsub_numsub(keys(CITY).status)[0][1])

        round_of_looks = polled(hall)

        said = [json.loads(until(listener.get_message)["data"]) for _ in moved]
        assert listener.get_message() is None
    gaps = [later - earlier for earlier, later in pairwise(moments(hall))]
    assert sorted(round_of_looks) == numbers
    assert min(gaps) >= BETWEEN
    assert median(gaps) < 1.0
    assert {each["external_id"]: (each["old"], each["new"]) for each in said} == {
        number: ("open", status) for number, status in moved.items()
    }
    known = [find_submission(each["submission_id"], CITY) or {} for each in said]
    assert [each["external_status"] for each in known] == [each["new"] for each in said]
    assert told_to_billing(hall) == said


def test_the_next_round_begins_with_the_oldest_look_and_leaves_out_what_is_closed(hall: CityHall) -> None:
    """One that was looked at in between comes last; who changed nothing is not told of."""
    taken(hall, FEW)
    closed, *others = polled(hall)
    hall.player.move(closed, "closed")
    by_number = {one.external_id: one.id for one in hall.ledger.open()}
    hall.ledger.observed(by_number[others[0]], "open")

    second, third = polled(hall), polled(hall)

    in_turn = [*others[1:], others[0]]
    assert second == [closed, *in_turn]
    assert third == in_turn
    assert [each["new"] for each in told_to_billing(hall)] == ["closed"]
    assert hall.ledger.counts()["open"] == FEW - 1


def test_a_round_whose_worker_is_killed_is_taken_up_where_it_was(hall: CityHall, fleet: Fleet) -> None:
    """By the look at the fleet each minute, once the dead one's lease is over; one may be asked twice."""
    numbers = taken(hall, MANY)
    poll_service_requests.delay()
    until(lambda: len(asked(hall)) >= 4)
    for index in range(2):
        fleet.kill(index)
    before = len(asked(hall))
    until(lambda: fleet.ready, 30.0)
    held = check_health.delay().get(timeout=15)
    untouched = len(asked(hall))
    hall.state.pexpire(keys(CITY).polling, 1)

    until(lambda: not hall.state.exists(keys(CITY).polling))
    check_health.delay().get(timeout=15)
    until(lambda: idle(hall), 20.0)

    counts = Counter(asked(hall))
    assert 4 <= before < MANY
    assert held["ready"]
    assert untouched == before
    assert sorted(counts) == numbers
    assert sum(counts.values()) - MANY <= 1


def test_of_two_runs_at_once_one_works(hall: CityHall) -> None:
    """The other leaves at once, and nobody is asked twice."""
    numbers = taken(hall, FEW)
    runs = [poll_service_requests.delay(CITY) for _ in range(2)]

    ends = [run.get(timeout=20) for run in runs]

    assert sorted(each["ended"] for each in ends) == ["done", "held"]
    assert sorted(each["asked"] for each in ends) == [0, FEW]
    assert Counter(asked(hall)) == dict.fromkeys(numbers, 1)


def test_a_number_that_is_not_found_yet_stays_open(hall: CityHall, fleet: Fleet) -> None:
    """The City finds new ones after a while: no failure, no announcement, no dead letter."""
    numbers = taken(hall, FEW)
    for each in hall.player.files.filed.values():
        each.looks = 1
    hall.player.move(numbers[2], "closed")

    first, second = polled(hall), polled(hall)

    assert sorted(first) == sorted(second) == numbers
    assert [each["new"] for each in told_to_billing(hall)] == ["closed"]
    assert hall.letters() == []
    assert fleet.gauge("circuit_breaker_state", provider=CITY) == 0


def test_a_round_stops_at_an_open_breaker_and_goes_on_when_it_is_closed(hall: CityHall) -> None:
    """Whose turn had not come keeps it: nobody is left out, nobody is asked twice."""
    numbers = taken(hall, MANY)
    breaker = engine().gateway(CITY).breaker
    poll_service_requests.delay()
    until(lambda: len(asked(hall)) >= 3)
    breaker.open()
    until(lambda: not hall.state.exists(keys(CITY).polling))
    before = len(asked(hall))
    breaker.close()

    check_health.delay().get(timeout=15)
    until(lambda: idle(hall), 20.0)

    assert 3 <= before < MANY
    assert Counter(asked(hall)) == dict.fromkeys(numbers, 1)
