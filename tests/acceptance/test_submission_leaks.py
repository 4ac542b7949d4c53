"""What a submission says of a person is read where it has to be, and nowhere else, whatever becomes of it."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.request import urlopen

import pytest
from celery import Celery
from redis import Redis

from tests.acceptance import private
from tests.acceptance.canaries import CANARIES, OWN_KEY, PERSON, leaked
from tests.acceptance.onlookers import Events, contents, page
from tests.acceptance.private import PRIVATE, Gossip, confide, insist, tell
from tests.fleet import Fleet, Ground, until
from worker import registry
from worker.application import app
from worker.cli.root import run
from worker.engine import engine
from worker.errors import NarrowsError

API_KEY = "NARROWS_PROVIDERS__PRIVATE__API_KEY"


@dataclass
class Seen:
    """All that was to be seen of the submissions, by place."""

    ids: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def note(self, place: str, text: object) -> None:
        """Somebody saw *text* there."""
        self.places.setdefault(place, []).append(text if isinstance(text, str) else repr(text))


@pytest.fixture(scope="module")
def gossip() -> Gossip:
    """Who says everything back."""
    return Gossip()


@pytest.fixture(scope="module")
def here(gossip: Gossip) -> Iterator[Ground]:
    """Servers of its own, which nobody else has written to."""
    with Ground(players=[gossip]) as ground:
        yield ground
    del registry._providers[PRIVATE.name]  # tests elsewhere know the real ones only


@pytest.fixture(scope="module")
def workers(here: Ground) -> Iterator[Fleet]:
    """Two workers and Flower, that say all they ever say."""
    env = {
        "NARROWS_CLAIM_LEASE": "2",
        "NARROWS_LOG_LEVEL": "DEBUG",
        API_KEY: OWN_KEY,
    }
    with Fleet(here, workers=2, flower=True, env=env, include=private.__name__) as fleet:
        until(lambda: page(fleet, "/api/workers") != "{}", 15.0)
        yield fleet


@pytest.fixture(scope="module")
def seen(here: Ground, workers: Fleet, gossip: Gossip) -> Seen:
    """Submissions that end in every way, and all that was to be seen of them."""
    seen = Seen()
    with Events() as events, here.client() as state:
        ended = {**submit(seen), **submit_by_name(here)}
        for mode, result in ended.items():
            seen.ids[mode] = result.id
            with suppress(Exception):
                seen.note("results", result.get(timeout=30))
            with suppress(AttributeError, TypeError):
                seen.note("errors", "".join(traceback.format_exception(result.result)))
            seen.note("errors", f"{result.state} {result.result!r} {result.traceback}")
        lose(seen, here, workers, gossip)
        hold_back(seen, state)
        until(lambda: {"task-failed", "task-received"} <= events.of(seen.ids["refused"]), 15.0)
        look(seen, here, workers)
    for event in events.caught:
        seen.note("events", event)
    return seen


def payload(mode: str) -> dict[str, str]:
    """A person's submission."""
    return {**PERSON, "mode": mode}


def submit(seen: Seen) -> dict[str, Any]:
    """Submissions through our code, by how they end."""
    named = {"idempotency_key": PERSON["email"]}
    ends: dict[str, Any] = {
        "accepted": tell.delay(payload("accepted"), **named),
        **{mode: tell.delay(payload(mode)) for mode in ("refused", "throttled", "garbage")},
        **{mode: tell.delay(payload(mode)) for mode in ("crash before", "crash after")},
        "in doubt": confide.delay(payload("in doubt")),
        "for a person": tell.delay(payload("failing")),
        "failing": insist.delay(payload("failing")),
    }
    wrong: tuple[Callable[[], object], ...] = (
        lambda: tell.delay(PERSON["name"]),
        lambda: tell.delay({**PERSON, "phone": [PERSON["phone"]]}),
        lambda: tell.delay(payload("accepted"), nickname=PERSON["phone"]),
        lambda: tell.delay(payload("another"), **named),
    )
    for each in wrong:
        with pytest.raises(NarrowsError) as refused:
            each()
        seen.note("errors", "".join(traceback.format_exception(refused.value.with_traceback(None))))
    return ends


def submit_by_name(here: Ground) -> dict[str, Any]:
    """Submissions by a service without our code, right and wrong."""
    url = here.valkey.url
    given: dict[str, tuple[list[Any], dict[str, Any]]] = {
        "bare": ([payload("accepted")], {}),
        "bare again": ([payload("accepted")], {"idempotency_key": PERSON["email"]}),
        "bare and wrong": ([PERSON["name"], PERSON["phone"], PERSON["street"]], {}),
        "bare and refused": ([payload("refused")], {}),
        "bare and not a parameter": ([payload("accepted")], {"nickname": PERSON["key"]}),
    }
    with Celery("stranger", broker=url, backend=url, set_as_current=False) as stranger:
        ids = {
            mode: stranger.send_task(tell.name, args, kwargs, queue=PRIVATE.name).id
            for mode, (args, kwargs) in given.items()
        }
    return {mode: app.AsyncResult(each) for mode, each in ids.items()}


def lose(seen: Seen, here: Ground, workers: Fleet, gossip: Gossip) -> None:
    """One that is looked at while it runs, and whose workers are killed then."""
    here.sandbox.control.fault(PRIVATE.name, mode="hang", times=1)
    before = len(here.sandbox.control.journal(PRIVATE.name))
    result = tell.delay(payload("lost"))
    until(lambda: len(here.sandbox.control.journal(PRIVATE.name)) > before)
    inspect = app.control.inspect(timeout=2.0)
    active = inspect.active()
    assert result.id in repr(active)
    for answer in (active, inspect.query_task(result.id), inspect.reserved(), inspect.stats()):
        seen.note("inspect", answer)
    seen.note("flower", page(workers, f"/api/task/info/{result.id}"))
    for index in range(2):
        workers.kill(index)
    with pytest.raises(NarrowsError) as lost:
        result.get(timeout=30)
    seen.note("errors", f"{lost.value!r} {result.traceback}")
    seen.ids["lost"] = result.id
    until(lambda: workers.ready, 30.0)
    assert not gossip.heard["POST lost"]


def hold_back(seen: Seen, state: Redis) -> None:
    """One that waits, another that stands in line behind it, and one that is revoked there."""
    ids = {mode: tell.delay(payload("held back")).id for mode in ("held back", "behind", "revoked")}
    seen.ids |= ids
    until(lambda: state.zcard(f"narrows:{{{PRIVATE.name}}}:parked") == 3, 15.0)
    for each in ids.values():
        seen.note("results", repr(app.AsyncResult(each).info))
    app.control.revoke(ids["revoked"])
    until(lambda: app.AsyncResult(ids["revoked"]).state == "REVOKED")


def look(seen: Seen, here: Ground, workers: Fleet) -> None:
    """All places at which a person, or a program, may look."""
    ids = list(seen.ids.values())
    until(lambda: json.loads(page(workers, "/api/tasks")).get(seen.ids["refused"], {}).get("state"), 15.0)
    paths = ["/api/tasks?limit=200", "/tasks", "/workers?json=1", "/api/workers", "/metrics"]
    paths += [f"{kind}/{each}" for kind in ("/task", "/api/task/info") for each in ids]
    for path in paths:
        with suppress(OSError):  # a task that no worker has seen is not found
            seen.note("flower", page(workers, path))
    for worker in workers.stack.workers:
        with urlopen(f"{worker.program.address}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
            seen.note("metrics", answer.read().decode())
    seen.note("logs", workers.logs)
    for server in (here.valkey, here.cache):
        with server.client() as client:
            for key, values in contents(client, PRIVATE.name):
                seen.note("key names", key)
                for value in values:
                    seen.note("redis", f"{key} {value}")


def test_each_ended_as_it_was_to_end(seen: Seen) -> None:
    """Else nothing of this were shown."""
    ledger = engine().ledger(PRIVATE.name)
    known = {mode: ledger.get(each) for mode, each in seen.ids.items()}
    states = {mode: one.state for mode, one in known.items() if one}
    codes = {letter["id"]: letter["code"] for letter in engine().dead_letters(PRIVATE.name)}

    assert states == {
        **dict.fromkeys(("accepted", "throttled", "in doubt", "bare", "bare again"), "accepted"),
        **dict.fromkeys(("refused", "bare and refused"), "rejected"),
        **dict.fromkeys(("garbage", "crash after", "for a person", "failing", "lost"), "in_doubt"),
        **dict.fromkeys(("held back", "behind", "crash before"), "queued"),
    }
    assert {mode: codes.get(each) for mode, each in seen.ids.items() if each in codes} == {
        "refused": "upstream_rejected",
        "garbage": "in_doubt",
        "crash before": "unexpected_error",
        "crash after": "in_doubt",
        "for a person": "in_doubt",
        "failing": "upstream_error",
        "lost": "in_doubt",
        "bare and wrong": "validation_error",
        "bare and refused": "upstream_rejected",
        "bare and not a parameter": "validation_error",
    }


@pytest.mark.parametrize(
    "place",
    ["logs", "events", "inspect", "metrics", "flower", "results", "errors", "key names", "redis"],
)
def test_nothing_private_is_seen_in(place: str, seen: Seen) -> None:
    """Whatever became of the submissions; and something was to be seen there."""
    texts = seen.places[place]

    assert sum(map(len, texts)) > 100
    assert [found for text in texts for found in leaked(text)] == []


@pytest.mark.parametrize(
    "command",
    [
        "status",
        "status --json",
        "dlq list private",
        "dlq list private --json",
        "submission list private",
        "submission list private --state accepted --json",
        "doctor --json",
    ],
)
def test_no_command_shows_it_unasked(command: str, seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    """Lists, counts and checks."""
    run(command.split())

    told = capsys.readouterr()
    assert seen.ids
    assert len(told.out) > 20
    assert leaked(told.out + told.err) == []


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_no_command_about_one_of_them_shows_it_unasked(
    form: list[str], seen: Seen, capsys: pytest.CaptureFixture[str]
) -> None:
    """Why it waits, what became of it, and its letter."""
    for each in seen.ids.values():
        for command in (["why"], ["submission", "show"], ["dlq", "show", PRIVATE.name]):
            run([*command, each, *form])

    told = capsys.readouterr()
    assert seen.ids["for a person"] in told.out
    assert leaked(told.out + told.err) == []


def test_its_letter_shows_it_to_who_asks_for_it(seen: Seen, capsys: pytest.CaptureFixture[str]) -> None:
    """Else the tests above would find nothing anywhere."""
    run(["dlq", "show", PRIVATE.name, seen.ids["for a person"], "--reveal"])

    assert leaked(capsys.readouterr().out)


def test_where_a_payload_has_to_be_it_is(seen: Seen, here: Ground) -> None:
    """In the record of one that waits, and in a letter's arguments: the looks above could have seen it."""
    with here.client() as state:
        record = state.hget(f"narrows:{{{PRIVATE.name}}}:call:{seen.ids['behind']}", "message")
        letters: Any = state.lrange(f"dlq:{PRIVATE.name}", 0, -1)

    assert leaked(record or b"")
    assert all(leaked(letter) for letter in letters)


def test_base64_hides_nothing_from_these_tests() -> None:
    """The broker's messages are written in it."""
    for shift in range(3):
        assert leaked(base64.b64encode(b"x" * shift + CANARIES[0].encode() + b" and more"))
    assert not leaked(base64.b64encode(b"nothing of it here, and more than enough of it"))


def test_the_producer_logs_nothing_of_it(here: Ground, caplog: pytest.LogCaptureFixture) -> None:
    """Nor when it is refused in the caller."""
    caplog.set_level(logging.DEBUG)
    with here.client() as state, suppress(NarrowsError):
        tell.delay({**PERSON, "mode": [PERSON["phone"]]})
        assert state
    tell.delay(payload("held back"))

    assert leaked(caplog.text) == []
