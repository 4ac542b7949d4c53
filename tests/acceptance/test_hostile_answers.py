"""Whatever a provider sends, the call ends as the right error in its time, and the worker lives."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.acceptance.providers import WILD, look
from tests.fleet import Fleet, Ground, until
from worker.errors import CallError

KEY = "canary-of-a-key"
SLACK = 2.0
"""Seconds for the queue, on a busy machine."""

MISDEEDS = {
    "hang": "upstream_error",
    "endless": "upstream_rejected",
    "gzip_bomb": "upstream_rejected",
    "garbage": "upstream_rejected",
    "wrong_charset": "upstream_rejected",
    "redirect": "upstream_rejected",
    "html": "upstream_rejected",
    "reset": "upstream_error",
    "truncate": "upstream_error",
    "drip_headers": "upstream_error",
    "drip_body": "upstream_error",
}
"""What the sandbox does, and what the caller hears: may it work later, or is it no answer at all?"""


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """One worker of two slots, which knows a secret."""
    env = {"NARROWS_PROVIDERS__WILD__API_KEY": KEY, "NARROWS_PROVIDER_SHARE": "1"}
    with Fleet(clean, workers=1, concurrency=2, env=env) as fleet:
        yield fleet


@pytest.mark.parametrize(("misdeed", "code"), MISDEEDS.items())
def test_a_hostile_answer_ends_as_the_right_error_in_its_time_and_the_worker_goes_on(
    fleet: Fleet, clean: Ground, misdeed: str, code: str
) -> None:
    """Within the provider's total time; then the same process answers, and has kept nothing bad."""
    (pid,) = fleet.pids
    clean.sandbox.control.fault("wild", mode=misdeed)
    started = time.monotonic()

    with pytest.raises(CallError) as caught:
        look.delay(misdeed).get(timeout=10)
    took = time.monotonic() - started
    clean.sandbox.control.clear("wild")

    assert (code, True) == (caught.value.code, took < WILD.timeouts.total + SLACK)
    assert look.delay(misdeed).get(timeout=5) == {"asked": f"/{misdeed}"}
    assert [pid] == fleet.pids


def test_two_hanging_calls_hold_two_slots_no_longer_than_their_time(fleet: Fleet, clean: Ground) -> None:
    """All slots are taken; the next call is answered when theirs have ended."""
    clean.sandbox.control.fault("wild", mode="hang", only="/stuck")
    stuck = [look.delay(f"stuck-{number}") for number in range(2)]
    until(lambda: clean.sandbox.control.counts("wild")["in_flight"] == 2)
    started = time.monotonic()

    assert look.delay("behind").get(timeout=10) == {"asked": "/behind"}

    assert time.monotonic() - started < WILD.timeouts.total + SLACK
    until(lambda: all(call.ready() for call in stuck))
    assert {call.state for call in stuck} == {"FAILURE"}
    assert fleet.pids[0]


def test_the_other_host_of_a_redirect_sees_no_credentials_nor_anything_else(
    fleet: Fleet, clean: Ground
) -> None:
    """The provider itself was given the key; the host that it points to is never asked."""
    clean.sandbox.control.fault("wild", mode="redirect", only="/elsewhere")

    with pytest.raises(CallError, match="redirected"):
        look.delay("elsewhere").get(timeout=10)

    asked = clean.sandbox.control.journal("wild", raw=True)[-1]
    assert (asked["path"], asked["headers"]["x-api-key"]) == ("/elsewhere", KEY)
    assert clean.sandbox.control.journal("elsewhere", raw=True) == []
    assert KEY not in fleet.logs


def test_what_a_hostile_provider_said_stands_in_no_log(fleet: Fleet) -> None:
    """Not the page, not the rows, nor the half of an answer."""
    for said in ("Back soon", "ROW", "1012650001", "DOCTYPE"):
        assert said not in fleet.logs
