"""A provider gives us two keys: two workers use both, and lose neither a call nor a key's name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.request import urlopen

import pytest
from celery.result import AsyncResult
from redis import Redis

from tests.acceptance.limited import CHORUS, LOCKS, PURSE, ask
from tests.acceptance.scripted import arrivals, cleared, crowd, saying, too_many
from tests.fleet import Fleet, Ground, until
from tests.sandbox import Reply, Request, json_reply
from worker import limits
from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.provider import Provider

pytestmark = pytest.mark.usefixtures("fleet")

ALTO, BASS = KEYS = ("canary-alto-5f0c1e7a", "canary-bass-93b2d840")
HEADER = "x-api-key"


@pytest.fixture(scope="module")
def fleet(clean: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Two workers that have both keys of three providers, each given in another way."""
    file = tmp_path_factory.mktemp("secrets") / "keys"
    file.write_text(f"{ALTO}\n{BASS}\n", encoding="utf-8")
    env = {
        "NARROWS_PROVIDERS__CHORUS__API_KEY": ALTO,
        "NARROWS_PROVIDERS__CHORUS__API_KEYS": f'["{BASS}"]',
        "NARROWS_PROVIDERS__LOCKS__API_KEYS": f"{ALTO}, {BASS}",
        "NARROWS_PROVIDERS__PURSE__API_KEYS_FILE": str(file),
    }
    with Fleet(clean, workers=2, concurrency=8, env=env) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def _fresh(clean: Ground) -> None:
    """Both keys are good, and nothing is spent."""
    cleared(clean, CHORUS, LOCKS, PURSE)


def refusing(*refused: str, status: int = 401) -> Any:
    """A provider that does not know these keys."""

    def says(request: Request) -> Reply | None:
        known = request.headers.get(HEADER) not in refused
        return None if known else json_reply({"error": "bad_key"}, status=status)

    return says


def test_two_keys_bear_twice_the_rate_of_one_and_neither_more_than_its_own(clean: Ground) -> None:
    """Each has a bucket of its own, and both are used evenly."""
    calls = [ask["chorus"].delay(number) for number in range(60)]
    _all_done(calls)

    by_key = {key: _asked_with(clean, CHORUS, key) for key in KEYS}
    arrived = arrivals(clean, CHORUS)
    assert [call.result for call in calls] == list(range(60))
    assert arrived[-1] - arrived[0] < 60 / 10 * 0.8
    assert all(24 <= len(moments) <= 36 for moments in by_key.values())
    assert all(crowd(moments, rate=10.0, burst=1) <= 4 for moments in by_key.values())


def test_a_call_whose_key_is_refused_succeeds_at_once_with_the_other(fleet: Fleet, clean: Ground) -> None:
    """The key is set aside and a person is called; breaker and attempts hear nothing of it."""
    before = sum(fleet.metrics("credentials_refused_total", provider="locks"))
    retries = sum(fleet.metrics("retries_total", provider="locks"))
    with saying(LOCKS, refusing(ALTO)):
        first = ask["locks"].delay(0)
        _all_done([first])
        _all_done([ask["locks"].delay(number) for number in range(1, 30)])

    paths = [entry["path"] for entry in clean.sandbox.control.journal("locks")]
    refused = arrivals(clean, LOCKS, 401)
    assert paths[:2] == ["/ask/0", "/ask/0"]
    assert len(refused) == 1
    assert arrivals(clean, LOCKS, 200)[0] - refused[0] < 0.5
    assert sum(fleet.metrics("credentials_refused_total", provider="locks")) == before + 1
    assert sum(fleet.metrics("retries_total", provider="locks")) == retries
    assert fleet.gauge("circuit_breaker_state", provider="locks") == 0
    assert '"key_number": 1' in fleet.logs or '"key_number":1' in fleet.logs
    assert not _letters(clean, LOCKS)


def test_when_both_keys_are_refused_every_call_waits_for_better_ones(fleet: Fleet, clean: Ground) -> None:
    """That which found it out as well. What a person forgets (`narrows limits reset`) is tried again."""
    with saying(LOCKS, refusing(*KEYS)), clean.client() as state:
        calls = [ask["locks"].delay(number) for number in range(6)]
        at = keys("locks")
        until(lambda: state.zcard(at.parked) == 6, told=lambda: [call.state for call in calls])

        until(lambda: all("parked · locks credentials" in str(call.info) for call in calls))
        refused = arrivals(clean, LOCKS)
    assert not _letters(clean, LOCKS)
    assert fleet.gauge("credentials_set_aside", provider="locks") == 2

    _forget(clean, LOCKS)
    _all_done(calls)

    assert [call.result for call in calls] == list(range(6))
    assert len(arrivals(clean, LOCKS)) == len(refused) + 6


def test_a_call_that_no_key_is_ever_good_for_is_given_up_in_the_end(clean: Ground) -> None:
    """After as many rounds as it may fail: it must not stop the others again and again."""
    with saying(LOCKS, refusing(*KEYS)), clean.client() as state:
        call = ask["locks"].delay(1)
        until(lambda: state.zcard(keys("locks").parked) == 1)
        _forget(clean, LOCKS)
        until(call.ready)

    (letter,) = _letters(clean, LOCKS)
    assert (letter["code"], letter["status"], letter["retryable"]) == ("upstream_rejected", 401, False)
    assert len(arrivals(clean, LOCKS)) == 4


def test_what_both_keys_are_forbidden_is_given_up_at_once(clean: Ground) -> None:
    """A 403 may speak of what was asked."""
    with saying(LOCKS, refusing(*KEYS, status=403)):
        call = ask["locks"].delay(1)
        until(call.ready)

    (letter,) = _letters(clean, LOCKS)
    assert (letter["status"], letter["attempts"]) == (403, 1)
    assert len(arrivals(clean, LOCKS)) == 2


def test_a_throttled_key_cools_alone(clean: Ground) -> None:
    """Its call is made with the other, which bears the rest, long before the pause is over."""

    def says(request: Request) -> Reply | None:
        return too_many(**{"Retry-After": "30"}) if request.headers[HEADER] == ALTO else None

    with saying(LOCKS, says):
        calls = [ask["locks"].delay(number) for number in range(30)]
        _all_done(calls)

    refused = arrivals(clean, LOCKS, 429)
    assert [call.result for call in calls] == list(range(30))
    assert 1 <= len(refused) <= 8
    assert len(_asked_with(clean, LOCKS, BASS)) == 30
    assert not _letters(clean, LOCKS)


def test_even_a_pause_that_is_too_long_for_one_call_is_only_its_keys(clean: Ground) -> None:
    """Who can be served with another key is not given up."""

    def says(request: Request) -> Reply | None:
        return too_many(**{"Retry-After": "86400"}) if request.headers[HEADER] == ALTO else None

    with saying(LOCKS, says):
        _all_done([ask["locks"].delay(number) for number in range(4)])

    assert not _letters(clean, LOCKS)


def test_when_the_quota_of_one_key_is_spent_the_other_serves(clean: Ground) -> None:
    """And when both are, calls wait for the next day."""
    calls = [ask["purse"].delay(number) for number in range(12)]
    until(lambda: sum(call.ready() for call in calls) == 10, told=lambda: [call.state for call in calls])
    waiting = [call for call in calls if not call.ready()]
    until(lambda: all("parked · purse quota" in str(call.info) for call in waiting))

    assert [len(_asked_with(clean, PURSE, key)) for key in KEYS] == [5, 5]

    with clean.client() as state:
        limits.forget(state, keys("purse").limits_of(KEYS), quota=True)
    _all_done(calls)


def test_no_key_stands_anywhere_but_on_the_wire(fleet: Fleet, clean: Ground) -> None:
    """Not in Redis, logs, metrics or an error's text; a digest of twelve digits stands for it."""
    with saying(LOCKS, refusing(*KEYS)), clean.client() as state:
        waiting = [ask["locks"].delay(number) for number in range(3)]
        until(lambda: state.zcard(keys("locks").parked) == 3)
        told = [str(call.info) for call in waiting]
        held = _contents(state)
    with saying(LOCKS, refusing(*KEYS, status=403)):
        _forget(clean, LOCKS)
        until(lambda: any(call.ready() for call in waiting))
    with clean.client() as state, clean.cache.client() as cache:
        held += _contents(state) + _contents(cache)
    pages = [_page(worker.program.address) for worker in fleet.stack.workers]
    texts = [*told, *(str(call.info) for call in waiting), *held, *pages, fleet.logs]

    assert any("canary" in value for entry in _raw(clean, LOCKS) for value in entry["headers"].values())
    assert any(keys("locks").limits_of(KEYS)[1] in text for text in held)
    assert not [text for text in texts if "canary" in text]


def _contents(redis: Redis) -> list[str]:
    """All that a server holds: every key, and what is in it."""
    read = {
        b"hash": redis.hgetall,
        b"zset": lambda key: redis.zrange(key, 0, -1, withscores=True),
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"set": redis.smembers,
        b"string": redis.get,
    }
    found = []
    for key in redis.scan_iter(count=1000):
        kind: Any = redis.type(key)
        found.append(f"{key!r} {read[kind](key) if kind in read else ''!r}")
    return found


def _page(address: str) -> str:
    with urlopen(f"{address}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
        text: str = answer.read().decode()
        return text


def _raw(ground: Ground, provider: Provider) -> list[dict[str, Any]]:
    return ground.sandbox.control.journal(provider.name, raw=True)


def _asked_with(ground: Ground, provider: Provider, key: str) -> list[float]:
    """When requests with *key* arrived."""
    return [entry["at"] for entry in _raw(ground, provider) if entry["headers"].get(HEADER) == key]


def _letters(ground: Ground, provider: Provider) -> list[dict[str, object]]:
    with ground.client() as state:
        return list(DeadLetters(state, provider.name))


def _forget(ground: Ground, provider: Provider) -> None:
    """Have what was learnt of both keys forgotten."""
    with ground.client() as state:
        limits.forget(state, keys(provider.name).limits_of(KEYS))


def _all_done(calls: list[AsyncResult[int]]) -> None:
    """Return when every call has succeeded."""
    until(lambda: all(call.ready() for call in calls), 20.0, told=lambda: [call.state for call in calls])
    assert {call.state for call in calls} == {"SUCCESS"}
