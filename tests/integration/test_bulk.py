"""Many calls at once, against a real server: written as ``delay`` writes them, once each, in few trips."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import chain, group
from celery._state import _task_stack
from redis import Redis

from tests.fleet import Ground
from worker import enqueue_many, registry
from worker.application import app
from worker.claim import Claim
from worker.context import clear_request_context, set_request_context
from worker.engine import engine
from worker.errors import ArgumentsInvalid, EnqueueFailed
from worker.gate import Gate
from worker.keys import keys
from worker.operation import Steps, operation
from worker.provider import Provider
from worker.request import Request
from worker.stack.embedded import EmbeddedValkey
from worker.task import GuardedTask

pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # how Celery's clients part
]

FREIGHT = Provider(name="freight", base_url="http://127.0.0.1:9")
AT = keys(FREIGHT.name)
CHECKOUT = Path(__file__).resolve().parents[2]
ROLES = ("BROKER", "STATE", "CACHE", "RESULT")


def carry(number: int, label: str = "", secret: str = "") -> Steps[int]:
    """*number*, once the provider has been asked."""
    yield Request(path=f"/carry/{number}/{label}/{secret}")
    return number


def haul(number: int) -> Steps[int]:
    """*number*, once the provider has been asked; for nobody in particular."""
    yield Request(path=f"/haul/{number}")
    return number


@pytest.fixture(scope="module")
def freight() -> Iterator[tuple[GuardedTask, GuardedTask]]:
    """Two tasks of a provider that only this module knows; the second one's lane is ``batch``."""
    yield operation(FREIGHT, shown=("number", "label"))(carry), operation(FREIGHT, lane="batch")(haul)
    for name in [name for name in app.tasks if name.startswith("freight.")]:
        app.tasks.unregister(name)
    del registry._providers[FREIGHT.name]


@pytest.fixture
def carried(freight: tuple[GuardedTask, GuardedTask]) -> GuardedTask:
    """The first of them."""
    return freight[0]


def settled_on(url: str) -> Iterator[None]:
    """This process enqueues there, and as before afterwards."""
    before = {name: value for name, value in os.environ.items() if name.startswith("NARROWS_")}
    Ground._point({f"NARROWS_{role}_URL": url for role in ROLES})
    yield
    Ground._point(before)


@pytest.fixture
def here(redis_url: str) -> Iterator[None]:
    """This process enqueues on the empty server."""
    yield from settled_on(redis_url)


@pytest.fixture
def lasting() -> Iterator[EmbeddedValkey]:
    """A server that keeps what it took, and on which this process enqueues."""
    with EmbeddedValkey(appendfsync="always") as server:
        yield from settled(server)


def settled(server: EmbeddedValkey) -> Iterator[EmbeddedValkey]:
    """*server*, once this process enqueues there."""
    pointed = settled_on(server.url)
    next(pointed)
    yield server
    for _ in pointed:
        pass


def line(state: Redis) -> list[str]:
    """The task ids that are parked, in their order."""
    return members(state, AT.parked)


def members(state: Redis, index: str) -> list[str]:
    """The task ids in an index, in their order."""
    found: Any = state.zrange(index, 0, -1)
    return [member.decode() for member in found]


def message(state: Redis, task_id: str) -> list[Any]:
    """Headers, properties, body and options of a recorded call."""
    found: list[Any] = json.loads(state.hget(AT.call(task_id), "message") or b"[]")
    return found


def lane(state: Redis, task_id: str) -> tuple[str, str]:
    """The lane of a call: of its record, and of its message."""
    found: Any = state.hget(AT.call(task_id), "lane")
    return found.decode(), message(state, task_id)[0]["narrows"]["lane"]


def comparable(found: list[Any], task_id: str) -> tuple[str, list[float]]:
    """A message without what no two calls have in common, their ids and times; and when it expires, twice."""
    headers, properties, body, options = found
    assert isinstance(headers["narrows"].pop("at"), float)
    expires = headers.pop("expires")
    ends = [datetime.fromisoformat(expires).timestamp(), options.pop("expiration")] if expires else []
    text = json.dumps([headers, properties, body, options], sort_keys=True)
    return text.replace(task_id, "ID"), ends


CALLS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (7, (7,), {}),
    ((7, "crate"), (7, "crate"), {}),
    ({"number": 7, "secret": "canary"}, (), {"number": 7, "secret": "canary"}),
    (
        (7, "100 % 'sure' \"or\" %s %(task_id)s", "canary"),
        (7, "100 % 'sure' \"or\" %s %(task_id)s", "canary"),
        {},
    ),
    (
        (7, "søt 🚢 \x01args\\u0001args\n\x00", "\x01task_id"),
        (7, "søt 🚢 \x01args\\u0001args\n\x00", "\x01task_id"),
        {},
    ),
    ((7, "x" * 500), (7, "x" * 500), {}),
    ((True,), (1,), {}),
]


@pytest.mark.parametrize(("call", "args", "kwargs"), CALLS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"expires": 3600},
        {"expires": 3600.5, "ignore_result": True},
        {"expires": datetime.now(UTC) + timedelta(hours=5), "ignore_result": False},
    ],
    ids=["plain", "expires", "ignored", "at a moment"],
)
@pytest.mark.usefixtures("here")
def test_a_message_of_a_batch_is_in_every_field_the_one_that_apply_async_writes(
    state: Redis,
    carried: GuardedTask,
    call: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    options: dict[str, Any],
) -> None:
    """But for its id and its time; whoever runs it must not see a difference."""
    set_request_context(
        request_id="r1", user_id='50 % of "u1" %(at)s', trace_id="0af7651916cd43dd8448eb211c80319c"
    )
    try:
        mine = enqueue_many(carried, [call], lane="replay", **options).task_id(0)
        theirs = carried.apply_async(args, kwargs, lane="replay", **options).id
    finally:
        clear_request_context()

    records = [state.hgetall(AT.call(task_id)) for task_id in (mine, theirs)]
    (text, ends), (expected, expected_ends) = (
        comparable(message(state, task_id), task_id) for task_id in (mine, theirs)
    )
    assert text == expected
    assert ends == pytest.approx(expected_ends, abs=10.0)
    assert set(records[0]) == set(records[1])
    assert [each[b"lane"] for each in records] == [b"replay", b"replay"]
    if ends:
        assert [float(each[b"expires_at"]) / 1000 for each in records] == pytest.approx(
            [ends[0]] * 2, abs=10.0
        )


@pytest.mark.usefixtures("here")
def test_a_batch_that_a_running_task_enqueues_is_its_child(state: Redis, carried: GuardedTask) -> None:
    """Root and parent are as with ``delay``."""
    enqueue_many(carried, [0])
    _task_stack.push(carried)
    carried.push_request(id="parent", root_id="root", called_directly=False)
    try:
        mine, theirs = enqueue_many(carried, [1]).task_id(0), carried.apply_async((1,), lane="batch").id
    finally:
        carried.pop_request()
        _task_stack.pop()

    found = [message(state, task_id) for task_id in (mine, theirs)]
    for each in found:
        del each[0]["narrows"]["trace_id"]
    assert found[0][0]["root_id"] == "root"
    assert found[0][0]["parent_id"] == "parent"
    assert comparable(found[0], mine) == comparable(found[1], theirs)


@pytest.mark.usefixtures("here")
def test_a_batch_stands_in_line_in_its_order_and_nothing_is_published(
    state: Redis, carried: GuardedTask
) -> None:
    """One script for each few hundred, and not a word to the broker."""
    enqueue_many(carried, [0])
    state.config_resetstat()

    batch = enqueue_many(carried, ((number, "x") for number in range(1100)), size=500)

    stats: Any = state.info("commandstats")
    assert (batch.count, batch.new) == (1100, 1100)
    assert line(state)[1:] == [batch.task_id(number) for number in range(1100)]
    assert state.exists("freight") == 0
    assert [stats[f"cmdstat_{name}"]["calls"] for name in ("evalsha", "eval", "multi")] == [3, 3, 3]
    assert message(state, batch.task_id(1099))[2][0] == [1099, "x"]


@pytest.mark.parametrize("count", [0, 1, 499, 500, 501])
@pytest.mark.usefixtures("here")
def test_every_call_is_in_whatever_the_size(state: Redis, carried: GuardedTask, count: int) -> None:
    """Also the few of the last round trip; none is a batch, too."""
    heard: list[int] = []

    batch = enqueue_many(carried, range(count), size=250, progress=heard.append)

    assert (batch.count, batch.new, len(line(state))) == (count, count, count)
    assert heard == [*range(250, count, 250), *([count] if count else [])]


@pytest.mark.usefixtures("here")
def test_a_batch_done_again_under_its_name_is_enqueued_once(
    state: Redis, freight: tuple[GuardedTask, GuardedTask]
) -> None:
    """And another task's batch of that name is another one."""
    carried, hauled = freight
    first = enqueue_many(carried, range(700), batch_id="2026-11")

    again = enqueue_many(carried, range(900), batch_id="2026-11")
    other = enqueue_many(hauled, range(5), batch_id="2026-11")

    assert [(each.count, each.new) for each in (first, again, other)] == [(700, 700), (900, 200), (5, 5)]
    assert again.task_id(699) == first.task_id(699)
    assert len(line(state)) == len(set(line(state))) == 905


@pytest.mark.usefixtures("here")
def test_the_first_invalid_call_stops_the_batch_and_says_how_to_go_on(
    state: Redis, carried: GuardedTask
) -> None:
    """Its number, its argument and what is in already; never its value."""
    calls: list[Any] = list(range(1200))
    calls[1100] = (1100, 5)

    with pytest.raises(ArgumentsInvalid) as refused:
        enqueue_many(carried, calls, batch_id="b1")
    calls[1100] = (1100, "five")
    batch = enqueue_many(carried, calls, batch_id="b1")

    text = "call 1100: carry: label: Input should be a valid string; 1000 calls before it were enqueued, "
    assert str(refused.value).startswith(text)
    assert "batch_id='b1'" in str(refused.value)
    assert (batch.count, batch.new, len(line(state))) == (1200, 200, 1200)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ((), "call 1: carry: missing a required argument: 'number'"),
        ({"numbr": 1}, "call 1: carry: missing a required argument: 'number'"),
        ({1: 1}, "call 1: carry: "),
        ((1, "a", "b", "c"), "call 1: carry: too many positional arguments"),
        ("seven", "call 1: carry: number: Input should be a valid integer"),
        ([1], r"call 1: takes tuples of .*; a list as the only argument is \(value,\)"),
        ({1}, "call 1: takes tuples of .*; a set as"),
        (None, "call 1: carry: number: "),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_call_of_another_shape_is_refused_with_its_number(
    state: Redis, carried: GuardedTask, call: Any, said: str
) -> None:
    """A short batch with one bad call is not enqueued at all."""
    with pytest.raises(ArgumentsInvalid, match=f"{said}.*0 calls before it were enqueued"):
        enqueue_many(carried, [1, call, 3])

    assert line(state) == []


@pytest.mark.usefixtures("here")
def test_a_batch_whose_source_breaks_goes_on_where_it_stopped(state: Redis, carried: GuardedTask) -> None:
    """Also after some of its calls have run and left no trace."""

    def broken() -> Iterator[int]:
        yield from range(1234)
        raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"):
        enqueue_many(carried, broken(), batch_id="b2")
    records, gate = engine().records("freight"), Gate(engine().line, FREIGHT)
    records.release(gate, "worker", 32)
    for task_id in members(state, AT.queued):
        claim = Claim(home="freight", task_id=task_id, recorded=True)
        gate.claim(claim)
        gate.finish(None, claim, "end")
    ended = 1000 - len(line(state))

    batch = enqueue_many(carried, range(1300), batch_id="b2")

    assert ended > 10
    assert (batch.count, batch.new) == (1300, 300)
    assert line(state) == [batch.task_id(number) for number in range(ended, 1300)]


DYING = """
import os, signal, sys
from tests.integration.test_bulk import FREIGHT, carry
from worker import enqueue_many
from worker.operation import operation
task = operation(FREIGHT)(carry)
def calls():
    for number in range(2000):
        if number == {at}:
            os.kill(os.getpid(), signal.SIGKILL)
        yield number
enqueue_many(task, calls(), batch_id="b3", size=100)
"""


@pytest.mark.parametrize("at", [0, 100, 1234, 1999])
def test_a_batch_whose_process_is_killed_goes_on_where_it_stopped(
    here: None, state: Redis, redis_url: str, carried: GuardedTask, at: int
) -> None:
    """Each call is in once, whatever was on its way."""
    env = {**os.environ, **{f"NARROWS_{role}_URL": redis_url for role in ROLES}}
    killed = subprocess.run([sys.executable, "-c", DYING.format(at=at)], env=env, cwd=CHECKOUT, check=False)
    before = len(line(state))

    batch = enqueue_many(carried, range(2000), batch_id="b3", size=100)

    assert here is None
    assert killed.returncode < 0
    assert max(0, at - 200) <= before <= at
    assert (batch.count, batch.new) == (2000, 2000 - before)
    assert line(state) == [batch.task_id(number) for number in range(2000)]


def test_without_redis_it_says_what_is_in_for_certain_and_the_same_name_goes_on(
    lasting: EmbeddedValkey, carried: GuardedTask
) -> None:
    """A crash of the state Redis in the middle of a batch loses nothing and doubles nothing."""

    def heard(count: int) -> None:
        if count == 1000:
            lasting.kill()

    with pytest.raises(EnqueueFailed, match=r"does not answer .*; 1000 calls are in for certain, .*'b4'"):
        enqueue_many(carried, range(3000), batch_id="b4", progress=heard)
    with pytest.raises(EnqueueFailed, match="0 calls are in for certain"):
        enqueue_many(carried, range(3000), batch_id="b4")
    lasting.start()
    batch = enqueue_many(carried, range(3000), batch_id="b4")

    with lasting.client() as state:
        assert (batch.count, batch.new) == (3000, 2000)
        assert line(state) == [batch.task_id(number) for number in range(3000)]


@pytest.mark.usefixtures("here")
def test_a_server_that_forgot_its_scripts_notes_nothing_that_is_not_in(
    state: Redis, carried: GuardedTask
) -> None:
    """As after a restart, in the middle of a batch."""
    state.script_flush()
    counts = []

    def heard(count: int) -> None:
        state.script_flush()
        noted: Any = state.get(next(iter(state.scan_iter("narrows:{freight}:batch:*"))))
        counts.append((count, int(noted), len(line(state))))

    batch = enqueue_many(carried, range(1000), size=250, progress=heard)

    assert counts == [(count, count, count) for count in (250, 500, 750, 1000)]
    assert batch.new == 1000


@pytest.mark.usefixtures("here")
def test_memory_does_not_grow_with_the_batch(state: Redis, carried: GuardedTask) -> None:
    """A hundred thousand calls from a generator, in the space of a few hundred: their ids alone take more."""

    def pages() -> int:
        gc.collect()
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])

    enqueue_many(carried, range(10_000))
    before = pages()

    batch = enqueue_many(carried, (number for number in range(100_000)))

    grown = (pages() - before) * os.sysconf("SC_PAGE_SIZE") / 2**20
    assert batch.new == state.zcard(AT.parked) - 10_000 == 100_000
    assert grown < 8, f"{grown:.1f} MiB"


@pytest.mark.usefixtures("here")
def test_a_caller_chooses_the_lane_of_a_call(state: Redis, freight: tuple[GuardedTask, GuardedTask]) -> None:
    """By the option, a signature or the header; the operation's own is for those who say nothing."""
    carried, hauled = freight
    enqueue: dict[str, Callable[[], Any]] = {
        "batch": lambda: carried.apply_async((1,), lane="batch"),
        "replay": lambda: carried.si(1).set(lane="replay").apply_async(),
        "interactive": lambda: carried.delay(1),
    }
    chosen = {name: lane(state, make().id) for name, make in enqueue.items()}
    by_header = carried.apply_async((1,), headers={"narrows": {"lane": "batch"}, "mine": 1})

    assert chosen == {name: (name, name) for name in enqueue}
    assert lane(state, by_header.id) == ("batch", "batch")
    assert message(state, by_header.id)[0]["mine"] == 1
    assert lane(state, hauled.delay(1).id) == ("batch", "batch")
    assert lane(state, hauled.apply_async((1,), lane="interactive").id) == ("interactive", "interactive")
    assert lane(state, app.send_task("freight.haul", [1]).id) == ("batch", "batch")
    assert "lane" not in message(state, by_header.id)[3]


@pytest.mark.usefixtures("here")
def test_a_canvas_hands_its_lane_on(state: Redis, carried: GuardedTask) -> None:
    """To all members of a group, and to the links of a chain that say so."""
    members = group(carried.si(number) for number in range(3)).apply_async(lane="batch")
    last = chain(carried.si(1).set(lane="replay"), carried.si(2).set(lane="batch")).apply_async()

    assert {lane(state, member.id) for member in members.results} == {("batch", "batch")}
    first = message(state, last.parent.id)
    assert first[0]["narrows"]["lane"] == "replay"
    assert [link["options"]["lane"] for link in first[2][2]["chain"]] == ["batch"]


@pytest.mark.parametrize(
    "when",
    [
        {"countdown": 60},
        {"eta": datetime.now(UTC) + timedelta(hours=1)},
        {"expires": 60},
        {"countdown": 60, "expires": 90},
    ],
    ids=["countdown", "eta", "expires", "both"],
)
@pytest.mark.usefixtures("here")
def test_a_lane_goes_with_a_time_to_start_and_a_time_to_end(
    state: Redis, carried: GuardedTask, when: dict[str, Any]
) -> None:
    """It stands in its lane when its time has come, and not after the other."""
    result = carried.apply_async((1,), lane="batch", **when)

    record = state.hgetall(AT.call(result.id))
    assert lane(state, result.id) == ("batch", "batch")
    assert record[b"state"] == (b"queued" if set(when) == {"expires"} else b"waiting")
    assert (b"expires_at" in record) == ("expires" in when)
