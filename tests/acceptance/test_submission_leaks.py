"""What a submission says of a person is read where it has to be, and nowhere else, whatever becomes of it."""

from __future__ import annotations

import base64
import json
import logging
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.request import Request, urlopen

import pytest
from celery import Celery
from redis import Redis

from tests.acceptance import private
from tests.acceptance.private import PRIVATE, Gossip, confide, insist, tell
from tests.fleet import Fleet, Ground, until
from worker import registry
from worker.application import app
from worker.cli.root import run
from worker.engine import engine
from worker.errors import NarrowsError

PERSON = {
    "name": "canaryname7d41",
    "phone": "2125550147901",
    "email": "canarymail7d41@example.org",
    "street": "77 Canarystreet7d41",
    "key": "canarykey7d41",
}
OWN_KEY = "canarycredential7d41"
"""With which the provider knows us."""

CANARIES = ("canaryname7d41", "2125550147901", "canarymail7d41", "Canarystreet7d41", "canarykey7d41", OWN_KEY)
NUMBERED = "reference-7d41-{}"


def forms(canary: str) -> list[bytes]:
    """The canary as it stands, and as it may stand in base64, in any of its three places."""
    inside = [base64.b64encode(b"\0" * shift + canary.encode() + b"\0" * 3)[4:-4] for shift in range(3)]
    return [canary.encode(), *(each[:-4] for each in inside)]


FORMS = [form for canary in CANARIES for form in forms(canary)]


def leaked(text: str | bytes) -> list[str]:
    """What of the private things stands in *text*, and around where."""
    raw = text if isinstance(text, bytes) else text.encode()
    found = [(form, raw.find(form)) for form in FORMS if form in raw]
    return [repr(raw[max(0, at - 120) : at + len(form) + 40]) for form, at in found]


@dataclass
class Seen:
    """All that was to be seen of the submissions, by place."""

    ids: dict[str, str] = field(default_factory=dict)
    places: dict[str, list[str]] = field(default_factory=dict)

    def note(self, place: str, text: object) -> None:
        """Somebody saw *text* there."""
        self.places.setdefault(place, []).append(text if isinstance(text, str) else repr(text))


class Events:
    """All of Celery's events, as whoever listens gets them."""

    def __init__(self) -> None:
        self.caught: list[dict[str, Any]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10.0)

    def of(self, task_id: str) -> set[str]:
        """The kinds of events of one task."""
        return {event["type"] for event in self.caught if event.get("uuid") == task_id}

    def _run(self) -> None:
        with app.connection() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": self.caught.append})
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    receiver.capture(limit=None, timeout=0.5, wakeup=False)


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
        "NARROWS_PROVIDERS__PRIVATE__API_KEY": OWN_KEY,
    }
    with Fleet(here, workers=2, flower=True, env=env, include=private.__name__) as fleet:
        fleet.programs._log_level = "DEBUG"
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
            for key, values in contents(client):
                seen.note("key names", key)
                for value in values:
                    seen.note("redis", f"{key} {value}")


def contents(client: Redis) -> Iterator[tuple[str, list[str]]]:
    """Every key with all that it holds, but for messages and a letter's arguments."""
    for raw in client.scan_iter(count=1000):
        key = raw.decode()
        values = [value for name, value in pieces(client, key) if not may_hold(key, name)]
        yield key, [letter_without_arguments(value) if key.startswith("dlq:") else value for value in values]


def may_hold(key: str, name: str) -> bool:
    """Whether a payload may stand there: in the field of a record, or in a message of the broker."""
    return (":call:" in key and name == "message") or key in {PRIVATE.name, "unacked"}


def letter_without_arguments(raw: str) -> str:
    """A dead letter as everybody may read it."""
    letter = json.loads(raw)
    return json.dumps({name: value for name, value in letter.items() if name not in {"args", "kwargs"}})


def pieces(client: Redis, key: str) -> Iterable[tuple[str, str]]:
    """Name and value of each thing under *key*, whatever its type."""
    read: Mapping[bytes, Callable[[], Any]] = {
        b"string": lambda: {b"": client.get(key) or b""},
        b"hash": lambda: client.hgetall(key),
        b"list": lambda: dict(enumerate(client.lrange(key, 0, -1))),
        b"set": lambda: dict(enumerate(client.smembers(key))),
        b"zset": lambda: dict(enumerate(client.zrange(key, 0, -1))),
        b"stream": lambda: {name: repr(fields).encode() for name, fields in client.xrange(key)},
    }
    found = read[client.type(key)]()
    for name, value in found.items():
        text = name.decode() if isinstance(name, bytes) else ""
        yield text, text + " " + value.decode("utf-8", "backslashreplace")


def page(fleet: Fleet, path: str) -> str:
    """What Flower shows at *path* to somebody whom it knows."""
    request = Request(fleet.stack.addresses["flower"] + path)  # noqa: S310 - loopback
    user = base64.b64encode(fleet.programs.flower_auth.encode()).decode()
    request.add_header("Authorization", f"Basic {user}")
    with urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
        body: bytes = answer.read()
    return body.decode()


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
        "crash after": "unexpected_error",
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
