"""Access tokens of a fleet: real Redis, and a token host behind a real socket."""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.fleet import until
from tests.sandbox import TOKEN, Sandbox
from worker.auth.pieces import ClientCredentials
from worker.auth.token_slot import EARLY, SETTLED, Token
from worker.auth.tokens import FAILED_FOR, GRACE, LOOK_AGAIN, Tokens
from worker.clients import TOKEN_SIGNS
from worker.errors import (
    CallError,
    CredentialsRefused,
    ProviderThrottled,
    ProviderUnavailable,
    StateUnavailable,
)
from worker.http.client import HttpClient
from worker.keys import keys
from worker.provider import Provider, Timeouts
from worker.request import Answer, Request
from worker.stores import Line, connect

SECRET = f"sandbox:{TOKEN}"
HOUR = 3600.0


class Held:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


class Counting:
    """A connection that counts its commands, and fails on those that a test names."""

    def __init__(self, redis: Redis) -> None:
        self._line = Line(redis)
        self.commands: Counter[str] = Counter()
        self.failing: Callable[[tuple[Any, ...]], bool] = lambda _: False

    def execute_command(self, *command: Any) -> Any:
        """The reply."""
        self.commands[str(command[0])] += 1
        if self.failing(command):
            raise RedisConnectionError("gone")
        return self._line.execute_command(*command)


class Process:
    """One process's tokens, of the sandbox's Spotify."""

    def __init__(
        self, state: Redis, sandbox: Sandbox, clock: Held, *, secret: str = SECRET, within: float = 10.0
    ) -> None:
        self.redis = Counting(state)
        self.heard: list[str] = []
        self.may_ask = threading.Event()
        self.may_ask.set()
        base = sandbox.base_url("spotify")
        shop = Provider(name="spotify", base_url=base, judge=TOKEN_SIGNS)
        http = HttpClient(shop, base_url=base, credential=None, timeouts=Timeouts(total=within))

        def send(request: Request) -> Answer:
            assert self.may_ask.wait(60.0)
            return http.send(request)

        self.tokens = Tokens(
            "spotify",
            ClientCredentials(url="/api/token"),
            "/api/token",
            send,
            [secret],
            self.redis,
            keys("spotify"),
            within=within,
            bought=self.heard.append,
            clock=clock,
        )

    def held(self, _: int = 0) -> Token:
        """A token for one call."""
        return self.tokens.held(0)

    def failed(self, _: int = 0) -> CallError:
        """Why there is none."""
        with pytest.raises(CallError) as why:
            self.held()
        return why.value

    def refused(self, token: Token, status: int | None = 401) -> bool:
        """Whether another may take the place of *token*, which the API has just refused."""
        return self.tokens.renews(0, token, CredentialsRefused(status=status))


Make = Callable[..., Process]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Every provider, without the City's rows."""
    with Sandbox(rows={}) as running:
        yield running


@pytest.fixture
def clock() -> Held:
    """Every process's clock."""
    return Held()


@pytest.fixture
def make(state: Redis, sandbox: Sandbox, clock: Held) -> Make:
    """Builds a process of the fleet."""
    return lambda **changed: Process(state, sandbox, clock, **changed)


@pytest.fixture
def crowd() -> Iterator[ThreadPoolExecutor]:
    """Five hundred threads."""
    with ThreadPoolExecutor(500) as pool:
        yield pool


def asked(sandbox: Sandbox) -> int:
    """How many requests reached the token host."""
    count: int = sandbox.control.counts("spotify")["count"]
    return count


def token_key(state: Redis) -> str:
    """Where the only token lies."""
    found: Any = state.keys("narrows:{spotify}:token:*")
    (key,) = [each for each in found if each.count(b":") == 3]
    return str(key.decode())


def test_a_token_is_bought_once_for_the_whole_fleet(make: Make, sandbox: Sandbox) -> None:
    """The second process finds it in Redis, and afterwards neither asks anybody."""
    one, other = make(), make()

    first, second = one.held(), other.held()
    before = one.redis.commands.total(), other.redis.commands.total()
    again = [one.held(), other.held()]

    assert first.text == second.text
    assert [each.text for each in again] == [first.text] * 2
    assert (one.redis.commands.total(), other.redis.commands.total()) == before
    assert sandbox.spotify.sold == asked(sandbox) == 1


def test_five_hundred_calls_at_once_buy_one_token(
    make: Make, sandbox: Sandbox, crowd: ThreadPoolExecutor
) -> None:
    """In four processes, where there is none yet, at a token host that takes its time."""
    fleet = [make() for _ in range(4)]
    sandbox.control.fault("spotify", latency_ms=300)

    held = list(crowd.map(lambda n: fleet[n % 4].held(), range(500)))

    assert len({each.text for each in held}) == 1
    assert sandbox.spotify.sold == asked(sandbox) == 1


def test_five_hundred_calls_on_a_token_past_its_end_buy_one(
    make: Make, sandbox: Sandbox, clock: Held, crowd: ThreadPoolExecutor, state: Redis
) -> None:
    """It still lies in Redis, and every process remembers it."""
    fleet = [make() for _ in range(4)]
    old, *_ = [each.held() for each in fleet]
    clock.now = old.until + 1.0
    assert state.exists(token_key(state))
    sandbox.control.fault("spotify", latency_ms=300)

    held = list(crowd.map(lambda n: fleet[n % 4].held(), range(500)))

    assert {each.text for each in held} == {fleet[0].held().text} != {old.text}
    assert sandbox.spotify.sold == asked(sandbox) == 2


def test_five_hundred_calls_whose_token_is_refused_buy_one(
    make: Make, sandbox: Sandbox, crowd: ThreadPoolExecutor
) -> None:
    """Each hears the 401 by itself, before or after another has bought the next one."""
    fleet = [make() for _ in range(4)]
    old, *_ = [each.held() for each in fleet]
    sandbox.control.fault("spotify", latency_ms=200)

    def call(number: int) -> Token:
        process = fleet[number % 4]
        time.sleep(number / 2000)  # some 401s arrive when the next token is long there
        assert process.refused(old)
        return process.held()

    held = list(crowd.map(call, range(500)))

    assert len({each.text for each in held}) == 1
    assert held[0].text != old.text
    assert sandbox.spotify.sold == 2


def test_near_its_end_one_call_renews_it_while_the_others_go_on(
    make: Make, sandbox: Sandbox, clock: Held
) -> None:
    """Five minutes early; nobody but the buyer waits for the token host."""
    fleet = [make() for _ in range(4)]
    old, *_ = [each.held() for each in fleet]
    clock.now = old.until - EARLY + 1.0
    for process in fleet:
        process.may_ask.clear()

    with ThreadPoolExecutor(32) as pool:
        calls = [pool.submit(fleet[n % 4].held) for n in range(32)]
        until(lambda: sum(call.done() for call in calls) == 31)
        waited = [call.result().text for call in calls if call.done()]
        for process in fleet:
            process.may_ask.set()

    (new,) = {call.result().text for call in calls} - {old.text}
    assert waited == [old.text] * 31
    clock.now += LOOK_AGAIN
    assert {process.held().text for process in fleet} == {new}
    assert sandbox.spotify.sold == 2


def test_before_that_nobody_renews_it(make: Make, sandbox: Sandbox, clock: Held) -> None:
    """A process that has just started does not either."""
    old = make().held()
    clock.now = old.until - EARLY - 1.0

    assert make().held().text == old.text
    assert sandbox.spotify.sold == 1


def test_a_token_that_cannot_be_renewed_is_used_to_its_end(
    make: Make, sandbox: Sandbox, clock: Held, state: Redis
) -> None:
    """The token host is asked again now and then, and only after the end do calls fail."""
    process = make()
    old = process.held()
    sandbox.control.fault("spotify", status=500)
    clock.now = old.until - 100.0

    assert [process.held().text for _ in range(20)] == [old.text] * 20
    assert asked(sandbox) == 2

    until(lambda: not state.keys("*:failed"))
    clock.now += LOOK_AGAIN
    assert process.held().text == old.text
    assert asked(sandbox) == 3

    clock.now = old.until
    assert isinstance(process.failed(), ProviderUnavailable)


def test_short_lives_are_used_for_half_and_renewed_then(make: Make, sandbox: Sandbox, clock: Held) -> None:
    """A token of a minute is not for ever near its end."""
    sandbox.spotify.lifetime = 60.0
    process = make()
    first = process.held()
    clock.now += 29.0
    second = process.held()
    clock.now += 2.0
    third = process.held()

    assert first.text == second.text != third.text


def test_a_buyer_that_died_is_followed_by_another(make: Make, sandbox: Sandbox, state: Redis) -> None:
    """Once its lease has run out: nobody else has to do anything."""
    process = make()
    process.held()
    key = token_key(state)
    state.flushall()
    died = time.monotonic()
    state.set(f"{key}:asking", "somebody who died", px=700)

    assert make().held().text

    _, followed = sandbox.control.journal("spotify")
    assert followed["at"] > died + 0.69
    assert sandbox.spotify.sold == 2


def test_a_buyers_lease_outlasts_its_question_by_little(make: Make, state: Redis) -> None:
    """So that a dead one does not keep the fleet waiting for longer than it must."""
    process = make(within=10.0)
    process.may_ask.clear()
    buyer = threading.Thread(target=process.held)
    buyer.start()

    left = until(lambda: max([state.pttl(key) for key in state.keys("*:asking")], default=0))
    process.may_ask.set()
    buyer.join()

    assert 5_000 < left <= (10.0 + GRACE) * 1000
    assert not state.keys("*:asking")


def test_a_second_refusal_right_after_the_renewal_is_the_credentials(
    make: Make, sandbox: Sandbox, state: Redis
) -> None:
    """No endless renewing: once, and again when the new one has held for a while."""
    process, other = make(), make()
    old = process.held()

    assert process.refused(old)
    new = process.held()
    assert new.anew
    assert not process.refused(new)
    assert not other.refused(new)
    assert process.held().text == new.text
    settled(state)
    assert process.refused(new)
    assert process.held().text != new.text
    assert sandbox.spotify.sold == 3


def settled(state: Redis) -> None:
    """Have the time be over for which a token must hold that was bought for a refusal."""
    (key,) = state.keys("*:anew")
    assert SETTLED * 900 < state.pttl(key) <= SETTLED * 1000
    state.pexpire(key, 1)
    until(lambda: not state.exists(key))


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
def test_whether_a_new_token_has_held_is_told_by_no_workers_clock(
    state: Redis, sandbox: Sandbox, make: Make, clock: Held, ahead: float
) -> None:
    """The buyer's is ten minutes from that of the worker that hears the next refusals."""
    skewed = Held()
    skewed.now = clock.now + ahead
    buyer, other = Process(state, sandbox, skewed), make()
    assert buyer.refused(buyer.held())
    new = buyer.held()

    assert other.held().text == new.text
    assert not other.refused(new)
    settled(state)
    assert other.refused(new)


def test_a_short_token_that_was_bought_for_a_refusal_must_hold_for_no_longer_than_it_lives(
    make: Make, sandbox: Sandbox, state: Redis
) -> None:
    """What is remembered of it goes with it."""
    process = make()
    old = process.held()
    sandbox.spotify.lifetime = 20.0

    assert process.refused(old)
    process.held()

    (key,) = state.keys("*:anew")
    assert 10_000 < state.pttl(key) <= 20_000


def test_a_late_refusal_of_an_old_token_leaves_the_new_one_alone(make: Make, sandbox: Sandbox) -> None:
    """It was on its way when another call heard the same."""
    one, other = make(), make()
    old = one.held()
    other.held()
    assert one.refused(old)
    new = one.held()

    assert other.refused(old)

    assert one.held().text == other.held().text == new.text
    assert sandbox.spotify.sold == 2


def test_a_token_bought_in_the_usual_way_may_be_refused_at_once(make: Make) -> None:
    """That it is young says nothing; only what was bought for a refusal has to hold."""
    process = make()
    token = process.held()

    assert not token.anew
    assert process.refused(token)


@pytest.mark.parametrize("status", [400, 403, None])
def test_other_refusals_are_none_of_the_tokens(make: Make, sandbox: Sandbox, status: int | None) -> None:
    """Spotify's 403 speaks of what was asked."""
    process = make()
    token = process.held()

    assert not process.refused(token, status)
    assert process.held().text == token.text
    assert sandbox.spotify.sold == 1


FAULTS = [
    ({"status": 500}, ProviderUnavailable, 500),
    ({"status": 503, "retry_after": "1"}, ProviderUnavailable, 503),
    ({"status": 401}, CredentialsRefused, 401),
    ({"status": 404}, ProviderUnavailable, 404),
    ({"status": 405}, ProviderUnavailable, 405),
    ({"mode": "throttle", "retry_after": "7"}, ProviderThrottled, 429),
    ({"mode": "redirect"}, ProviderUnavailable, 302),
    ({"mode": "html"}, ProviderUnavailable, None),
    ({"mode": "garbage"}, ProviderUnavailable, None),
    ({"mode": "reset"}, ProviderUnavailable, None),
    ({"mode": "truncate"}, ProviderUnavailable, None),
    ({"mode": "endless"}, ProviderUnavailable, None),
    ({"mode": "hang"}, ProviderUnavailable, None),
    ({"mode": "drip_body", "pause_ms": 400.0}, ProviderUnavailable, None),
]


@pytest.mark.parametrize(("fault", "kind", "status"), FAULTS, ids=lambda each: str(each)[:40])
def test_whatever_the_token_host_does_it_is_asked_once_and_all_hear_the_same(
    make: Make, sandbox: Sandbox, fault: dict[str, Any], kind: type[CallError], status: int | None
) -> None:
    """No storm, no error that is not ours, and nothing that would make a submission doubtful."""
    fleet = [make(within=1.0) for _ in range(2)]
    sandbox.control.fault("spotify", **fault)
    started = time.monotonic()

    with ThreadPoolExecutor(40) as pool:
        errors = list(pool.map(lambda n: fleet[n % 2].failed(), range(40)))

    assert len({type(each) for each in errors}) == 1
    assert isinstance(errors[0], kind)
    assert status is None or {getattr(each, "status", None) for each in errors} == {status}
    assert not any(each.sent for each in errors)
    times = asked(sandbox)
    assert times <= 1 + (time.monotonic() - started) / FAILED_FOR
    assert len(fleet[0].heard + fleet[1].heard) == times


def test_a_client_that_is_not_known_is_refused_by_name_of_the_error_only(
    make: Make, sandbox: Sandbox
) -> None:
    """``invalid_client`` says what to mend; the secret stands nowhere."""
    sandbox.spotify.clients.clear()

    why = make().failed()

    assert isinstance(why, CredentialsRefused)
    assert "invalid_client" in str(why)
    assert TOKEN not in str(why)
    assert why.neutral


def test_a_throttled_token_host_is_left_alone_for_as_long_as_it_says(
    make: Make, sandbox: Sandbox, state: Redis
) -> None:
    """As long as one exchange may take at least; the fleet's cooldown does the rest."""
    sandbox.control.fault("spotify", mode="throttle", retry_after="36000")
    why = make(within=10.0).failed()

    (failed,) = state.keys("*:failed")

    assert isinstance(why, ProviderThrottled)
    assert why.retry_after == 36_000.0
    assert 5_000 < state.pttl(failed) <= 10_000


@pytest.mark.parametrize("left", [200.0, 30.0])
def test_a_throttled_token_host_is_left_alone_for_as_long_as_there_is_a_token(
    make: Make, sandbox: Sandbox, state: Redis, clock: Held, left: float
) -> None:
    """Nobody waits for the next one, so it is not asked for before the host wants to be asked."""
    process = make(within=10.0)
    old = process.held()
    clock.now = old.until - left
    sandbox.control.fault("spotify", mode="throttle", retry_after="36000")

    assert [process.held().text, make().held().text] == [old.text] * 2

    (failed,) = state.keys("*:failed")
    assert asked(sandbox) == 2
    assert (left - 10) * 1000 < state.pttl(failed) <= left * 1000


def test_after_a_failure_the_token_host_is_asked_again_in_a_moment(
    make: Make, sandbox: Sandbox, state: Redis
) -> None:
    """And nobody has to forget anything."""
    process = make()
    sandbox.control.fault("spotify", status=500, times=1)
    process.failed()

    (failed,) = state.keys("*:failed")
    assert 0 < state.pttl(failed) <= FAILED_FOR * 1000
    until(lambda: not state.exists(failed))

    assert process.held().text
    assert process.heard == ["upstream_error", "success"]


def test_neither_token_nor_secret_can_be_read_in_redis(make: Make, state: Redis) -> None:
    """Nor are they there in base64, and the name of the key gives nothing away."""
    token = make().held()

    server: Any = state
    held = b" ".join([key + b" " + server.get(key) for key in server.keys("*")])

    for secret in (token.text, TOKEN, SECRET):
        for shift in range(3):
            inside = base64.b64encode(b"\0" * shift + secret.encode())[4:-4]
            assert inside not in held
        assert secret.encode() not in held
    assert token.text not in repr(token)


def test_who_has_another_secret_cannot_use_the_token(make: Make, sandbox: Sandbox, state: Redis) -> None:
    """Not even when it is laid under that one's own key."""
    mine = make().held()
    sealed: Any = state.get(token_key(state))
    sandbox.spotify.clients.add("sandbox:another")
    state.flushall()
    other = make(secret="sandbox:another")
    theirs = other.held()
    state.set(token_key(state), sealed)

    again = make(secret="sandbox:another").held()

    assert len({mine.text, theirs.text, again.text}) == 3


@pytest.mark.parametrize("rubbish", [b"", b"{}", b"refused by nobody", b"\xff\x00"])
def test_rubbish_in_a_tokens_place_is_replaced(make: Make, state: Redis, rubbish: bytes) -> None:
    """Whoever put it there."""
    make().held()
    key = token_key(state)
    state.set(key, rubbish)

    fresh = make().held()

    assert make().held().text == fresh.text


def test_a_token_of_another_release_is_bought_anew(make: Make, state: Redis, sandbox: Sandbox) -> None:
    """Its fields are not ours, and it is no reason to fail."""
    process = make()
    process.held()
    slot = process.tokens._slots[0]
    state.set(slot.key, slot._seal.encrypt(b'{"text": "x", "colour": "blue"}'))

    assert make().held().text
    assert sandbox.spotify.sold == 2


def test_without_redis_there_is_no_token(sandbox: Sandbox, clock: Held) -> None:
    """Nothing is bought either, or every call of every worker would buy one."""
    nowhere = connect("redis://127.0.0.1:9/0")

    with pytest.raises(StateUnavailable):
        Process(nowhere, sandbox, clock).held()

    assert asked(sandbox) == 0
    nowhere.close()


@pytest.mark.parametrize("at", range(1, 9))
def test_redis_may_go_away_at_any_command_of_a_purchase(
    make: Make, sandbox: Sandbox, state: Redis, at: int
) -> None:
    """The call hears StateUnavailable, and the next one gets a token when Redis is back."""
    process = make(within=1.0)
    process.redis.failing = lambda _: process.redis.commands.total() >= at
    hurt = True
    try:
        process.held()
        hurt = False
    except StateUnavailable:
        pass
    assert hurt == (process.redis.commands.total() >= at)
    process.redis.failing = lambda _: False
    state.delete(*(state.keys("*:asking") or ["none"]))  # its lease runs out by itself

    assert make().held().text
    assert sandbox.spotify.sold <= 2


def test_a_remembered_token_needs_no_redis(make: Make) -> None:
    """Not until it is near its end."""
    process = make()
    token = process.held()
    process.redis.failing = lambda _: True

    assert process.held() is token
    with pytest.raises(StateUnavailable):
        process.refused(token)


@given(since=st.floats(1e9, 2e9), seconds=st.floats(0.01, 30 * 86_400.0))
def test_a_token_is_renewed_before_it_ends_and_not_at_once(since: float, seconds: float) -> None:
    """Whatever it says of its life: half of it at least goes by, and there is time left for a request."""
    token = Token(text="x", since=since, until=since + seconds)
    life = token.until - token.since

    assert token.since + life / 2 - 1e-3 <= token.renew_at < token.until
    assert token.good(token.renew_at)
    assert not token.good(token.until)
