"""Households with real workers: sealed as the module recommends, nothing of one lies anywhere to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from cryptography.fernet import Fernet
from redis import Redis

from tasks import screen_household
from tests.acceptance.test_sealed import everything, producing
from tests.fleet import Fleet, Ground, until
from worker.engine import engine
from worker.errors import NarrowsError
from worker.keys import keys

AT = keys("benefits")
HOUSEHOLD = {"case_id": "canary-7d41", "cash_on_hand": "4711.07", "living_renting": True}
PERSON = {
    "age": 77,
    "household_member_type": "HeadOfHousehold",
    "incomes": [{"amount": "7411.70", "type": "Alimony", "frequency": "Biweekly"}],
}
CANARIES = ("canary-7d41", "4711.07", "7411.70", "Alimony", "Biweekly", "HeadOfHousehold")
SEALED = {
    "NARROWS_SEALING_KEYS": Fernet.generate_key().decode(),
    "NARROWS_SEALED_TASKS": "benefits.*",
    "NARROWS_PROVIDERS__BENEFITS__RETRY_ATTEMPTS": "1",
}


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker that seals households, as its producer does."""
    with producing(clean, SEALED), Fleet(clean, workers=1, env=SEALED) as fleet:
        yield fleet


def seen(text: str) -> list[str]:
    """What of the household stands in *text*."""
    return [canary for canary in CANARIES if canary in text]


def screened(**options: Any) -> Any:
    """A call for the household."""
    return screen_household.apply_async([HOUSEHOLD, [PERSON]], **options)


def test_nothing_of_a_household_can_be_read_anywhere(fleet: Fleet, state: Redis, clean: Ground) -> None:
    """Under way, answered, refused and down: in no key of Redis, no log, no error and no letter."""
    control = clean.sandbox.control
    assert screened().get(timeout=20)["eligible"]
    control.fault("benefits", latency_ms=1500, only="/eligibilityPrograms")
    running = screened()
    until(lambda: control.counts("benefits")["in_flight"] == 1, 20.0)
    under_way = everything(state)
    control.reset()
    assert running.get(timeout=20)["eligible"]
    said = []
    for status in (406, 500):
        control.fault("benefits", status=status, only="/eligibilityPrograms", times=1)
        with pytest.raises(NarrowsError) as ended:
            screened().get(timeout=20)
        said.append(str(ended.value))
    until(lambda: state.llen(AT.dlq) == 2, 20.0)

    assert AT.call(running.id) in under_way
    assert seen(under_way) == seen(everything(state)) == seen(fleet.logs) == seen(" ".join(said)) == []
    letters = list(engine().dead_letters("benefits"))
    assert [letter["payload_excerpt"] for letter in letters] == ["<sealed>"] * 2
    arguments = engine().sealer.open(screen_household.name, letters[0]["args"], letters[0]["kwargs"])
    assert seen(repr(arguments)) == list(CANARIES)
    with clean.cache.client() as cache:
        assert seen(everything(cache)) == []
