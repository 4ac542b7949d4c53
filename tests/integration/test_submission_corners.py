"""Submissions in the order of steps that nobody thought of at first: found once, and must not come back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tasks.nyc311 import submit_service_request
from tests.integration.conftest import HeldClock
from tests.integration.raw_peer import Peer, http, says
from tests.integration.test_ledger import TAKEN, Book, noted
from worker.claim import Claim
from worker.errors import ProviderThrottled, StateUnavailable, SubmissionKnown
from worker.http.connection import CURRENT, Exchange, GuardedHTTPConnection
from worker.letters.deadletter import DeadLetters
from worker.record import FATAL_LOSSES
from worker.stack.embedded import EmbeddedValkey, free_port
from worker.stores import connect
from worker.submissions.ledger import Ledger
from worker.submissions.submitting import Submitter, state_after

ROOT = Path(__file__).resolve().parents[2]
SUBMITS = """
from tasks import submit_service_request
from worker.submissions.ledger import submission_id
place = {"address": "1 Centre Street", "borough": "Manhattan"}
given = {"agency": "DOT", "complaint_type": "Street Condition", "location": place}
print(submission_id(submit_service_request.name, "order-1"))
try:
    submit_service_request.delay(given, idempotency_key="order-1")
except Exception as why:
    print(f"{type(why).__name__}: {why}")
"""


@pytest.fixture
def book(state: Redis, clock: HeldClock) -> Book:
    """An empty one."""
    return Book(state, clock)


def again(book: Book, task_id: str = "s1") -> Any:
    """Its next attempt, some time after it was found to be in doubt: the report and the claim."""
    book.released(1)
    return book.sent(task_id)


def sent_before(why: Any) -> Any:
    """*why*, after bytes have left."""
    why.sent = True
    return why


# --- revoked ---------------------------------------------------------------------------------------


def test_what_was_revoked_while_it_ran_and_never_sent_is_forgotten_when_it_ends(book: Book) -> None:
    """Its key may be used anew; who comes late finds nothing that is kept for good."""
    book.submit("s1", key="k")
    claim = Claim(home="acme", task_id="s1", recorded=True, noted=noted(key="k"))
    assert book.gate.claim(claim) == "ok"
    book.records.cancel("s1")

    decision, _ = book.gate.begin(claim, sends=True)
    book.end(None, claim, "end")

    assert decision.word == "revoked"
    assert book.of("s1") == ""
    assert book.lasts("s1") > 0
    assert book.submit("s2", key="k", of="something else")


def test_the_twin_of_one_that_was_revoked_unsent_is_a_submission_itself(book: Book) -> None:
    """It repeats nothing, so it is sent; and has the key from then on."""
    book.submit("s1", key="k")
    book.submit("s2", key="k")
    book.records.cancel("s1")
    claim = Claim(home="acme", task_id="s2", recorded=True, noted=noted(key="k"))

    decision, _ = book.gate.begin(claim, sends=True)

    assert decision.word == "admit"
    assert book.of("s2") == "sending"
    assert book.state.get(f"{book.base}:key:k") == b"s2"


def test_what_a_person_found_at_the_provider_is_not_revoked(book: Book) -> None:
    """Its call ends; a message would have the caller told that it was."""
    book.submit("s1", resend="verify")
    report, claim = book.sent("s1")
    book.end(report, claim, "wait", wait=60.0, reason="in_doubt", submission="in_doubt")
    book.ledger.accepted("s1", TAKEN, {})

    state, message = book.records.cancel("s1")

    assert (state, message) == ("waiting", b"")
    assert book.of("s1") == "accepted"


def test_what_could_not_be_published_stays_when_it_has_a_key(book: Book) -> None:
    """Somebody else, who submitted the same, was told that it is in."""
    first, second = book.submit("s1", key="k"), book.submit("s1", key="k")

    told = book.records.undone("s1", keyed=True)

    assert (first, second) == (True, False)
    assert told.startswith("it may run all the same")
    assert book.of("s1") == "queued"


def test_a_caller_whose_message_the_broker_does_not_take_hears_that_it_may_run() -> None:
    """With a key it is left as it is: a worker's sweep publishes it, and the same key enqueues it once."""
    with EmbeddedValkey() as server, server.client() as redis:
        urls = dict.fromkeys(("STATE", "RESULT", "CACHE"), server.url)
        urls["BROKER"] = f"redis://127.0.0.1:{free_port()}/0"
        given = {f"NARROWS_{role}_URL": url for role, url in urls.items()}

        task_id, told = subprocess.run(
            [sys.executable, "-c", SUBMITS],
            cwd=ROOT,
            env={**os.environ, **given, "NARROWS_REDIS_TIMEOUT": "0.5"},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.splitlines()

        known = Ledger(redis, redis, "nyc311").get(task_id)
        assert told.startswith(
            "EnqueueFailed: nyc311.submit_service_request: the broker does not take messages"
        )
        assert "it may run all the same" in told
        assert known is not None
        assert known.state == "queued"


def test_what_a_worker_has_begun_to_send_is_not_said_to_be_taken_back(book: Book) -> None:
    """The message whose publishing failed had arrived all the same."""
    book.submit("s1")
    book.sent("s1")

    told = book.records.undone("s1")

    assert told.startswith("it may run all the same")
    assert book.of("s1") == "sending"


# --- in doubt --------------------------------------------------------------------------------------


def test_a_verified_submission_that_kills_its_workers_is_given_up(book: Book) -> None:
    """Asking about it in between, and finding nothing, makes none of them alive."""
    book.submit("s1", resend="verify")
    kinds = []
    for _ in range(FATAL_LOSSES):
        decision, _, claim = book.sends("s1")
        if decision.word == "submitted":  # its provider was asked, and does not have it
            claim.again = True
            decision, _ = book.gate.begin(claim, sends=True)
        assert decision.word == "admit"
        ((kind, token),) = book.lost("s1")
        kinds.append(kind)
        finder = Claim(home="acme", task_id="s1", token=token)
        if kind == "doubt":
            book.end(None, finder, "wait", wait=1.0, reason="in_doubt", submission="in_doubt")
            book.released(1)

    assert kinds == [*["doubt"] * (FATAL_LOSSES - 1), "poison"]


def test_a_throttled_repeat_leaves_the_doubt_of_the_first(book: Book) -> None:
    """The provider did not look at the second; it may have taken the first."""
    book.submit("s1", resend="idempotent", key="k")
    report, claim = book.sent("s1")
    book.end(report, claim, "retry", wait=1.0, attempt=1, submission="in_doubt")
    report, claim = again(book)
    claim.sending = True
    report.outcome = "throttled"
    why = sent_before(ProviderThrottled("429", retry_after=1.0))

    book.end(report, claim, "park", attempt=1, reason="cooldown", submission=state_after(why, claim))
    before = book.of("s1")
    _, message = book.records.cancel("s1")

    assert (before, book.of("s1"), message) == ("in_doubt", "in_doubt", b"")


# --- thrown away -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("submission", "action", "kept"),
    [("queued", "discard", ""), ("queued", "export", "queued"), ("in_doubt", "discard", "in_doubt")],
)
def test_only_what_was_never_sent_goes_with_a_letter_that_is_thrown_away(
    book: Book, submission: str, action: str, kept: str
) -> None:
    """Then its key is free. What may have arrived, or was put elsewhere, keeps it."""
    book.submit("s1", key="k")
    report, claim = book.sent("s1")
    letter = json.dumps({"id": "s1"})
    book.end(report, claim, "dead", letter=letter, submission=submission)

    removed = DeadLetters(book.state, "acme").remove([letter.encode()], by="ann", action=action)
    free = not book.state.exists(f"{book.base}:key:k")

    assert (removed, book.of("s1"), free) == (1, kept, not kept)


def test_a_live_submission_does_not_go_with_an_older_letter_of_it(book: Book) -> None:
    """It was replayed, and stands in line again."""
    book.submit("s1", key="k")
    letter = json.dumps({"id": "s1"}).encode()
    book.state.rpush(book.keys.dlq, letter)

    DeadLetters(book.state, "acme").remove([letter], by="ann", action="discard")

    assert book.of("s1") == "queued"
    assert book.state.get(f"{book.base}:key:k") == b"s1"


# --- gone, and standing still ----------------------------------------------------------------------


def test_a_ledger_that_cannot_be_read_is_a_state_that_is_unavailable() -> None:
    """Then the call waits; any other error would be a dead letter of what was accepted."""

    class Knows:
        def gateway(self, _: str) -> Any:
            raise SubmissionKnown

    with connect(f"redis://127.0.0.1:{free_port()}/0") as nobody:
        submitter = Submitter(Knows(), lambda name: Ledger(nobody, nobody, name))  # type: ignore[arg-type]
        given = {
            "agency": "DOT",
            "complaint_type": "Street Condition",
            "location": {"address": "1 Centre St"},
        }
        claim = Claim(home="nyc311", task_id="s1")

        with pytest.raises(StateUnavailable):
            submitter.run(submit_service_request.operation, (given,), {}, claim, lambda _: None)


class Still:
    """The deadline of a process that stood still, and its watchdog with it."""

    remaining = 1.0

    def guard(self, *_: Any) -> None:
        """Nothing: who should look at the time is stopped."""


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """A call that is under way on this thread."""
    CURRENT.exchange = Exchange(Still(), fresh=True)  # type: ignore[arg-type]
    yield CURRENT.exchange
    del CURRENT.exchange


@pytest.mark.parametrize("late", [True, False])
def test_a_process_that_stood_still_past_its_deadline_sends_nothing(exchange: Exchange, late: bool) -> None:  # noqa: FBT001
    """Its lease is long over, and others may have taken the submission over."""
    with Peer(says(http({}, status=201))) as peer:
        connection = GuardedHTTPConnection("127.0.0.1", peer.port, timeout=5)
        connection.connect()
        exchange.deadline.remaining = 0.0 if late else 1.0  # type: ignore[misc]

        if late:
            with pytest.raises(TimeoutError):
                connection.request("POST", "/requests", body=b"{}")
        else:
            connection.request("POST", "/requests", body=b"{}")
            connection.getresponse()
        connection.close()

        assert (len(peer.requests), exchange.sent) == (0 if late else 1, not late)
