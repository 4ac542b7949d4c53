"""Each provider asked with a credential that it does not know: a person is called, and nobody tries again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tests.acceptance.every_provider import PACE, ROWS, WRONG, Row
from tests.acceptance.provider_desk import Desk, unhurried
from tests.fleet import Fleet, Ground, until
from worker.errors import CredentialsRefused

EVERY = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """A worker, each of whose credentials is wrong."""
    with unhurried(clean), Fleet(clean, workers=1, env={**PACE, **WRONG}) as fleet:
        yield fleet


@pytest.fixture
def desk(state: Redis, clean: Ground, row: Row) -> Desk:
    """Where the provider is watched; it has no past."""
    desk = Desk(state=state, ground=clean, row=row)
    desk.clear()
    return desk


def alarms(fleet: Fleet, row: Row) -> float:
    """How often a person was called."""
    return sum(fleet.metrics("credentials_refused_total", provider=row.name))


@EVERY
def test_a_refused_credential_raises_an_alarm_once_and_is_not_tried_again(
    desk: Desk, fleet: Fleet, row: Row
) -> None:
    """One request, one alarm, one dead letter that says so; the provider itself is well."""
    before, retries = alarms(fleet, row), sum(fleet.metrics("retries_total", provider=row.name))
    if row.blocked:
        desk.misbehave(**row.blocked)

    call = row.asked(0)
    until(lambda: desk.rests(call), 20.0, told=lambda: call.info)

    (letter,) = desk.letters
    assert isinstance(call.result, CredentialsRefused)
    assert (letter["code"], letter["status"], letter["retryable"]) == (
        "upstream_rejected",
        row.refused,
        False,
    )
    assert [each["status"] for each in desk.everything] == [row.refused]
    assert alarms(fleet, row) == before + 1
    assert sum(fleet.metrics("retries_total", provider=row.name)) == retries
    assert (desk.breaker.get("state", "closed"), desk.breaker.get("failures", "0")) == ("closed", "0")
    assert WRONG.get(row.key, "no credential") not in fleet.logs + str(letter) + repr(call.result)
