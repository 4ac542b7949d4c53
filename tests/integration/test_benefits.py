"""The screening by both of its interfaces, called as a script calls it: tokens, refusals, patience."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from config.settings import settings
from tasks import screen_household
from tasks.benefits import Program, Screening
from tests.sandbox import TOKEN, Sandbox
from worker.engine import engine
from worker.errors import CredentialsRefused, NarrowsError, ProviderUnavailable, RequestInvalid

HOUSEHOLD = {"cash_on_hand": "4711.00", "living_renting": True}
HEAD = {"age": 77, "household_member_type": "HeadOfHousehold"}
CONTRACTS = ("published", "handbook")
PATHS = {"published": "/eligibilityPrograms", "handbook": "/screen"}

Deploy = Callable[..., None]


@pytest.fixture
def deploy(monkeypatch: pytest.MonkeyPatch, redis_url: str, sandbox: Sandbox) -> Iterator[Deploy]:
    """Sets this process up to ask the sandbox, by one of the interfaces."""

    def forget() -> None:
        settings.cache_clear()
        engine.cache_clear()

    def deployed(contract: str = "published", key: str = f"sandbox:{TOKEN}") -> None:
        for role in ("BROKER", "STATE", "CACHE", "RESULT"):
            monkeypatch.setenv(f"NARROWS_{role}_URL", redis_url)
        prefix = "NARROWS_PROVIDERS__BENEFITS__"
        monkeypatch.setenv(f"{prefix}BASE_URL", sandbox.base_url("benefits"))
        monkeypatch.setenv(f"{prefix}API_KEY", key)
        monkeypatch.setenv(f"{prefix}CONTRACT", contract)
        forget()

    yield deployed
    forget()


def paths(sandbox: Sandbox) -> list[str]:
    """What was asked, in order."""
    return [entry["path"] for entry in sandbox.control.journal("benefits")]


@pytest.mark.parametrize("contract", CONTRACTS)
def test_one_login_is_enough_for_many_households(deploy: Deploy, sandbox: Sandbox, contract: str) -> None:
    """By either interface; the answer is the same."""
    deploy(contract)

    found = [screen_household(HOUSEHOLD, [HEAD], ["S2R007"]) for _ in range(3)]

    snap = Program(code="S2R007", name="Supplemental Nutrition Assistance Program (SNAP)")
    assert found == [_plain(Screening(eligible=[snap]))] * 3
    assert sandbox.benefits.logins == 1
    assert [path.partition("?")[0] for path in paths(sandbox)[1:]] == [PATHS[contract]] * 3


def _plain(found: Screening) -> dict[str, Any]:
    return {"eligible": [{"code": each.code, "name": each.name} for each in found.eligible]}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_a_token_that_has_ended_is_bought_anew_once(deploy: Deploy, sandbox: Sandbox, contract: str) -> None:
    """The caller hears nothing of it."""
    deploy(contract)
    screen_household(HOUSEHOLD, [HEAD])
    sandbox.benefits.end_tokens()

    assert screen_household(HOUSEHOLD, [HEAD])["eligible"]

    assert sandbox.benefits.logins == 2


def test_the_city_may_also_forbid_what_it_no_longer_knows(deploy: Deploy, sandbox: Sandbox) -> None:
    """A 403 is taken for an ended token too: neither is documented."""
    deploy()
    sandbox.control.fault("benefits", status=403, only="/eligibilityPrograms", times=1)

    assert screen_household(HOUSEHOLD, [HEAD])["eligible"]

    assert sandbox.benefits.logins == 2


@pytest.mark.parametrize("contract", CONTRACTS)
@pytest.mark.parametrize("key", [f"sandbox:not-{TOKEN}", f"nobody:{TOKEN}"])
def test_a_wrong_password_is_refused_and_not_tried_again(
    deploy: Deploy, sandbox: Sandbox, contract: str, key: str
) -> None:
    """No household leaves without a token."""
    deploy(contract, key)

    with pytest.raises(CredentialsRefused) as refused:
        screen_household(HOUSEHOLD, [HEAD])

    assert TOKEN not in str(refused.value)
    assert len(paths(sandbox)) == 1
    assert sandbox.benefits.logins == 0


def test_a_tired_rules_engine_may_be_asked_again(deploy: Deploy, sandbox: Sandbox) -> None:
    """504, and then the answer."""
    deploy()
    sandbox.benefits.tired = 1
    with pytest.raises(ProviderUnavailable, match=r"benefits answered 504 \(gatewayTimeout\)"):
        screen_household(HOUSEHOLD, [HEAD])

    assert screen_household(HOUSEHOLD, [HEAD])["eligible"]


@pytest.mark.parametrize("mode", ["html", "garbage", "truncate", "reset"])
def test_whatever_the_city_answers_is_an_error_of_ours(deploy: Deploy, sandbox: Sandbox, mode: str) -> None:
    """To the screening or to the login."""
    deploy()
    sandbox.control.fault("benefits", mode=mode)

    with pytest.raises(NarrowsError) as ended:
        screen_household(HOUSEHOLD, [HEAD])

    assert ended.value.code in {"upstream_error", "upstream_rejected"}


def test_nothing_of_a_household_is_logged_or_raised(
    deploy: Deploy, sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither when it goes well, nor when the City is down or finds it wrong."""
    deploy()
    caplog.set_level(logging.DEBUG)
    said = [repr(screen_household(HOUSEHOLD, [HEAD]))]
    for status, kind in ((500, ProviderUnavailable), (406, RequestInvalid)):
        sandbox.control.fault("benefits", status=status, only="/eligibilityPrograms", times=1)
        with pytest.raises(kind) as ended:
            screen_household(HOUSEHOLD, [HEAD])
        said.append(repr(ended.value))

    told = " ".join([*said, *(json.dumps(vars(record), default=str) for record in caplog.records)])

    assert "4711" not in told
    assert "HeadOfHousehold" not in told
    assert TOKEN not in told
