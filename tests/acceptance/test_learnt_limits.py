"""A provider bears less than is declared, and two workers learn it from its headers or its refusals."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from celery.result import AsyncResult

from tests.acceptance.limited import METER, ask
from tests.acceptance.scripted import Script, arrivals, cleared, saying, sparing, too_many
from tests.fleet import Fleet, Ground, until
from tests.sandbox import Reply, Request, json_reply
from worker.keys import keys
from worker.letters.deadletter import DeadLetters

pytestmark = pytest.mark.usefixtures("fleet")


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers."""
    with Fleet(clean, workers=2, concurrency=8) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def _fresh(clean: Ground) -> None:
    """Nothing is known of the provider."""
    cleared(clean, METER)


def counting(calls: int, seconds: float) -> Script:
    """A provider that allows *calls* in each window of *seconds*, and says in each answer what is left."""
    window = {"ends": 0.0, "left": 0.0}

    def says(_: Request) -> Reply:
        now = time.time()
        if now >= window["ends"]:
            window["ends"], window["left"] = now + seconds, calls
        window["left"] -= 1
        left = max(0, int(window["left"]))
        headers = {"X-RateLimit-Remaining": f"{left}", "X-RateLimit-Reset": f"{window['ends'] - now:.3f}"}
        return too_many(**headers) if window["left"] < 0 else json_reply({}, headers=headers)

    return says


def test_nothing_left_holds_the_fleet_until_the_reset(clean: Ground) -> None:
    """The answer that said so was a good one, and nobody had to be refused."""
    ends = 0.0

    def says(_: Request) -> Reply | None:
        nonlocal ends
        if ends:
            return None
        ends = time.monotonic() + 2.5
        return json_reply({}, headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2.5"})

    with saying(METER, says):
        _all_done([ask["meter"].delay(0)])
        until(lambda: _limits(clean).get("cooldown_until"))
        _all_done([ask["meter"].delay(number) for number in range(1, 8)])

    first, *others = arrivals(clean, METER)
    assert first < ends
    assert ends - 0.05 <= min(others) < ends + 1.0
    assert not arrivals(clean, METER, 429)


def test_what_is_left_is_shared_out_and_hardly_anybody_is_refused(clean: Ground) -> None:
    """A window allows fewer calls than the declared rate does: its count is believed as it falls.

    A call let out in one window may arrive in the next one, whose count it has not seen: one for each.
    """
    with saying(METER, counting(calls=20, seconds=2.0)):
        calls = [ask["meter"].delay(number) for number in range(60)]
        _all_done(calls)

    made = arrivals(clean, METER, 200)
    assert [call.result for call in calls] == list(range(60))
    assert len(arrivals(clean, METER, 429)) <= 3
    assert made[-1] - made[0] < 8.0
    assert not _letters(clean)


def test_refusals_that_say_nothing_lower_the_rate_and_answers_raise_it_again(clean: Ground) -> None:
    """By half, and by a twentieth of what is declared in each second; no call pays for it with an attempt."""
    with saying(METER, sparing(every=0.5, calls=5)):
        calls = [ask["meter"].delay(number) for number in range(80)]
        factors = list[float]()

        def over() -> bool:
            factors.append(float(_limits(clean).get("factor", 1.0)))
            return all(call.ready() for call in calls)

        until(over, 40.0)

    assert [call.result for call in calls] == list(range(80))
    assert min(factors) <= 0.5
    assert len(arrivals(clean, METER, 429)) <= 20
    assert not _letters(clean)

    lowered = float(_limits(clean).get("factor", 1.0))
    started = time.monotonic()
    while time.monotonic() < started + 4.0:
        _all_done([ask["meter"].delay(1)])
    assert float(_limits(clean).get("factor", 1.0)) >= min(1.0, lowered + 0.1)


def _limits(ground: Ground) -> dict[str, str]:
    with ground.client() as state:
        return {name.decode(): value.decode() for name, value in state.hgetall(keys("meter").limits).items()}


def _letters(ground: Ground) -> list[dict[str, object]]:
    with ground.client() as state:
        return list(DeadLetters(state, "meter"))


def _all_done(calls: list[AsyncResult[int]]) -> None:
    """Return when every call has succeeded."""
    until(lambda: all(call.ready() for call in calls), 30.0, told=lambda: [call.state for call in calls])
    assert {call.state for call in calls} == {"SUCCESS"}
