"""Dead letters that are moved, against a real server: once each, whoever is killed, whoever else is at it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import RedisError

from tests.fleet import until
from tests.integration.deployment import NAME, letter
from tests.integration.held import many
from worker import registry
from worker.application import app
from worker.errors import ArgumentsInvalid, SealBroken
from worker.keys import keys
from worker.letters.deadletter import DeadLetters
from worker.letters.letter import letter_of
from worker.message import request_of
from worker.operation import Steps, operation
from worker.provider import Provider
from worker.record import Records
from worker.request import Request
from worker.sealing.sealer import Sealer
from worker.stack.embedded import EmbeddedValkey
from worker.submissions.ledger import noted
from worker.submissions.submission import Accepted, IdempotencyKey, Submits
from worker.task import GuardedTask

HARBOUR = Provider(name="harbour", base_url="http://127.0.0.1:9")
AT = keys(HARBOUR.name)
CHECKOUT = Path(__file__).resolve().parents[2]
TRACE = "0af7651916cd43dd8448eb211c80319c"


def moor(number: int, note: str = "") -> Steps[int]:
    """*number*, once the provider has been asked."""
    yield Request(path=f"/moor/{number}/{note}")
    return number


def declare(note: str, idempotency_key: IdempotencyKey = None) -> Steps[Accepted]:  # noqa: ARG001
    """Submitted, once."""
    answer = yield Request(method="POST", path="/declarations", data={"note": note})
    return Accepted(external_id=answer.data["number"])


@pytest.fixture(scope="module", autouse=True)
def harbour() -> Iterator[dict[str, GuardedTask]]:
    """Two tasks of a provider that only this module knows; the second one submits."""
    made = operation(HARBOUR, shown=("number",))(moor), operation(HARBOUR, submission=Submits())(declare)
    yield {task.name: task for task in made}
    for task in made:
        app.tasks.unregister(task.name)
    del registry._providers[HARBOUR.name]


@pytest.fixture
def letters(state: Redis) -> DeadLetters:
    """The dead letters of an empty deployment."""
    return DeadLetters(state, HARBOUR.name)


def dead(letter_id: Any, **changed: Any) -> bytes:
    """A letter as it lies in Redis."""
    fields = {
        "task": "harbour.moor",
        "args": [7],
        "kwargs": {"note": "canary-note"},
        "provider": "harbour",
        "operation": "moor",
        "trace_id": TRACE,
    }
    return letter(letter_id, **{**fields, **changed}).as_json().encode()


def declared(letter_id: str, **changed: Any) -> bytes:
    """The letter of a submission."""
    fields = {"task": "harbour.declare", "operation": "declare", "args": ["canary-note"], "kwargs": {}}
    return dead(letter_id, **{**fields, **changed})


def bury(state: Redis, *raws: bytes) -> None:
    """Lay letters among the dead ones."""
    state.rpush(AT.dlq, *raws)


def lying(state: Redis) -> list[str]:
    """The ids of the letters, in order."""
    return [json.loads(raw)["id"] for raw in state.lrange(AT.dlq, 0, -1)]


def members(state: Redis, index: str) -> list[str]:
    """The ids in an index, in order."""
    found: Any = state.zrange(index, 0, -1)
    return [name.decode() for name in found]


def line(state: Redis) -> list[str]:
    """The ids of the calls in line, in order."""
    return members(state, AT.parked)


def record(state: Redis, task_id: str) -> dict[str, str]:
    """What Redis knows of the call."""
    return Records(state, state, HARBOUR.name).get(task_id)


# --- replay ---------------------------------------------------------------------------------------


def test_a_replayed_call_stands_in_the_replay_lane_under_its_own_id(
    state: Redis, letters: DeadLetters
) -> None:
    """With its arguments, its trace and one generation more; nothing is published, and the letter is gone."""
    bury(state, dead("one", replays=1), dead("two"))

    words = letters.replay([dead("one", replays=1)], by="ann")

    known = record(state, "one")
    request = request_of(known["message"])
    header = request.get("narrows")
    assert (words, lying(state), line(state)) == (["parked"], ["two"], ["one"])
    assert (known["state"], known["lane"]) == ("parked", "replay")
    assert (request.id, request.task, request.root_id) == ("one", "harbour.moor", "one")
    assert (list(request.args), request.kwargs) == ([7], {"note": "canary-note"})
    assert (header["replays"], header["trace_id"], header["lane"]) == (2, TRACE, "replay")
    assert header["recorded"] is True
    assert "canary-note" not in request.kwargsrepr
    assert state.hget(AT.lot, "in_replay") == b"1"
    assert state.exists(HARBOUR.name) == 0  # its queue


def test_replayed_calls_leave_behind_live_ones_in_the_order_of_their_letters(
    state: Redis, letters: DeadLetters
) -> None:
    """Sixteen strides apart."""
    records = Records(state, state, HARBOUR.name)
    bury(state, dead("one"), dead("two"), dead("three"))

    letters.replay([dead("three"), dead("one")], by="ann")
    records.park([("live", "[]", "")], lane="interactive")

    assert line(state) == ["live", "three", "one"]


@pytest.mark.parametrize("kept", ["queued", "running", "waiting", "parked", "slow"])
def test_a_call_that_lives_again_is_left_to_itself(state: Redis, letters: DeadLetters, kept: str) -> None:
    """The letter stays, and the operator is told."""
    bury(state, dead("one"))
    state.hset(AT.call("one"), mapping={"state": kept, "message": "mine"})

    words = letters.replay([dead("one")], by="ann")

    assert (words, lying(state), line(state)) == (["known"], ["one"], [])
    assert record(state, "one") == {"state": kept, "message": "mine"}


def test_what_is_left_of_an_ended_call_makes_room(state: Redis, letters: DeadLetters) -> None:
    """It lasts again, begins with no attempt used, and a worker of its former life holds no valid token."""
    former: Any = {"state": "ended", "token": 9, "attempt": 4, "place": 3, "throttled_at": 1, "revoked": 1}
    state.hset(AT.call("one"), mapping=former)
    state.pexpire(AT.call("one"), 60_000)
    bury(state, dead("one"))

    words = letters.replay([dead("one")], by="ann")

    known = record(state, "one")
    assert words == ["parked"]
    assert state.ttl(AT.call("one")) == -1
    assert int(known["token"]) > 1_000_000
    assert known["place"] == "16"
    assert not {"attempt", "throttled_at", "revoked"} & set(known)


def test_two_letters_of_one_call_bring_it_back_once(state: Redis, letters: DeadLetters) -> None:
    """The first does; also when the same bytes are named twice."""
    bury(state, dead("one"), dead("one", replays=1))

    words = letters.replay([dead("one"), dead("one"), dead("one", replays=1)], by="ann")

    assert (words, line(state), lying(state)) == (["parked", "gone", "known"], ["one"], ["one"])


@pytest.mark.parametrize(
    ("changed", "word", "why"),
    [
        ({"task": "harbour.gone"}, "unknown_task", "harbour has no task 'harbour.gone' here"),
        (
            {"task": f"{NAME}.fetch_permits"},
            "unknown_task",
            f"harbour has no task '{NAME}.fetch_permits' here",
        ),
        ({"args": ["canary-number"]}, "invalid", "moor: number: "),
        ({"args": [1, "", "canary-more"]}, "invalid", "moor: multiple values for argument 'note'"),
        ({"args": "canary-text"}, "invalid", "its arguments cannot be read"),
        ({"letter_id": 'quo"te'}, "invalid", "harbour.moor: its letter is not whole"),
        ({"letter_id": None}, "invalid", "this is no letter that can be read"),
    ],
)
def test_a_letter_that_makes_no_call_stays_and_says_why(
    state: Redis, letters: DeadLetters, changed: dict[str, Any], word: str, why: str
) -> None:
    """And hides no other; the reason quotes no argument."""
    unfit = dead(**{"letter_id": "one", **changed})
    bury(state, unfit, dead("two"), b"\xff no JSON")

    words = letters.replay([unfit, dead("two"), b"\xff no JSON"], by="ann")

    said = letters.refusal(unfit) or ""
    assert words == [word, "parked", "invalid"]
    assert (state.llen(AT.dlq), line(state)) == (2, ["two"])
    assert said.startswith(why)
    assert "canary" not in said
    assert letters.refusal(dead("two")) is None


def test_a_letter_is_found_wherever_it_lies(state: Redis) -> None:
    """Behind thousands, by one who has not read them, and by one who read them when more were there."""
    everyone = [dead(f"letter-{number}") for number in range(1500)]
    bury(state, *everyone)
    reader, stranger = (DeadLetters(state, HARBOUR.name) for _ in range(2))
    pages = list(reader.pages())

    first = stranger.replay(everyone[1200:1203], by="ann")
    stranger.remove(everyone[:900], by="ann", action="discard")
    second = reader.replay([pages[10][0], pages[12][0], pages[14][99], pages[0][0]], by="ann")

    assert first == ["parked"] * 3
    assert second == ["parked", "gone", "parked", "gone"]
    assert Counter(lying(state)) + Counter(line(state)) == Counter(
        f"letter-{number}" for number in range(900, 1500)
    )


# --- submissions ----------------------------------------------------------------------------------


def remembered(state: Redis, task_id: str, word: str, **more: Any) -> None:
    """The record of a submission that ended so."""
    fields: Any = {
        "state": "ended",
        "submission": word,
        "print": "",
        "digest": "d",
        "resend": "never",
        **more,
    }
    state.hset(AT.call(task_id), mapping=fields)
    state.zadd(f"{AT.submissions}:{word}", {task_id: 1})


@pytest.mark.parametrize(
    ("before", "code", "word", "after"),
    [
        ("accepted", "worker_lost", "accepted", "accepted"),
        ("in_doubt", "in_doubt", "in_doubt", "in_doubt"),
        ("sending", "worker_lost", "in_doubt", "sending"),
        ("rejected", "upstream_rejected", "parked", "queued"),
        ("queued", "upstream_error", "parked", "queued"),
    ],
)
def test_a_submission_is_only_sent_again_when_it_cannot_have_arrived(
    state: Redis, letters: DeadLetters, before: str, code: str, word: str, after: str
) -> None:
    """What the provider has is not kept among the dead; what is in doubt waits for a person."""
    remembered(state, "one", before)
    bury(state, declared("one", code=code))

    words = letters.replay([declared("one", code=code)], by="ann")

    assert words == [word]
    assert record(state, "one")["submission"] == after
    assert state.zscore(f"{AT.submissions}:{after}", "one") is not None
    assert lying(state) == (["one"] if word == "in_doubt" else [])
    assert line(state) == (["one"] if word == "parked" else [])


def test_a_doubt_of_which_nothing_is_remembered_stays_one(state: Redis, letters: DeadLetters) -> None:
    """Redis may have lost its record; the letter knows."""
    bury(state, declared("one", code="in_doubt"))

    words = letters.replay([declared("one", code="in_doubt")], by="ann")

    assert (words, lying(state), line(state)) == (["in_doubt"], ["one"], [])


def test_a_submission_that_was_forgotten_is_remembered_anew(state: Redis, letters: DeadLetters) -> None:
    """Its key stands for it; where it stands for another by now, the letter stays."""
    mine, other = (declared(name, args=["n", "order-1"], code="upstream_error") for name in ("mine", "other"))
    bury(state, mine, declared("changed", args=["m", "order-1"]))
    bury(state, other)

    words = letters.replay([mine, declared("changed", args=["m", "order-1"]), other], by="ann")

    assert words == ["parked", "known", "parked"]
    assert record(state, "mine")["submission"] == "queued"
    assert "submission" not in record(state, "other")
    assert record(state, "other")["twin"] == "mine"


def test_a_rejected_submission_that_was_edited_is_known_by_what_it_says_now(
    state: Redis, letters: DeadLetters, harbour: dict[str, GuardedTask]
) -> None:
    """So that the same key with the new arguments is the same submission."""
    remembered(state, "one", "rejected")
    bury(state, declared("one", code="upstream_rejected"))

    letters.edit(declared("one", code="upstream_rejected"), ["another note"], {}, by="ann")
    letters.replay([raw for page in letters.pages() for raw in page], by="ann")

    now = json.loads(noted(harbour["harbour.declare"].operation, ["another note"], {}))
    assert record(state, "one")["digest"] == now["digest"]


def test_the_idempotency_key_of_a_letter_is_not_edited(state: Redis, letters: DeadLetters) -> None:
    """It says which submission this is."""
    mine = declared("one", args=["note", "order-1"])
    bury(state, mine)

    with pytest.raises(ArgumentsInvalid, match="idempotency_key: stays as it is"):
        letters.edit(mine, ["note", "order-2"], {}, by="ann")

    assert letters.edit(mine, ["other", "order-1"], {}, by="ann")


# --- remove, edit, audit --------------------------------------------------------------------------


def test_removed_letters_are_gone_and_noted(state: Redis, letters: DeadLetters) -> None:
    """Only those that were there, a hundred to an entry."""
    everyone = [dead(f"letter-{number}") for number in range(250)]
    bury(state, *everyone)

    gone = letters.remove([*everyone[:150], dead("stranger")], by="ann", action="discard")

    entries = letters.audit()
    assert (gone, len(letters)) == (150, 100)
    assert [(each.by, each.action, len(each.ids)) for each in entries] == [
        ("ann", "discard", 100),
        ("ann", "discard", 50),
    ]
    assert entries[0].ids[0] == "letter-0"


def test_an_edited_letter_lies_where_it_lay(state: Redis, letters: DeadLetters) -> None:
    """With checked arguments and a new excerpt; its generations begin anew, the audit has the old."""
    old = dead("two", code="exhausted", replays=3, retryable=False)
    bury(state, dead("one"), old, dead("three"))

    changed = letters.edit(old, ["8"], {"note": "canary-new"}, by="ann")

    (entry,) = letters.audit()
    assert changed is not None
    assert lying(state) == ["one", "two", "three"]
    assert json.loads(state.lindex(AT.dlq, 1) or "") == changed
    assert (changed["args"], changed["kwargs"], changed["replays"]) == ([8, "canary-new"], {}, 0)
    assert changed["payload_excerpt"].startswith("number=8")
    assert (entry.action, entry.ids, entry.by) == ("edit", ("two",), "ann")
    assert entry.before == {"task": "harbour.moor", "args": [7], "kwargs": {"note": "canary-note"}}
    assert "canary" not in repr(entry)
    assert letters.replay([raw for raw in next(letters.pages()) if b"two" in raw], by="ann") == ["parked"]


def test_arguments_that_the_task_does_not_take_change_nothing(state: Redis, letters: DeadLetters) -> None:
    """Nor does an edit of a letter whose task nobody knows."""
    bury(state, dead("one"), dead("two", task="harbour.gone"))

    with pytest.raises(ArgumentsInvalid, match="moor: number"):
        letters.edit(dead("one"), ["canary"], {}, by="ann")
    with pytest.raises(ArgumentsInvalid, match="no task"):
        letters.edit(dead("two", task="harbour.gone"), [1], {}, by="ann")

    assert state.lrange(AT.dlq, 0, -1) == [dead("one"), dead("two", task="harbour.gone")]
    assert letters.audit() == []


def test_of_two_edits_of_one_letter_the_first_holds(state: Redis, letters: DeadLetters) -> None:
    """The second is told; so is one that comes after a replay, and the replay of what was edited."""
    bury(state, dead("one"), dead("two"))

    first = letters.edit(dead("one"), [1], {}, by="ann")
    second = letters.edit(dead("one"), [2], {}, by="bob")
    late = letters.replay([dead("one"), dead("two")], by="bob")
    after = letters.edit(dead("two"), [3], {}, by="ann")

    assert first is not None
    assert (second, late, after) == (None, ["gone", "parked"], None)
    assert (lying(state), line(state)) == (["one"], ["two"])


def test_the_audit_is_bounded(state: Redis, letters: DeadLetters) -> None:
    """The oldest entries make room."""
    with state.pipeline() as ask:
        for number in range(10_100):
            ask.xadd(AT.audit, {"at": number, "by": "old", "action": "discard", "ids": "[]"})
        ask.execute()
    bury(state, dead("one"))

    letters.remove([dead("one")], by="ann", action="discard")

    assert state.xlen(AT.audit) < 10_100
    assert letters.audit(1)[0].ids == ("one",)


# --- sealed ---------------------------------------------------------------------------------------


@pytest.fixture
def sealer() -> Sealer:
    """One that seals everything of this provider."""
    return Sealer([Fernet.generate_key().decode()], ["harbour.*"])


def sealed(sealer: Sealer, letter_id: str) -> bytes:
    """A letter whose arguments nobody reads."""
    args, kwargs = sealer.seal("harbour.moor", [7], {"note": "canary-note"})
    return dead(letter_id, args=list(args), kwargs=dict(kwargs))


def test_a_sealed_letter_is_replayed_and_edited_sealed(state: Redis, sealer: Sealer) -> None:
    """Neither the record, nor the list, nor the audit ever holds its arguments in clear."""
    letters = DeadLetters(state, HARBOUR.name, sealer=sealer)
    one, two = sealed(sealer, "one"), sealed(sealer, "two")
    bury(state, one, two)

    words = letters.replay([one], by="ann")
    changed = letters.edit(two, [8], {"note": "canary-new"}, by="ann")

    body = request_of(record(state, "one")["message"])
    everything = repr([state.dump(name) for name in state.keys("*")]) + repr(record(state, "one"))
    assert words == ["parked"]
    assert sealer.open("harbour.moor", body.args, body.kwargs) == ([7], {"note": "canary-note"})
    assert changed is not None
    assert letters.opened(changed)[0][0] == 8
    assert changed["payload_excerpt"] == "<sealed>"
    assert "canary" not in everything + repr(state.lrange(AT.dlq, 0, -1)) + repr(state.xrange(AT.audit))


def test_a_letter_in_clear_is_sealed_when_it_is_replayed(state: Redis, sealer: Sealer) -> None:
    """Its task was chosen after it died."""
    bury(state, dead("one"))

    DeadLetters(state, HARBOUR.name, sealer=sealer).replay([dead("one")], by="ann")

    assert "canary-note" not in record(state, "one")["message"]


@pytest.mark.parametrize("args", [[7, "canary-note"], "canary-note"], ids=["good", "misshapen"])
def test_a_letter_in_clear_is_sealed_when_it_is_edited(state: Redis, sealer: Sealer, args: object) -> None:
    """Its task was chosen after it died, and the audit keeps its old arguments as sealed as its new ones."""
    old = dead("one", args=args, kwargs={})
    bury(state, old)
    letters = DeadLetters(state, HARBOUR.name, sealer=sealer)

    changed = letters.edit(old, [8], {"note": "canary-new"}, by="ann")

    (entry,) = letters.audit()
    assert changed is not None
    assert changed["payload_excerpt"] == "<sealed>"
    assert "canary" not in repr(state.lrange(AT.dlq, 0, -1)) + repr(state.xrange(AT.audit))
    assert entry.before is not None
    assert "canary-note" in repr(letters.opened(entry.before))


def test_without_the_key_a_sealed_letter_stays(state: Redis, letters: DeadLetters, sealer: Sealer) -> None:
    """It is said why, and it can still be removed."""
    one = sealed(sealer, "one")
    bury(state, one)

    words = letters.replay([one], by="ann")

    with pytest.raises(SealBroken):
        letters.edit(one, [8], {}, by="ann")
    assert words == ["invalid"]
    assert "sealed" in (letters.refusal(one) or "")
    assert letters.remove([one], by="ann", action="discard") == 1


# --- pages ----------------------------------------------------------------------------------------


@many
@given(
    number=st.integers(0, 60),
    size=st.integers(1, 9),
    takes=st.lists(st.lists(st.integers(0, 59), max_size=12), max_size=12),
)
def test_no_letter_is_skipped_by_who_reads_while_others_move_them(
    state: Redis, number: int, size: int, takes: list[list[int]]
) -> None:
    """Whatever leaves between two pages, and whatever comes: what stayed was read, in its order."""
    state.flushdb()
    mover, reader = (DeadLetters(state, HARBOUR.name) for _ in range(2))
    everyone = [dead(f"letter-{n:02}") for n in range(number)]
    if everyone:
        bury(state, *everyone)
    seen: list[bytes] = []

    for turn, page in enumerate(reader.pages(size)):
        assert len(page) <= size
        seen += page
        if turn < len(takes):
            mover.remove([everyone[n] for n in takes[turn] if n < number], by="x", action="discard")

    left = state.lrange(AT.dlq, 0, -1)
    firsts = list(dict.fromkeys(seen))
    assert [raw for raw in firsts if raw in left] == left


def test_a_reader_who_replays_what_it_reads_reads_everything_once(state: Redis, letters: DeadLetters) -> None:
    """Even when some of each page stay."""
    everyone = [dead(f"letter-{number:03}") for number in range(500)]
    bury(state, *everyone)
    seen: list[bytes] = []

    for page in letters.pages(100):
        seen += page
        letters.replay([raw for raw in page if not letter_of(raw)["id"].endswith("7")], by="ann")

    assert seen == everyone
    assert (len(letters), len(line(state))) == (50, 450)


def test_an_edit_between_two_pages_hides_no_letter(state: Redis, letters: DeadLetters) -> None:
    """Also when the last one that was read is another one now, and those before it have left."""
    bury(state, *[dead(f"letter-{number}") for number in range(6)])
    pages, mover = letters.pages(3), DeadLetters(state, HARBOUR.name)

    first = next(pages)
    mover.edit(first[2], [9], {}, by="ann")
    mover.remove(first[:2], by="ann", action="discard")

    seen = [letter_of(raw)["id"] for page in pages for raw in page]
    assert seen[-3:] == ["letter-3", "letter-4", "letter-5"]


def test_letters_that_come_while_one_reads_are_read(state: Redis, letters: DeadLetters) -> None:
    """They are the newest, so they come last."""
    bury(state, *[dead(f"letter-{number}") for number in range(3)])
    pages = letters.pages(2)

    first = next(pages)
    bury(state, dead("late"))

    assert [letter_of(raw)["id"] for page in [first, *pages] for raw in page][-1] == "late"


# --- killed ---------------------------------------------------------------------------------------

REPLAYER = f"""
import sys
from redis import Redis
import tasks
from worker.letters.deadletter import DeadLetters
letters = DeadLetters(Redis.from_url(sys.argv[1]), {NAME!r})
for page in letters.pages(20):
    letters.replay(page, by=sys.argv[2])
    print(len(page), flush=True)
"""


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts one who replays everything, a page of twenty at a time; whoever is left is killed."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    running: list[subprocess.Popen[str]] = []

    def started(url: str, by: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", REPLAYER, url, by]
        process = subprocess.Popen(command, cwd=CHECKOUT, env=bare, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield started
    for process in running:
        process.kill()
        process.communicate()


def test_two_replay_the_same_letters_and_one_is_killed(
    redis_url: str, state: Redis, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Each call stands in line once, under its own id, and no letter is left."""
    at, everyone = keys(NAME), [f"letter-{number:04}" for number in range(2000)]
    state.rpush(at.dlq, *(letter(each, kwargs={}).as_json() for each in everyone))
    one, other = start(redis_url, "one"), start(redis_url, "other")

    until(lambda: state.zcard(at.parked) > 200, within=60.0)
    one.send_signal(signal.SIGKILL)
    other.wait(timeout=60)

    audited = [name for each in DeadLetters(state, NAME).audit(10_000) for name in each.ids]
    assert one.wait(timeout=10) == -signal.SIGKILL
    assert other.returncode == 0
    assert state.llen(at.dlq) == 0
    assert sorted(members(state, at.parked)) == everyone
    assert sorted(audited) == everyone
    assert state.hget(at.lot, "in_replay") == b"2000"


def test_a_server_that_is_killed_between_pages_loses_and_doubles_nothing() -> None:
    """Who was interrupted begins again: each letter is in the list or its call in the line."""
    everyone = [f"letter-{number:03}" for number in range(400)]
    with EmbeddedValkey(appendfsync="always") as server:
        with server.client() as state:
            bury(state, *(dead(each) for each in everyone))
            letters = DeadLetters(state, HARBOUR.name)
            pages = letters.pages(50)
            for _ in range(3):
                letters.replay(next(pages), by="ann")
            server.kill()
            with pytest.raises(RedisError):
                letters.replay(next(pages), by="ann")
        server.start()
        with server.client() as state:
            half = lying(state), line(state)
            letters = DeadLetters(state, HARBOUR.name)
            words = [word for page in letters.pages(50) for word in letters.replay(page, by="ann")]
            whole = line(state)

    assert (len(half[1]), sorted(half[0] + half[1])) == (150, everyone)
    assert words == ["parked"] * 250
    assert sorted(whole) == everyone


def test_a_full_server_refuses_a_move_whole(letters: DeadLetters) -> None:
    """Nothing is half done: the letters stay, and no call stands in line."""
    with EmbeddedValkey() as server, server.client() as state:
        bury(state, dead("one"), dead("two"))
        full = DeadLetters(state, HARBOUR.name)
        full.audit()
        state.config_set("maxmemory", "1")

        with pytest.raises(RedisError):
            full.replay([dead("one"), dead("two")], by="ann")

        state.config_set("maxmemory", "0")
        assert (lying(state), line(state), full.audit()) == (["one", "two"], [], [])
        assert full.replay([dead("one"), dead("two")], by="ann") == ["parked", "parked"]
        assert len(letters) == 0
