"""``narrows submission`` against a real server: what is seen, what a person decides, and who is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from celery import states
from celery.result import AsyncResult
from pydantic import SecretStr

from tests.integration.conftest import HeldClock
from tests.integration.deployment import CHECKOUT
from tests.integration.quay import AT, CANARY, QUAY, Quay, declared
from worker.cli.desk import Desk
from worker.cli.root import run
from worker.letters.deadletter import DeadLetters
from worker.letters.letter import letter_of
from worker.submissions.resolving import Resolver

HOUR = 3_600_000


@pytest.fixture(scope="module", autouse=True)
def quay() -> Iterator[None]:
    """The provider, known to this module only."""
    with declared():
        yield


@pytest.fixture
def here(redis_url: str) -> Quay:
    """An empty deployment."""
    return Quay(url=redis_url)


@pytest.fixture
def one_of_each(here: Quay) -> Quay:
    """A submission in every state."""
    here.doubted("doubted")
    here.waiting("waiting")
    here.sending("sending")
    here.queued("queued", key="order-1")
    here.accepted("open", "ext-1")
    here.accepted("settled", "ext-2", settled=True)
    here.doubted("refused")
    here.ledger.resolve("refused", "rejected", by="ann", letters=[letter(here, "refused")])
    return here


def letter(here: Quay, submission_id: str) -> bytes:
    """A dead letter as it lies in Redis."""
    raws: Any = here.engine.state.lrange(AT.dlq, 0, -1)
    found: bytes = next(raw for raw in raws if letter_of(raw)["id"] == submission_id)
    return found


def document(capsys: pytest.CaptureFixture[str]) -> Any:
    """The JSON document that the command printed, and nothing else."""
    return json.loads(capsys.readouterr().out)


def resolve(here: Quay, *args: str) -> int:
    """The exit code of a decision that nobody asks about again."""
    return here.narrows("submission", "resolve", *args, "--yes", "--by", "ann")


def audited(here: Quay) -> list[tuple[str, str, tuple[str, ...]]]:
    """Who did what to which."""
    return [(each.by, each.action, each.ids) for each in here.engine.dead_letters(QUAY.name).audit()]


def places(here: Quay, submission_id: str) -> list[str]:
    """The states whose index has it."""
    names = ("queued", "sending", "accepted", "rejected", "in_doubt")
    found = here.engine.state
    return [name for name in names if found.zscore(f"{AT.submissions}:{name}", submission_id) is not None]


# --- list and show --------------------------------------------------------------------------------


def test_what_is_undecided_is_listed_and_all_is_counted(
    one_of_each: Quay, capsys: pytest.CaptureFixture[str]
) -> None:
    """In doubt first; numbers and ages for each state."""
    code = one_of_each.narrows("submission", "list", QUAY.name, "--json")

    found = document(capsys)
    assert code == 0
    assert [each["id"] for each in found["submissions"]] == ["doubted", "waiting", "sending", "queued"]
    expected = {"queued": 1, "sending": 1, "accepted": 2, "rejected": 1, "in_doubt": 2, "open": 1}
    assert found["counts"] == expected
    assert all(0 <= age < 60 for age in found["oldest_seconds"].values())


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("in_doubt", ["doubted", "waiting"]),
        ("queued", ["queued"]),
        ("sending", ["sending"]),
        ("accepted", ["open", "settled"]),
        ("rejected", ["refused"]),
        ("open", ["open"]),
    ],
)
def test_one_state_is_listed_oldest_first(
    one_of_each: Quay, capsys: pytest.CaptureFixture[str], state: str, expected: list[str]
) -> None:
    """And open ones are those that may change yet."""
    one_of_each.narrows("submission", "list", QUAY.name, "--state", state, "--json")

    assert [each["id"] for each in document(capsys)["submissions"]] == expected


def test_people_read_the_ages_and_how_many_are_hidden(
    redis_url: str, clock: HeldClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two hours are not to be worked out from a date."""
    clock.ms -= 2 * HOUR
    here = Quay(url=redis_url, now=clock)
    for name in ("a", "b", "c"):
        here.doubted(name)
        clock.ms += 1

    code = here.narrows("submission", "list", QUAY.name, "--limit", "2")

    shown = capsys.readouterr().out
    assert code == 0
    assert "quay: 3 not decided, the oldest 2 shown" in shown
    assert "3  in_doubt, the oldest for 2 h" in shown
    assert "\nc " not in shown


@pytest.mark.parametrize(
    "args",
    [
        ["list", "quai"],
        ["list", "quay", "--state", "doubtful"],
        ["show"],
        ["show", "x", "--key", "k", "--operation", "lodge"],
        ["show", "--key", "k"],
        ["resolve", "x", "forgotten"],
        ["resolve", "x", "accepted"],
        ["resolve", "x", "accepted", "--external-id", " "],
        ["resolve", "x", "accepted", "--external-id", "two\nlines"],
        ["resolve", "x", "accepted", "--external-id", ".."],
        ["resolve", "x", "accepted", "--external-id", "3" * 256],
        ["resolve", "x", "rejected", "--external-id", "ext-1"],
        ["resolve", "x", "resend", "--provider", "quai"],
    ],
)
def test_wrong_usage_is_refused(here: Quay, args: list[str]) -> None:
    """With exit code 2, before anything is asked."""
    assert here.narrows("submission", *args) == 2


def test_one_is_found_by_its_id_alone(one_of_each: Quay, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it is; with what it may tell, and where its call is."""
    code = one_of_each.narrows("submission", "show", "waiting", "--json")

    found = document(capsys)
    assert (code, found["provider"], found["state"], found["resend"]) == (0, "quay", "in_doubt", "verify")
    assert found["details"] == {"agency": "DOT"}
    assert found["sent_at"].endswith("Z")
    assert found["call"].startswith("waiting · quay in_doubt · about ")
    assert found["call"].endswith("in doubt, the provider is asked when it runs")


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        (["--key", "order-1", "--operation", "lodge"], "queued"),
        (["--key", "order-1", "--operation", "quay.lodge"], "queued"),
        (["--key", "order-1", "--operation", "lodge", "--provider", "quay"], "queued"),
        (["--external-id", "ext-2"], "settled"),
        (["open", "--provider", "quay"], "open"),
    ],
)
def test_one_is_found_by_whatever_is_known_of_it(
    one_of_each: Quay, capsys: pytest.CaptureFixture[str], ways: list[str], expected: str
) -> None:
    """The caller's name for it, or the provider's."""
    assert one_of_each.narrows("submission", "show", *ways, "--json") == 0
    assert document(capsys)["id"] == expected


def test_a_call_that_repeats_a_submission_leads_to_it(
    one_of_each: Quay, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its own record says only which one that is."""
    one_of_each.queued("twin", key="order-1")

    one_of_each.narrows("submission", "show", "twin", "--json")

    assert document(capsys)["id"] == "queued"


@pytest.mark.parametrize(
    "ways", [["nobody"], ["--external-id", "ext-9"], ["--key", "order-9", "--operation", "lodge"]]
)
def test_one_that_nobody_remembers_is_no_silence(
    one_of_each: Quay, capsys: pytest.CaptureFixture[str], ways: list[str]
) -> None:
    """Exit code 1, and a word on standard error."""
    assert one_of_each.narrows("submission", "show", *ways) == 1
    assert "no such submission is known" in capsys.readouterr().err


def test_nothing_shows_a_payload(one_of_each: Quay, capfd: pytest.CaptureFixture[str]) -> None:
    """For people or for programs, in doubt or decided, before a decision and after it."""
    commands = [
        *(
            ["submission", "list", QUAY.name, "--state", state]
            for state in ("in_doubt", "accepted", "queued")
        ),
        *(["submission", "show", name] for name in ("doubted", "waiting", "open", "refused", "queued")),
        *(["why", name] for name in ("doubted", "waiting", "open", "queued")),
        ["status"],
        ["submission", "resolve", "waiting", "rejected", "--yes"],
        ["submission", "resolve", "doubted", "resend", "--yes"],
        ["dlq", "audit", QUAY.name],
    ]
    for command in commands:
        one_of_each.narrows(*command)
        one_of_each.narrows(*command, "--json")

    said = capfd.readouterr()
    assert "doubted" in said.out
    assert CANARY not in said.out + said.err


def test_a_redis_that_is_gone_is_said() -> None:
    """Exit code 3, for all of them."""
    gone = Quay(url="redis://:canary-password@127.0.0.1:1/0")

    codes = [
        gone.narrows("submission", "list", QUAY.name),
        gone.narrows("submission", "show", "x"),
        gone.narrows("submission", "resolve", "x", "rejected", "--yes"),
    ]

    assert codes == [3, 3, 3]


# --- accepted -------------------------------------------------------------------------------------


def test_what_a_person_found_at_the_provider_is_accepted(
    here: Quay, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ledger, dead letter, audit and the caller's result agree; and the provider is asked how it stands."""
    here.doubted("one")

    code = resolve(here, "one", "accepted", "--external-id", " 311-7 ", "--json")

    told = {
        "submission_id": "one",
        "external_id": "311-7",
        "external_status": None,
        "agency": "DOT",
        "state": "accepted",
    }
    assert (code, document(capsys)["verdict"]) == (0, "resolved")
    assert (here.letters(), places(here, "one")) == ([], ["accepted"])
    assert audited(here) == [("ann", "resolve accepted", ("one",))]
    assert AsyncResult("one", app=here.app).get(timeout=5) == told
    assert [each.id for each in here.ledger.open()] == ["one"]


def test_what_the_provider_will_say_no_more_of_is_not_asked_about(here: Quay) -> None:
    """And is forgotten in 30 days, as one that was accepted at once."""
    here.doubted("one")

    resolve(here, "one", "accepted", "--external-id", "311-7", "--settled")

    assert here.ledger.open() == []
    assert 0 < here.engine.state.pttl(AT.call("one")) <= 30 * 24 * HOUR


def test_only_the_letter_of_that_submission_leaves(here: Quay) -> None:
    """Those before and behind it stay as they lie."""
    for name in ("one", "two", "three"):
        here.doubted(name)

    resolve(here, "two", "accepted", "--external-id", "311-7")

    assert here.letters() == ["one", "three"]


def test_a_letter_is_found_whatever_its_caller_named_the_task(here: Quay) -> None:
    """JSON writes some letters in another way."""
    here.doubted('Straße "9"')

    assert resolve(here, 'Straße "9"', "rejected") == 0
    assert here.letters() == []


def test_a_letter_that_left_before_is_not_needed_to_decide(here: Quay) -> None:
    """It was exported, say: the ledger still knows what is in doubt."""
    here.doubted("one")
    here.engine.dead_letters(QUAY.name).remove([letter(here, "one")], by="ann", action="export")

    assert resolve(here, "one", "accepted", "--external-id", "311-7") == 0
    assert places(here, "one") == ["accepted"]


KILLED = """
import os, signal, sys
from types import SimpleNamespace
from tests.integration.quay import Quay, declared
from worker.submissions.resolving import Resolver

class Killing:
    tasks = {}
    amqp = None

    @property
    def backend(self):
        os.kill(os.getpid(), signal.SIGKILL)

with declared():
    here = Quay(url=sys.argv[1])
    known = here.ledger.get("one")
    Resolver(here.engine, Killing()).resolve(known, "accepted", by="ann", external_id="311-7")
"""


def test_who_is_killed_before_the_result_is_told_says_it_again(here: Quay) -> None:
    """The decision stands, the letter is gone, and the second time the caller hears of it."""
    here.doubted("one")
    killed = subprocess.run([sys.executable, "-c", KILLED, here.url], cwd=CHECKOUT, check=False, timeout=60)
    between = here.state("one"), here.letters(), AsyncResult("one", app=here.app).state

    code = resolve(here, "one", "accepted", "--external-id", "311-7")

    assert killed.returncode == -signal.SIGKILL
    assert between == ("accepted", [], states.FAILURE)
    assert (code, AsyncResult("one", app=here.app).get(timeout=5)["external_id"]) == (0, "311-7")
    assert audited(here) == [("ann", "resolve accepted", ("one",))]


def test_whoever_is_killed_at_whatever_line_leaves_nothing_half_way(here: Quay) -> None:
    """In doubt with its letter, or decided without; said again, it is done, and done once."""
    command = [sys.executable, "-m", "tests.integration.resolving", here.url]
    tried = subprocess.run(command, cwd=CHECKOUT, check=True, timeout=120, capture_output=True, text=True)

    found = json.loads(tried.stdout)
    assert [each["problems"] for each in found.values()] == [[], [], []]
    assert min(each["lines"] for each in found.values()) > 20


def test_results_that_are_away_leave_the_decision_standing(
    here: Quay, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said whose Redis is gone; the same command ends it when that is back."""
    here.doubted("one")
    away = Quay(url=here.url, changed={"result_url": SecretStr("redis://127.0.0.1:1/0")})
    away.app.conf.result_backend = "worker.results:Results+redis://127.0.0.1:1/0"
    away.app.conf.result_backend_transport_options = {"retry_policy": {"max_retries": 0}}

    first = resolve(away, "one", "accepted", "--external-id", "311-7")
    second = resolve(here, "one", "accepted", "--external-id", "311-7")

    assert (first, second) == (3, 0)
    assert "the result Redis at redis://127.0.0.1:1/0 does not serve us" in capsys.readouterr().err
    assert AsyncResult("one", app=here.app).get(timeout=5)["state"] == "accepted"


# --- rejected -------------------------------------------------------------------------------------


def test_what_did_not_arrive_and_is_not_wanted_is_rejected(here: Quay) -> None:
    """Its letter leaves, and its task stays the failure that it was."""
    here.doubted("one")

    code = resolve(here, "one", "rejected")

    assert (code, here.letters(), places(here, "one")) == (0, [], ["rejected"])
    assert audited(here) == [("ann", "resolve rejected", ("one",))]
    assert AsyncResult("one", app=here.app).state == states.FAILURE
    assert 0 < here.engine.state.pttl(AT.call("one")) <= 30 * 24 * HOUR


# --- resend ---------------------------------------------------------------------------------------


def test_what_did_not_arrive_is_sent_again(here: Quay) -> None:
    """Its letter leaves, and its call stands in line under its own id, to be let out once."""
    here.doubted("one")

    code = resolve(here, "one", "resend")

    record = here.engine.state.hgetall(AT.call("one"))
    assert (code, here.letters(), places(here, "one")) == (0, [], ["queued"])
    assert (record[b"state"], record[b"lane"]) == (b"parked", b"replay")
    assert audited(here) == [("ann", "resolve resend", ("one",))]
    here.engine.records(QUAY.name).release(here.quay, "worker", 8)
    assert here.begin("one")[0].word == "admit"


def test_what_is_sent_again_already_is_not_sent_twice(here: Quay, capsys: pytest.CaptureFixture[str]) -> None:
    """The second decision is refused with what it is."""
    here.doubted("one")
    resolve(here, "one", "resend")

    codes = resolve(here, "one", "resend"), resolve(here, "one", "rejected")

    assert codes == (1, 1)
    assert "quay: one is queued, not in doubt" in capsys.readouterr().err
    assert here.engine.state.zrange(AT.parked, 0, -1) == [b"one"]


def test_what_has_no_letter_cannot_be_sent_again(here: Quay, capsys: pytest.CaptureFixture[str]) -> None:
    """Its payload was nowhere else; it can still be rejected."""
    here.doubted("one")
    here.engine.dead_letters(QUAY.name).remove([letter(here, "one")], by="ann", action="discard")

    codes = resolve(here, "one", "resend"), resolve(here, "one", "rejected")

    assert codes == (1, 0)
    assert "its payload is gone" in capsys.readouterr().err
    assert places(here, "one") == ["rejected"]


def test_a_letter_whose_arguments_do_not_fit_any_more_stays(
    here: Quay, capsys: pytest.CaptureFixture[str]
) -> None:
    """In doubt as before, and it is said why."""
    here.doubted("one")
    fields = letter_of(letter(here, "one"))
    here.engine.state.lset(AT.dlq, 0, json.dumps({**fields, "args": []}))

    code = resolve(here, "one", "resend")

    assert (code, here.letters(), places(here, "one")) == (1, ["one"], ["in_doubt"])
    assert "cannot be sent again: lodge: missing a required argument: 'note'" in capsys.readouterr().err


# --- while the provider is asked ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state", "verdict"),
    [
        (["accepted", "--external-id", "311-7"], "accepted", "submitted"),
        (["rejected"], "rejected", "submitted"),
        (["resend"], "queued", "admit"),
    ],
)
def test_a_doubt_that_the_provider_is_to_be_asked_about_can_be_decided_before(
    here: Quay, capsys: pytest.CaptureFixture[str], answer: list[str], state: str, verdict: str
) -> None:
    """Its call has not ended: it goes on with that when its time comes, and is sent only if that was said."""
    here.waiting("one", 0.0)

    code = resolve(here, "one", *answer)

    said = capsys.readouterr().out
    here.engine.records(QUAY.name).release(here.quay, "worker", 8)
    assert (code, places(here, "one")) == (0, [state])
    assert "its call goes on with that when its turn comes" in said
    assert here.begin("one")[0].word == verdict


def test_what_a_worker_asks_about_just_now_is_left_to_it(
    here: Quay, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would be told two things at once."""
    here.waiting("one", 0.0)
    here.engine.records(QUAY.name).release(here.quay, "worker", 8)
    assert here.begin("one")[0].word == "submitted"

    code = resolve(here, "one", "rejected")

    assert (code, places(here, "one")) == (1, ["in_doubt"])
    assert "is being asked about just now" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("which", "state"),
    [("sending", "sending"), ("queued", "queued"), ("open", "accepted"), ("refused", "rejected")],
)
@pytest.mark.parametrize("answer", [["accepted", "--external-id", "other"], ["rejected"], ["resend"]])
def test_what_is_not_in_doubt_is_not_decided(
    one_of_each: Quay, capsys: pytest.CaptureFixture[str], which: str, state: str, answer: list[str]
) -> None:
    """It stays what it is, and that is said."""
    code = resolve(one_of_each, which, *answer)

    assert (code, places(one_of_each, which)) == (1, [state])
    assert f"quay: {which} is {state}, not in doubt" in capsys.readouterr().err


def test_one_that_nobody_remembers_is_not_decided(here: Quay) -> None:
    """Exit code 1."""
    assert resolve(here, "nobody", "rejected") == 1


def test_a_decision_is_asked_about_first(here: Quay) -> None:
    """Who does not answer has decided nothing."""
    here.doubted("one")
    code = (
        f"import sys; from tests.integration.test_submission_cli import asked; sys.exit(asked({here.url!r}))"
    )

    spoken = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )

    assert spoken.returncode == 1
    assert "Send one to quay again? If it arrived the first time, it will be there twice." in spoken.stderr
    assert (here.letters(), places(here, "one")) == (["one"], ["in_doubt"])


def asked(url: str) -> int:
    """The exit code of a decision in a process of its own."""
    with declared():
        here = Quay(url=url)
        return run(["submission", "resolve", "one", "resend"], desk=Desk(here.engine, here.app))


# --- several at once ------------------------------------------------------------------------------


def test_a_letter_that_changed_meanwhile_is_looked_for_again(here: Quay) -> None:
    """A step that was to take another letter than lies there does nothing."""
    here.doubted("one")
    stale = letter(here, "one")
    DeadLetters(here.engine.state, QUAY.name, app=here.app).edit(stale, ["another"], {}, by="bob")

    word = here.ledger.resolve("one", "rejected", by="ann", letters=[stale])

    assert (word, here.letters(), places(here, "one")) == ("moved", ["one"], ["in_doubt"])
    assert resolve(here, "one", "rejected") == 0
    assert here.letters() == []


def test_one_whose_call_lives_by_now_is_not_decided_as_a_dead_one(here: Quay) -> None:
    """Nor the other way round: the letter would stay, or leave without its call."""
    here.doubted("dead")
    here.waiting("lives")

    words = (
        here.ledger.resolve("dead", "queued", by="ann", lives=True),
        here.ledger.resolve("lives", "rejected", by="ann"),
    )

    assert words == ("moved", "moved")
    assert (places(here, "dead"), places(here, "lives")) == (["in_doubt"], ["in_doubt"])


def test_of_many_who_decide_at_once_one_does(here: Quay) -> None:
    """Whatever they say, there is one decision, no letter is left, and one call at most is in line."""
    verdicts: list[Any] = []
    for number in range(10):
        name = f"s{number}"
        here.doubted(name)
        known = here.ledger.get(name)
        together = threading.Barrier(3)

        def decide(answer: Any, known: Any = known, together: threading.Barrier = together) -> None:
            together.wait(timeout=20)
            external_id = "311-7" if answer == "accepted" else ""
            resolver = Resolver(here.engine, here.app)
            verdicts.append((known.id, *resolver.resolve(known, answer, by=answer, external_id=external_id)))

        threads = [
            threading.Thread(target=decide, args=(each,)) for each in ("accepted", "rejected", "resend")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=30)

    done = Counter(name for name, verdict, _ in verdicts if verdict in {"resolved", "lives"})
    assert len(verdicts) == 30
    assert done == {f"s{number}": 1 for number in range(10)}
    assert here.letters() == []
    assert len(audited(here)) == 10
