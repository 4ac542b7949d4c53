"""The way of a call that shows an access token: real gate, real Redis, Spotify behind a socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import SecretStr
from redis import Redis
from redis.exceptions import ConnectionError as RedisGone

from config.settings import ProviderSettings
from tasks.spotify import PROVIDER, lookup
from tests.sandbox import TOKEN, Reply, Request, Sandbox, json_reply
from tests.sandbox.faults import Fault
from tests.sandbox.spotify import numbered
from worker.auth.pieces import ClientCredentials
from worker.auth.tokens import FAILED_FOR
from worker.cache.cache import Cache
from worker.claim import Claim
from worker.errors import (
    CallError,
    CircuitBreakerOpenError,
    CredentialsRefused,
    ProviderUnavailable,
    StateUnavailable,
)
from worker.gateway import open_gateway
from worker.keys import keys
from worker.metrics.metrics import Metrics
from worker.pipeline import Pipeline
from worker.provider import Provider, Rate
from worker.request import Answer
from worker.watcher import Watcher

NAME = PROVIDER.name
FREE = Rate(calls=10_000, burst=1000)


class Worker:
    """One worker's pipeline, with the credentials that a deployment gives it."""

    def __init__(
        self,
        state: Redis,
        base: str,
        *credentials: str,
        provider: Provider = PROVIDER,
        rate: Rate = FREE,
    ) -> None:
        settings = ProviderSettings(
            base_url=f"{base}/v1",
            token_url=f"{base}/api/token",
            api_keys=tuple(map(SecretStr, credentials or [f"sandbox:{TOKEN}"])),
        )
        self.registry = CollectorRegistry()
        watcher = Watcher(Metrics(self.registry))
        gateway = open_gateway(
            replace(provider, rate=rate),
            settings,
            state,
            state,
            None,
            Cache(state),
            bought=lambda status: watcher.token_asked(NAME, status),
        )
        self.pipeline = Pipeline(lambda _: gateway, inline_wait=10.0, watcher=watcher)

    def ask(self, number: int = 1, method: str = "GET") -> Answer:
        """One call for the numbered track, as a task that ends after it."""
        claim, asked = Claim(), replace(lookup(numbered(number)), method=method)
        try:
            return self.pipeline.call(self.pipeline.gateway(NAME), asked, claim)
        finally:
            self.pipeline.tell(claim)

    def fails(self, number: int = 1, method: str = "GET") -> CallError:
        """Why it has no answer."""
        with pytest.raises(CallError) as why:
            self.ask(number, method)
        return why.value

    def metric(self, line: str) -> float:
        """The sample that *line* names, 0.0 when there is none."""
        lines = generate_latest(self.registry).decode().splitlines()
        return sum(float(each.rpartition(" ")[2]) for each in lines if each.startswith(line))


Hire = Callable[..., Worker]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """Every provider, without the City's rows."""
    with Sandbox(rows={}) as running:
        yield running


@pytest.fixture
def hire(state: Redis, sandbox: Sandbox) -> Hire:
    """Builds a worker."""
    return lambda *credentials, **changed: Worker(state, sandbox.base_url(NAME), *credentials, **changed)


def statuses(sandbox: Sandbox, path: str) -> list[int]:
    """What requests below *path* were answered."""
    journal = sandbox.control.journal(NAME)
    return [entry["status"] for entry in journal if entry["path"].startswith(path)]


def test_a_token_that_was_revoked_is_renewed_once_and_the_call_made_again(
    hire: Hire, sandbox: Sandbox
) -> None:
    """The caller hears nothing of it, nobody is alarmed, and no attempt is used."""
    worker = hire()
    worker.ask(1)
    sandbox.spotify.revoke()

    assert worker.ask(2).data["name"] == "Tide Number 2"

    assert statuses(sandbox, "/v1/tracks") == [200, 401, 200]
    assert sandbox.spotify.sold == 2
    assert worker.metric("credentials_refused_total{") == 0.0


def test_five_hundred_calls_in_flight_when_it_is_revoked_buy_one_token(hire: Hire, sandbox: Sandbox) -> None:
    """Over four workers; each call is made twice at most."""
    workers = [hire() for _ in range(4)]
    for worker in workers:
        worker.ask(501)
    sandbox.spotify.revoke()
    sandbox.control.reset()
    sandbox.control.fault(NAME, latency_ms=100)

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda n: workers[n % 4].ask(n).status, range(1, 501)))

    assert answers == [200] * 500
    assert sandbox.spotify.sold == 2
    assert len(statuses(sandbox, "/v1/tracks")) <= 1000


def test_a_new_token_that_is_refused_as_well_is_a_refused_credential(hire: Hire, sandbox: Sandbox) -> None:
    """A person is called, and no further token is bought, however many calls follow."""
    worker = hire()
    worker.ask(1)
    sandbox.spotify.takes = False

    why = worker.fails(2)
    more = [worker.fails(number) for number in range(3, 13)]

    assert {type(each) for each in [why, *more]} == {CredentialsRefused}
    assert getattr(why, "status", None) == 401
    assert not why.passing
    assert sandbox.spotify.sold == 2
    assert len(statuses(sandbox, "/v1/tracks")) == 1 + 2 + 10
    assert worker.metric("credentials_refused_total{") == 11.0


def test_a_forbidden_track_costs_nobody_their_token(hire: Hire, sandbox: Sandbox) -> None:
    """403 speaks of what was asked."""
    worker = hire()
    worker.ask(1)
    sandbox.control.fault(NAME, status=403, only="/v1/tracks", times=1)

    assert isinstance(worker.fails(2), CredentialsRefused)
    assert worker.ask(3).status == 200
    assert sandbox.spotify.sold == 1


def test_a_client_that_is_refused_calls_a_person_and_leaves_the_breaker_alone(
    hire: Hire, sandbox: Sandbox
) -> None:
    """The API was never asked; the token host once for all of them."""
    worker, started = hire("sandbox:wrong"), time.monotonic()

    errors = [worker.fails(number) for number in range(1, 21)]

    assert {type(each) for each in errors} == {CredentialsRefused}
    asked = statuses(sandbox, "/")
    assert set(asked) == {400}
    assert len(asked) <= 1 + (time.monotonic() - started) / FAILED_FOR
    assert worker.metric("credentials_refused_total{") == 20.0
    assert worker.metric("token_requests_total{") == len(asked)
    assert worker.pipeline.gateway(NAME).breaker.current_state == "closed"


def test_a_token_address_that_is_wrong_is_not_a_track_that_is_missing(hire: Hire, sandbox: Sandbox) -> None:
    """A 404 there would read as "no such track" for every track that there is."""
    sandbox.control.fault(NAME, status=404, only="/api/token")

    why = hire().fails()

    assert isinstance(why, ProviderUnavailable)
    assert "its token host" in str(why)


@pytest.mark.parametrize("fault", [{"status": 500}, {"mode": "garbage"}, {"mode": "redirect"}])
def test_a_token_host_that_is_down_or_astray_opens_the_breaker_without_a_storm(
    hire: Hire, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    """Calls then wait for it as for the API itself, and none is given up for what it said."""
    worker, started = hire(), time.monotonic()
    sandbox.control.fault(NAME, only="/api/token", **fault)

    errors = [worker.fails(number) for number in range(1, 21)]

    assert {type(each) for each in errors} == {ProviderUnavailable, CircuitBreakerOpenError}
    assert worker.pipeline.gateway(NAME).breaker.current_state == "open"
    asked = statuses(sandbox, "/")
    assert statuses(sandbox, "/v1") == []
    assert len(asked) <= 1 + (time.monotonic() - started) / FAILED_FOR


def test_of_two_clients_the_one_that_is_refused_is_set_aside(hire: Hire, sandbox: Sandbox) -> None:
    """Each has a token of its own, and calls are made with the other."""
    sandbox.spotify.clients = {"good:canary-good"}
    worker = hire("bad:canary-bad", "good:canary-good")

    assert [worker.ask(number).status for number in range(1, 7)] == [200] * 6

    assert sandbox.spotify.sold == 1
    assert statuses(sandbox, "/api/token").count(400) <= 1


def test_a_submission_whose_token_was_refused_is_made_again_and_not_in_doubt(
    hire: Hire, sandbox: Sandbox
) -> None:
    """A 401 says that nothing was done."""
    worker = hire()
    worker.ask(1)
    sandbox.spotify.revoke()

    assert worker.ask(2, "POST").status == 200
    assert statuses(sandbox, "/v1/tracks") == [200, 401, 200]


@pytest.mark.parametrize("fault", [{"status": 500}, {"mode": "reset"}, {"mode": "garbage"}])
def test_a_submission_without_a_token_never_left_so_it_is_not_in_doubt(
    hire: Hire, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    """What went to the token host did nothing that could be done twice."""
    sandbox.control.fault(NAME, only="/api/token", **fault)

    why = hire().fails(1, "POST")

    assert isinstance(why, ProviderUnavailable)
    assert not why.sent
    assert statuses(sandbox, "/v1/tracks") == []


class Echoing:
    """Plays a provider that says back whatever it was told, as if it were an error's code."""

    name = "echoing"
    tells = ""

    async def answer(self, request: Request) -> Reply:
        """The credential."""
        if request.path == "/api/token" and not self.tells:
            return json_reply({"access_token": "canary-token", "expires_in": 60})
        return json_reply({"error": self.tells or "canary-token"}, status=401)

    def failure(self, status: int) -> Reply:
        """Few words."""
        return json_reply({}, status=status)


@pytest.mark.parametrize("tells", ["", "canary-secret", "canary-id"])
def test_who_says_a_token_or_a_secret_back_does_not_get_it_into_an_error(state: Redis, tells: str) -> None:
    """The token host, or (where that says nothing) the API; errors stand in letters and logs."""
    echo = Echoing()
    echo.tells = tells
    with Sandbox(players=[echo]) as running:
        worker = Worker(state, running.base_url("echoing"), "canary-id:canary-secret")
        why = worker.fails()

    assert isinstance(why, CredentialsRefused)
    assert "canary" not in f"{why} {why!r} {why.__cause__} {why.__context__}"


def test_no_repr_shows_a_token_or_a_secret(hire: Hire, sandbox: Sandbox) -> None:
    """Of anything that stands in a traceback's frames."""
    worker = hire("sandbox:canary-secret")
    sandbox.spotify.clients.add("sandbox:canary-secret")
    worker.ask()
    gateway = worker.pipeline.gateway(NAME)
    tokens: Any = gateway.tokens
    asked = ClientCredentials(url="x").request("/x", "sandbox:canary-secret")

    shown = [repr(each) for each in (gateway.http, tokens, tokens._slots, tokens.held(0), asked)]

    assert not [text for text in shown if "canary" in text or "BQsandbox" in text]


def test_calls_wait_for_a_token_together_and_not_behind_each_other(hire: Hire, sandbox: Sandbox) -> None:
    """Thirty calls and one slow purchase take as long as the purchase and a call."""
    worker = hire()
    sandbox.control.fault(NAME, latency_ms=500, only="/api/token")
    begun = threading.Barrier(30)

    def ask(number: int) -> int:
        begun.wait()
        return worker.ask(number).status

    with ThreadPoolExecutor(30) as pool:
        assert list(pool.map(ask, range(1, 31))) == [200] * 30

    arrived = [each["at"] for each in sandbox.control.journal(NAME)]
    assert max(arrived) - min(arrived) < 30 * 0.5
    assert sandbox.spotify.sold == 1


def test_calls_that_waited_for_a_token_leave_at_their_providers_pace(hire: Hire, sandbox: Sandbox) -> None:
    """Their moments passed while it was bought, so each takes another."""
    worker = hire(rate=Rate(calls=20, burst=1))
    sandbox.control.faults[NAME].set([Fault(latency_ms=1500, only="/api/token")])

    with ThreadPoolExecutor(20) as callers:
        list(callers.map(worker.ask, range(1, 21)))

    tracks = [entry for entry in sandbox.control.journal(NAME) if entry["path"].startswith("/v1/")]
    moments = sorted(entry["at"] for entry in tracks)
    assert len(moments) == 20
    assert moments[-1] - moments[0] > 0.6


def test_nothing_is_marked_as_sent_while_its_token_cannot_be_had(state: Redis, sandbox: Sandbox) -> None:
    """Redis goes away for the token alone: the submission was not sent, and is not in doubt."""

    class NoTokens:
        def execute_command(self, *command: Any) -> Any:
            if command[0] == "GET":
                raise RedisGone
            return state.execute_command(*command)

    settings = ProviderSettings(base_url=sandbox.base_url(NAME), api_keys=(SecretStr(f"sandbox:{TOKEN}"),))
    gateway = open_gateway(PROVIDER, settings, state, NoTokens(), None, Cache(state))
    pipeline = Pipeline(lambda _: gateway, inline_wait=1.0, watcher=Watcher(Metrics(CollectorRegistry())))
    claim = Claim(home=NAME, task_id="s1", rebuild=lambda: "{}")

    with pytest.raises(StateUnavailable):
        pipeline.call(gateway, replace(lookup(numbered(1)), method="POST"), claim)

    assert not claim.sending
    assert not state.exists(keys(NAME).call("s1"))
