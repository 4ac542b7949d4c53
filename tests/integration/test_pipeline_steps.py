"""What an operation yields beside requests, done by the engine on a real Redis."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import pytest
from redis import Redis

from tests.fleet import until
from tests.sandbox import Sandbox
from worker.cache.cache import Cache
from worker.claim import Claim
from worker.errors import CallInFlight, ProviderUnavailable, StateUnavailable
from worker.gateway import Gateway, open_gateway
from worker.keys import keys
from worker.metrics.metrics import Metrics
from worker.performing import Performance
from worker.pipeline import Pipeline
from worker.provider import Breaker, Provider, Retry
from worker.request import Request
from worker.steps import Alone, Do, Progress, Safe, Steps, asking
from worker.stores import connect
from worker.watcher import Watcher

HOME, OTHER = "stub", "storage"
OK = Request(path="/anything")


class Worker:
    """One process's part of a fleet with two providers."""

    def __init__(self, sandbox: Sandbox, state: Redis, client: Redis | None = None) -> None:
        self.progress: list[Progress] = []
        self._client = client or state
        self._gateways = {name: self._gateway(name, sandbox.base_url(name)) for name in (HOME, OTHER)}
        self.pipeline = Pipeline(self._gateways.__getitem__, inline_wait=0.5, watcher=Watcher(Metrics()))

    def _gateway(self, name: str, base_url: str) -> Gateway:
        provider = Provider(
            name=name,
            base_url=base_url,
            breaker=Breaker(failures=None),
            retry=Retry(attempts=3, within=60.0, first=0.1, most=0.2),
        )
        return open_gateway(provider, None, self._client, self._client, None, Cache(self._client))

    def perform(self, steps: Steps[Any], claim: Claim | None = None) -> Any:
        """What the operation returns."""
        return Performance(self.pipeline, HOME, "op", claim or Claim(), self.progress.append).of(steps)

    def gateway(self, name: str = HOME) -> Gateway:
        """A provider's gateway."""
        return self._gateways[name]


@pytest.fixture
def worker(sandbox: Sandbox, state: Redis) -> Worker:
    """A worker."""
    return Worker(sandbox, state)


@pytest.fixture
def another(sandbox: Sandbox, state: Redis) -> Worker:
    """Another worker of the same fleet."""
    return Worker(sandbox, state)


def recorded(task_id: str) -> Claim:
    """A claim on a call whose record the first begin writes."""
    return Claim(home=HOME, task_id=task_id, rebuild=lambda: "{}")


def test_what_is_to_be_done_is_done_and_its_value_sent_back(worker: Worker) -> None:
    """In its turn between requests."""

    def steps() -> Steps[list[Any]]:
        first = yield Do(lambda: "written")
        answer = yield OK
        return [first, answer.data]

    assert worker.perform(steps()) == ["written", {"ok": True}]


def test_what_an_action_raises_is_raised_where_it_was_wanted(worker: Worker) -> None:
    """The operation may go on, whatever it was; what it does not catch ends it as itself."""

    def careful() -> Steps[str]:
        try:
            yield Do(lambda: 1 / 0)
        except ZeroDivisionError:
            return str((yield Do(lambda: "another way")))
        return "never"

    def careless() -> Steps[None]:
        yield Do(lambda: 1 / 0)

    assert worker.perform(careful()) == "another way"
    with pytest.raises(ZeroDivisionError):
        worker.perform(careless())


def test_progress_is_shown_in_order(worker: Worker) -> None:
    """As it was yielded."""

    def steps() -> Steps[None]:
        for done in range(3):
            yield Progress(done=done, total=2)

    worker.perform(steps())

    assert [(each.done, each.total) for each in worker.progress] == [(0, 2), (1, 2), (2, 2)]


def alone_with(inside: Worker | None, what: str = "mark") -> Steps[Any]:
    """Alone in the fleet, and meanwhile another worker's attempt at the same."""
    yield Alone(what)
    if inside is None:
        return "alone"
    with pytest.raises(CallInFlight) as held:
        inside.perform(alone_with(None, what))
    return held.value


def test_one_of_the_fleet_is_alone_and_the_others_wait(worker: Worker, another: Worker) -> None:
    """Not made, so it costs no attempt; when the first has ended the next one follows at once."""
    held = worker.perform(alone_with(another))

    assert (held.provider, held.passing, held.waits) == (HOME, True, True)
    assert held.wait > 0
    assert another.perform(alone_with(None)) == "alone"


@pytest.mark.parametrize("fault", [{"mode": "reset"}, {"status": 504}])
def test_others_wait_while_what_was_asked_for_may_still_be_done(
    worker: Worker, another: Worker, sandbox: Sandbox, fault: dict[str, Any]
) -> None:
    """A write that nobody answered may come late, behind theirs."""
    sandbox.control.fault(HOME, **fault)

    with pytest.raises(ProviderUnavailable):
        worker.perform(written(Request(path="/mark", method="PUT", data={})))

    with pytest.raises(CallInFlight):
        another.perform(alone_with(None))
    until(partial(_alone, another), 10)


@pytest.mark.parametrize(("method", "fault"), [("GET", {"mode": "reset"}), ("PUT", {"status": 503})])
def test_others_do_not_wait_for_what_changed_nothing(
    worker: Worker, another: Worker, sandbox: Sandbox, method: str, fault: dict[str, Any]
) -> None:
    """Only a question, or a refusal that the provider itself gave."""
    sandbox.control.fault(HOME, **fault)

    with pytest.raises(ProviderUnavailable):
        worker.perform(written(Request(path="/mark", method=method)))

    assert another.perform(alone_with(None)) == "alone"


def written(request: Request) -> Steps[None]:
    """What is asked while nobody else does the same."""
    yield Alone("mark", seconds=1.0)
    yield request


def _alone(worker: Worker) -> bool:
    try:
        return bool(worker.perform(alone_with(None)) == "alone")
    except CallInFlight:
        return False


def test_others_do_not_wait_for_another_thing(worker: Worker, another: Worker) -> None:
    """Each name is its own."""

    def steps() -> Steps[Any]:
        yield Alone("mark a")
        return another.perform(alone_with(None, "mark b"))

    assert worker.perform(steps()) == "alone"


def test_who_fails_is_alone_no_longer(worker: Worker, another: Worker) -> None:
    """However the operation ends."""

    def steps() -> Steps[None]:
        yield Alone("mark")
        yield Do(lambda: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        worker.perform(steps())

    assert another.perform(alone_with(None)) == "alone"


def test_who_was_killed_is_alone_for_its_seconds_and_no_longer(worker: Worker, another: Worker) -> None:
    """Its lease runs out on Redis's clock."""
    left = Performance(worker.pipeline, HOME, "op", Claim(), print)
    left._done(Alone("mark", seconds=0.4))

    with pytest.raises(CallInFlight):
        another.perform(alone_with(None))
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert another.perform(alone_with(None)) == "alone"
            break
        except CallInFlight:
            time.sleep(0.05)
    else:
        pytest.fail("it stayed alone")


def test_another_providers_steps_are_alone_among_that_providers(worker: Worker, another: Worker) -> None:
    """A composite and the provider's own operation exclude one another."""
    other = another.gateway(OTHER).provider

    def own() -> Steps[str]:
        yield Alone("mark")
        return "alone"

    def composite() -> Steps[Any]:
        yield from asking(other, own())
        with pytest.raises(CallInFlight) as held:
            Performance(another.pipeline, OTHER, "own", Claim(), print).of(own())
        return held.value.provider

    assert worker.perform(composite()) == OTHER


def test_nobody_is_alone_without_redis(sandbox: Sandbox, state: Redis) -> None:
    """It waits until Redis is back."""
    cut_off = Worker(sandbox, state, client=connect("redis://127.0.0.1:1/0"))

    with pytest.raises(StateUnavailable):
        cut_off.perform(alone_with(None))


def test_failures_are_counted_anew_from_what_is_safe(worker: Worker, state: Redis, sandbox: Sandbox) -> None:
    """A call that failed twice before has all its attempts again, also in its record."""
    claim = recorded("long")
    records = keys(HOME).call("long")
    worker.perform(iter_of(OK), claim)
    past: dict[Any, Any] = {"attempt": 2, "first_failed_at": 1, "throttled_at": 1, "losses": 2, "place": 7}
    state.hset(records, mapping=past)
    claim.attempt, claim.first_failed_at = 2, 1.0
    sandbox.control.fault(HOME, status=503, only="/fails")

    def steps() -> Steps[None]:
        yield OK
        yield Safe()
        yield Request(path="/fails")

    with pytest.raises(ProviderUnavailable) as failed:
        worker.perform(steps(), claim)

    assert (failed.value.passing, claim.attempt) == (True, 0)
    assert claim.retry_in is not None
    assert state.hmget(records, "first_failed_at", "throttled_at", "losses", "place") == [None] * 4


def test_without_being_safe_the_last_attempt_is_the_last(
    worker: Worker, state: Redis, sandbox: Sandbox
) -> None:
    """What the test before stands against."""
    claim = recorded("long")
    worker.perform(iter_of(OK), claim)
    state.hset(keys(HOME).call("long"), mapping={"attempt": 2})
    sandbox.control.fault(HOME, status=503, only="/fails")

    with pytest.raises(ProviderUnavailable) as failed:
        worker.perform(iter_of(Request(path="/fails")), claim)

    assert failed.value.passing is False


def iter_of(request: Request) -> Steps[Any]:
    """One request."""
    return (yield request)


def test_who_was_overtaken_while_it_stood_still_begins_anew(worker: Worker, another: Worker) -> None:
    """What it read before is no longer so; the other was alone meanwhile, and is done by now."""
    done: list[str] = []

    def slow() -> Steps[None]:
        yield Alone("mark", seconds=0.2)
        yield Do(lambda: time.sleep(0.4))
        another.perform(alone_with(None))
        yield Do(lambda: done.append("written over the other's"))

    with pytest.raises(CallInFlight):
        worker.perform(slow())

    assert done == []


def test_an_operation_is_alone_with_what_it_has_already(worker: Worker) -> None:
    """Named twice, it does not wait for itself."""

    def steps() -> Steps[str]:
        yield Alone("mark")
        yield Alone("mark")
        return "alone"

    assert worker.perform(steps()) == "alone"


def test_what_was_made_safe_is_safe_from_the_next_worker_too(worker: Worker, state: Redis) -> None:
    """A worker that is killed behind it leaves no failures of before it in the record."""
    gate, claim = worker.gateway().gate, recorded("t9")
    _, report = gate.begin(claim)
    gate.finish(report, claim, "retry", wait=0.0, attempt=2, backoff=10.0)
    state.hset(keys(HOME).call("t9"), "state", "queued")
    again = Claim(home=HOME, task_id="t9", recorded=True, lease=0.1)
    gate.begin(again, lease=0.1)

    def steps() -> Steps[None]:
        yield Safe()

    worker.perform(steps(), again)

    assert again.attempt == 0
    assert state.hmget(keys(HOME).call("t9"), "attempt", "backoff", "first_failed_at") == [None] * 3


def test_an_operation_tidies_up_before_others_may_follow_it(worker: Worker, another: Worker) -> None:
    """Its own ``finally`` runs while it is still alone, also when it was stopped from outside."""
    seen: list[object] = []

    def steps() -> Steps[None]:
        yield Alone("mark")
        try:
            yield Request(path="/anything", provider="nobody")
        finally:
            try:
                seen.append(another.perform(alone_with(None)))
            except CallInFlight as held:
                seen.append(type(held))

    with pytest.raises(KeyError):
        worker.perform(steps())

    assert seen == [CallInFlight]
