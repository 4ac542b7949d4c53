"""Secrets and personal data go in everywhere, everything goes wrong that can, and every outlet is searched.

Real workers call every provider, which a parrot plays: it says all that it hears back in each field of its
answer. What each outlet may show is looked for too, with the same search: one that finds nothing there would
find no leak either.

Not searched are the places where private things have to be: messages in the broker and in records, and a
letter's arguments, unless their task is sealed; what a geocoder answered, in its results and kept answers.
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import logging
import time
import traceback
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from celery import Celery

from tests.acceptance.canaries import hits
from tests.acceptance.hoard import ASKED, LIGHTHOUSE, PERSONAL, SEALED_THINGS, TOKENS, WRONG
from tests.acceptance.lookouts import HEARD, PROCESSES, REDIS, ask_commands, command, look
from tests.acceptance.onlookers import Events, page
from tests.acceptance.outlets import Outlets
from tests.acceptance.vault import Collector, Vault
from tests.fleet import Fleet, until
from worker.application import app
from worker.context import clear_request_context, set_request_context
from worker.engine import engine

WAYS = ("well", "garbage", "odd", "moved", "plain", "coded", "down", "reset", "refused", "throttled")
REQUEST, USER = "request-id-2c8e", "user-id-2c8e"
AGAIN = ("nyc311", "geoclient")
"""Whose letters are replayed."""

CONTROLS = {
    "commands": LIGHTHOUSE,
    "errors": "twilio answered 400",
    "events": LIGHTHOUSE,
    "exporter": 'provider="twilio"',
    "flower": LIGHTHOUSE,
    "inspect": "worker_prefetch_multiplier",
    "letters": LIGHTHOUSE,
    "log files": REQUEST,
    "logs": REQUEST,
    "processes": "--concurrency=16",
    "producer's logs": "caller's line",
    "redis": "narrows:{twilio}:call:",
    "refusals": "submit_service_request",
    "reprs": "<AsyncResult: ",
    "results": "twilio answered 400",
    "traces": "narrows.integrations.twilio",
    "workers' metrics": 'provider="twilio"',
}
"""Each outlet, and something that is to be seen there."""


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where spans go."""
    collector = Collector()
    yield collector
    collector.close()


@pytest.fixture(scope="module")
def here(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    """Servers of its own, which nobody else has written to."""
    with Vault(folder=tmp_path_factory.mktemp("logs"), collector=collector.url) as vault:
        yield vault


@pytest.fixture(scope="module")
def fleet(here: Vault) -> Iterator[Fleet]:
    """Two workers that say all they ever say, and Flower."""
    with Fleet(here, workers=2, concurrency=16, flower=True, include="tasks") as fleet:
        until(lambda: page(fleet, "/api/workers") != "{}", 20.0)
        yield fleet


@pytest.fixture(scope="module")
def said() -> Iterator[io.StringIO]:
    """All that this process logs, the caller's side of everything."""
    stream = io.StringIO()
    handler, root = logging.StreamHandler(stream), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    logging.getLogger("narrows").warning("caller's line")
    yield stream
    root.setLevel(before)
    root.removeHandler(handler)


@pytest.fixture(scope="module")
def seen(here: Vault, fleet: Fleet, collector: Collector, said: io.StringIO) -> Outlets:
    """All that was to be seen of all that happened."""
    seen = Outlets()
    set_request_context(request_id=REQUEST, user_id=USER)
    calls: dict[str, str] = {}
    with Events() as events:
        for number, way in enumerate(WAYS):
            if way == "throttled":  # what it holds back lies there until everything was looked at
                replay(seen, here)
            here.behave(way)
            calls |= {call.id: name for name, call in made(seen, number).items()}
        hand_in_wrong(seen, here)
        ask_commands(seen, list(calls))
        look(seen, fleet, here, calls)
    clear_request_context()
    for event in events.caught:
        seen.note("events", event)
    seen.note("producer's logs", said.getvalue())
    for body in collector.bodies:
        seen.note("traces", gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
    return seen


@pytest.fixture(scope="module")
def private(here: Vault) -> Mapping[str, str]:
    """What no outlet may show."""
    return {**PERSONAL, **here.secrets, "wrong": WRONG}


def made(seen: Outlets, number: int) -> dict[str, Any]:
    """Every task called once, by name; and what its caller hears of it."""
    calls = {name: ask(number) for name, ask in ASKED.items()}
    until(
        lambda: all(map(rests, calls.values())), 60.0, told=lambda: [c for c in calls if not rests(calls[c])]
    )
    for call in calls.values():
        seen.note("reprs", repr(call))
        why = call.result
        if isinstance(why, BaseException):
            seen.note("errors", "".join(traceback.format_exception(why)))
            seen.note("errors", f"{call.state} {why!r} {why} {vars(why)} {call.traceback}")
    return calls


def rests(call: Any) -> bool:
    """Whether it is over, or waits for longer than anybody wants to look."""
    waiting = call._get_task_meta().get("waiting") or {}
    return call.ready() or (waiting.get("expected") or 0.0) > time.time() + 3.0


def hand_in_wrong(seen: Outlets, here: Vault) -> None:
    """What fits no task: by our code, by a service without it, and what is no message at all."""
    url = here.valkey.url
    sent = []
    with Celery("stranger", broker=url, backend=url, set_as_current=False) as stranger:
        for name in ASKED:
            task, queue = app.tasks[name], name.partition(".")[0]
            for given in ([WRONG], [[WRONG]], [{"name": WRONG}], [WRONG] * 20):
                refuse(seen, task, given, {})
            for parameter in (*task.operation.signature.parameters, "nickname"):
                refuse(seen, task, [], {parameter: {"x": [WRONG]}})
            sent.append(stranger.send_task(name, [[WRONG]], {"nickname": WRONG}, queue=queue))
        stranger.send_task("twilio.nobody_knows", [WRONG], {"to": PERSONAL["reader"]}, queue="twilio")
    with here.client() as state:
        state.lpush("twilio", json.dumps({"body": PERSONAL["mail"]}), PERSONAL["page"])
        until(lambda: state.llen("dlq:unroutable") == 3, 20.0)
    for call in sent:
        until(app.AsyncResult(call.id).ready, 20.0)
        seen.note("errors", f"{app.AsyncResult(call.id).result!r}")


def refuse(seen: Outlets, task: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
    """What its caller is told there and then."""
    try:
        task.apply_async(args, kwargs)
    except Exception as why:  # noqa: BLE001 - whatever it is, it is looked at
        seen.note("refusals", "".join(traceback.format_exception(why.with_traceback(None))))
        seen.note("refusals", f"{why!r} {vars(why)}")


def replay(seen: Outlets, here: Vault) -> None:
    """Some dead letters made again, which are refused again."""
    here.behave("plain")
    for name in AGAIN:
        command(seen, f"dlq replay {name} --code upstream_rejected --yes --json")
    until(lambda: all(map(replayed, AGAIN)), 30.0)


def replayed(provider: str) -> bool:
    """Whether a letter has come back."""
    return any(letter["replays"] for letter in engine().dead_letters(provider))


@pytest.mark.parametrize("outlet", CONTROLS)
def test_nothing_private_is_seen_in(outlet: str, seen: Outlets, private: Mapping[str, str]) -> None:
    """And what may be seen there is found by the same search."""
    if outlet == "processes" and not PROCESSES.is_dir():
        pytest.skip("this system has no /proc in which to see other processes' command lines")

    assert seen.shows(outlet, CONTROLS[outlet])
    assert seen.found(outlet, private) == []


def test_sealed_arguments_are_nowhere_in_redis(seen: Outlets) -> None:
    """Neither in messages and records nor in dead letters, whose unsealed ones are there."""
    assert seen.found(REDIS, SEALED_THINGS) == []
    assert seen.shows(REDIS, PERSONAL["caller"])


def test_everything_private_has_been_on_its_way(seen: Outlets, here: Vault) -> None:
    """A provider heard it, or a letter holds it: else nothing could have leaked."""
    for parrot in here.parrots.values():
        seen.note(HEARD, "\n".join(parrot.heard))
    known = {**PERSONAL, **{f"key of {name}": token for name, token in TOKENS.items()}}

    absent = {
        name for name, value in known.items() if not seen.shows(HEARD, value) and not seen.shows(REDIS, value)
    }

    assert absent == {"latitude", "text key"}  # the caller's own code rounds one, and seals the other


def test_every_outlet_was_searched(
    seen: Outlets, private: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The table says how much of each, and how often something private was there."""
    assert set(seen.names()) - {REDIS, HEARD} >= {*CONTROLS} - {"processes"}

    with capsys.disabled():
        print(f"\n{seen.table(CONTROLS, private)}")  # noqa: T201 - what the run is for


@pytest.mark.parametrize("value", [*PERSONAL.values(), WRONG])
def test_no_way_of_writing_hides_a_canary(value: str) -> None:
    """Escaped for an address, JSON, HTML or Python, in capitals, in hexadecimal, and anywhere in base64."""
    raw = value.encode()
    ways = [value.upper(), quote(value), quote(value, safe=""), quote_plus(value), html.escape(value)]
    ways += [json.dumps(value), repr(raw), raw.hex(), raw.hex().upper()]
    for shift in range(3):
        inside = b"\xfb\xff\xfe"[:shift] + raw + b"\xff\xfe\xfd"
        ways += [base64.b64encode(inside).decode(), base64.urlsafe_b64encode(inside).decode()]

    assert [way for way in ways if not hits(f"before {way} after", [value])] == []
    assert hits("before and after", [value]) == []
