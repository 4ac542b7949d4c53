"""Real workers, and a provider whose credential buys a token: bought once, renewed in time, shown to nobody.

The tests stand in the order in which one fleet can run them: what a worker remembers of a token is gone when
the token has ended, and not before. So tokens live for seconds, but for those that the next test is to find.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.request import urlopen

import pytest
from celery.result import AsyncResult
from redis import Redis

from tasks import get_track
from tasks.spotify import PROVIDER
from tests.acceptance.onlookers import contents, page
from tests.fleet import Fleet, Ground, held, until
from tests.sandbox.spotify import SpotifyPlayer, numbered
from worker.auth.token_slot import Slot, Token
from worker.keys import keys
from worker.letters.deadletter import DeadLetters

NAME = PROVIDER.name
ID, SECRET = "canaryclient7d43", "canarysecret7d43"
CREDENTIAL = f"{ID}:{SECRET}"
CANARIES = (SECRET, "BQsandbox")
TOKENS = "/api/token"

SETTINGS = {
    "RATE": "5000",
    "BURST": "1000",
    "API_KEY": CREDENTIAL,
    "TOTAL_TIMEOUT": "3",
    "BREAKER_RESET_AFTER": "1",
    "RETRY_FIRST": "0.3",
    "RETRY_MOST": "1",
    "RETRY_FLOOR": "1000",
}


@pytest.fixture(scope="module")
def fleet(clean: Ground) -> Iterator[Fleet]:
    """Two workers of 64 slots, and Flower."""
    base = clean.sandbox.base_url(NAME)
    where = {"BASE_URL": f"{base}/v1", "TOKEN_URL": f"{base}{TOKENS}"}
    env = {f"NARROWS_PROVIDERS__SPOTIFY__{name}": value for name, value in {**SETTINGS, **where}.items()}
    env |= {"NARROWS_CLAIM_LEASE": "2", "NARROWS_LOG_LEVEL": "DEBUG"}
    with Fleet(clean, workers=2, concurrency=64, flower=True, env=env) as fleet:
        yield fleet


@pytest.fixture
def spotify(state: Redis, clean: Ground) -> Iterator[SpotifyPlayer]:
    """Spotify, which knows us; nothing was given up or counted yet."""
    player = clean.sandbox.spotify
    player.clients.add(CREDENTIAL)
    at = keys(NAME)
    state.delete(at.dlq, at.breaker, at.budget, *state.keys(f"{at.limits}*"))
    yield player
    player.takes = True


@pytest.fixture
def tokenless(state: Redis, spotify: SpotifyPlayer) -> SpotifyPlayer:
    """The same, when all tokens that it sold have ended; those that it sells live for three seconds."""
    until(lambda: not token_keys(state), 15.0)
    spotify.lifetime = 3.0
    return spotify


NUMBERS = iter(range(1, 2000))
"""Each track is asked for once: what is cached asks for no token."""


def calls(count: int) -> list[AsyncResult[Any]]:
    """So many calls, each for a track that nobody has asked for."""
    return [get_track.delay(numbered(next(NUMBERS))) for _ in range(count)]


def done(results: list[AsyncResult[Any]], within: float = 30.0) -> list[AsyncResult[Any]]:
    """*results*, all of them ready."""
    until(
        lambda: all(each.ready() for each in results), within, told=lambda: [each.state for each in results]
    )
    return results


def served(results: list[AsyncResult[Any]], within: float = 30.0) -> None:
    """Return when every call has its track."""
    assert {each.state for each in done(results, within)} == {"SUCCESS"}
    assert all(each.result["title"].startswith("Tide Number") for each in results)


def token_keys(state: Redis) -> list[Any]:
    """All that Redis knows of tokens."""
    found: Any = state.keys(f"narrows:{{{NAME}}}:token:*")
    return list(found)


def asked(ground: Ground, *statuses: int | None, path: str = TOKENS) -> int:
    """How many requests arrived below *path*, of those that were answered so."""
    journal = ground.sandbox.control.journal(NAME)
    return sum(
        entry["path"].startswith(path) and (not statuses or entry["status"] in statuses) for entry in journal
    )


def letters(ground: Ground) -> list[dict[str, Any]]:
    """What was given up."""
    with ground.client() as state:
        return list(DeadLetters(state, NAME))


def test_a_second_refusal_is_a_refused_credential(
    clean: Ground, fleet: Fleet, spotify: SpotifyPlayer
) -> None:
    """One new token, then an alarm and dead letters: no renewing without end."""
    served(calls(8))
    spotify.lifetime, spotify.takes = 12.0, False
    sold, alarms = spotify.sold, sum(fleet.metrics("credentials_refused_total", provider=NAME))
    clean.sandbox.control.reset()

    results = done(calls(40))

    assert {each.state for each in results} == {"FAILURE"}
    assert spotify.sold == sold + 1
    assert asked(clean, path="/v1/tracks") <= 80
    found = letters(clean)
    assert {(each["code"], each["status"], each["retryable"]) for each in found} == {
        ("upstream_rejected", 401, False)
    }
    assert len(found) == 40
    assert sum(fleet.metrics("credentials_refused_total", provider=NAME)) == alarms + 40


def test_a_token_is_renewed_before_it_ends_while_calls_go_on(clean: Ground, tokenless: SpotifyPlayer) -> None:
    """None is made with a token that has ended, and none waits for the renewal but the one that renews."""
    tokenless.lifetime = 6.0
    served(calls(8))
    sold, results = tokenless.sold, list[AsyncResult[Any]]()
    clean.sandbox.control.reset()
    clean.sandbox.control.fault(NAME, latency_ms=300, only=TOKENS)

    while tokenless.sold == sold:
        results += calls(1)
        until(partial(_few_wait, results))
    served(results)

    assert asked(clean, 401, path="/v1/tracks") == 0
    assert asked(clean) == tokenless.sold - sold


def _few_wait(results: list[AsyncResult[Any]]) -> bool:
    return sum(not each.ready() for each in results[-8:]) < 4


@pytest.mark.usefixtures("tokenless")
def test_calls_wait_for_a_token_host_that_is_down_and_are_made_when_it_is_back(clean: Ground) -> None:
    """It is asked a few times meanwhile, whatever number of calls wait for it."""
    started = time.monotonic()
    clean.sandbox.control.fault(NAME, only=TOKENS, times=2, status=500)

    served(calls(100), 60.0)

    assert asked(clean, 500) == 2
    assert asked(clean) <= 4 + (time.monotonic() - started)
    assert not letters(clean)
    assert asked(clean, path="/v1/tracks") == 100


@pytest.mark.usefixtures("tokenless")
@pytest.mark.parametrize("mode", ["garbage", "redirect"])
def test_a_token_host_that_answers_nonsense_for_a_while_buries_no_call(clean: Ground, mode: str) -> None:
    """They wait for it as for one that is down, and are made when it sells tokens again."""
    clean.sandbox.control.fault(NAME, only=TOKENS, times=1, mode=mode)

    served(calls(100), 60.0)

    assert not letters(clean)
    assert asked(clean, path="/v1/tracks") == 100


def test_a_client_that_is_not_known_is_an_alarm_and_letters_and_no_storm(
    clean: Ground, fleet: Fleet, tokenless: SpotifyPlayer
) -> None:
    """The token host hears it once in two seconds at most; once it knows us again, all is well."""
    tokenless.clients.discard(CREDENTIAL)
    alarms = sum(fleet.metrics("credentials_refused_total", provider=NAME))
    clean.sandbox.control.reset()
    started = time.monotonic()

    results = done(calls(40))

    assert {each.state for each in results} == {"FAILURE"}
    assert asked(clean, path="/v1/tracks") == 0
    assert asked(clean) <= 1 + (time.monotonic() - started) / 2
    assert {(each["status"], each["retryable"]) for each in letters(clean)} == {(400, False)}
    assert all("invalid_client" in each["error"] for each in letters(clean))
    assert sum(fleet.metrics("credentials_refused_total", provider=NAME)) == alarms + 40
    assert fleet.gauge("circuit_breaker_state", provider=NAME) == 0

    tokenless.clients.add(CREDENTIAL)
    with clean.client() as state:
        until(lambda: not state.keys("*:failed"))
    served(calls(4))


def test_the_worker_that_buys_is_killed(clean: Ground, fleet: Fleet, tokenless: SpotifyPlayer) -> None:
    """Both are, at once, in the middle of it: whoever follows buys one token for all."""
    tokenless.lifetime = 6.0
    sold = tokenless.sold
    clean.sandbox.control.fault(NAME, only=TOKENS, mode="hang")
    results = calls(100)
    until(lambda: asked(clean) == 1)

    for number in range(2):
        fleet.kill(number)
    clean.sandbox.control.clear(NAME)

    served(results, 60.0)
    assert 1 <= tokenless.sold - sold <= 2  # a worker may take half its life to be there again
    assert not letters(clean)


def ended(state: Redis, spotify: SpotifyPlayer) -> None:
    """Have a token lie in Redis that ended a while ago, and every worker remember one that did as well."""
    spotify.lifetime = 0.6
    served(calls(8))
    until(lambda: not token_keys(state))
    now, slot = time.time(), Slot(NAME, CREDENTIAL, keys(NAME))
    slot.write(state, Token(text="long-gone", since=now - 3600.0, until=now - 1.0), now - 3600.0)
    spotify.lifetime = 3600.0


def test_five_hundred_calls_on_an_ended_token_buy_one(
    state: Redis, clean: Ground, tokenless: SpotifyPlayer
) -> None:
    """Over two workers of 64 slots, at a token host that takes its time."""
    ended(state, tokenless)
    sold = tokenless.sold
    clean.sandbox.control.reset()
    clean.sandbox.control.fault(NAME, latency_ms=500, only=TOKENS)

    with held(NAME):
        results = calls(500)
    served(results)

    assert tokenless.sold == sold + 1
    assert asked(clean) == 1
    assert asked(clean, path="/v1/tracks") == 500


def test_five_hundred_calls_whose_token_is_refused_buy_one(
    clean: Ground, fleet: Fleet, spotify: SpotifyPlayer
) -> None:
    """Many hear a 401 in the same moment; each asks once more, and nobody is alarmed."""
    served(calls(64))
    spotify.revoke()
    sold, alarms = spotify.sold, sum(fleet.metrics("credentials_refused_total", provider=NAME))
    clean.sandbox.control.reset()
    clean.sandbox.control.fault(NAME, latency_ms=300, only=TOKENS)

    with held(NAME):
        results = calls(500)
    served(results)

    assert spotify.sold == sold + 1
    assert asked(clean) == 1
    assert asked(clean, 401, path="/v1/tracks") >= 2
    assert asked(clean, 200, path="/v1/tracks") == 500
    assert sum(fleet.metrics("credentials_refused_total", provider=NAME)) == alarms
    assert not letters(clean)


def test_neither_token_nor_secret_stands_anywhere_but_on_the_wire(
    clean: Ground, fleet: Fleet, spotify: SpotifyPlayer
) -> None:
    """After all of the above: not in Redis, logs, Flower, metrics, exceptions or letters."""
    spotify.takes = False
    refused = done(calls(2))
    spotify.takes = True
    until(lambda: fleet.ready)
    seen: dict[str, str] = {"logs": fleet.logs, "letters": json.dumps(letters(clean))}
    seen["flower"] = page(fleet, "/api/tasks") + page(fleet, "/api/workers") + page(fleet, "/tasks")
    for worker in fleet.stack.workers:
        with urlopen(f"{worker.program.address}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
            seen["metrics"] = seen.get("metrics", "") + answer.read().decode()
    for result in refused:
        with suppress(Exception):
            result.get()
        seen["exceptions"] = f"{seen.get('exceptions')} {result.info!r} {result.traceback}"
    for name, server in (("state", clean.valkey), ("cache", clean.cache)):
        with server.client() as client:
            seen[name] = "\n".join(f"{key} {values}" for key, values in contents(client, NAME))

    shown = clean.sandbox.control.journal(NAME, raw=True)
    assert any("BQsandbox" in entry["headers"].get("authorization", "") for entry in shown)
    assert "token:" in seen["state"]
    assert "access token asked for" in seen["logs"]
    assert all(seen.values())
    assert {place for place, text in seen.items() if any(form in text for form in forms())} == set()


def forms() -> list[str]:
    """The canaries as they stand, and as they may stand inside base64."""
    padded = [b"\0" * shift + each.encode() + b"\0" * 3 for each in CANARIES for shift in range(3)]
    return [*CANARIES, *(base64.b64encode(each).decode()[4:-8] for each in padded)]
