"""The ledger's promises: each submission is remembered once, as what it is, for as long as that matters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import Redis

from tests.integration.conftest import HeldClock
from tests.integration.held import Held
from worker.claim import Claim
from worker.errors import ArgumentsInvalid
from worker.gate import Decision, Report
from worker.record import FATAL_LOSSES
from worker.submissions.ledger import Ledger
from worker.submissions.submission import STATES, Accepted

DAY = 86_400_000
MONTH = 30 * DAY
TAKEN = Accepted(external_id="x-1", external_status="open")
LASTING = Accepted(external_id="x-1", external_status="open", settled=False)


class Book(Held):
    """A provider to which something is submitted, and what is remembered of it."""

    def __init__(self, state: Redis, clock: HeldClock, **declared: Any) -> None:
        super().__init__(state, clock, **declared)
        self.ledger = Ledger(state, state, "acme", now=clock)
        self.base = self.keys.submissions

    def submit(
        self, task_id: str, *, key: str = "", of: str = "a", resend: str = "never", **when: Any
    ) -> bool:
        """Whether its message is to be published."""
        return self.records.write(task_id, "[]", noted=noted(key=key, of=of, resend=resend), **when)

    def sends(self, task_id: str, **given: Any) -> tuple[Decision, Report, Claim]:
        """A worker got its message, and wants to send it."""
        return self.begin(task_id, sends=True, **given)

    def sent(self, task_id: str) -> tuple[Report, Claim]:
        """The same; it was let out."""
        decision, report, claim = self.sends(task_id)
        assert decision.word == "admit"
        return report, claim

    def lost(self, task_id: str) -> list[tuple[str, int]]:
        """What a sweep finds once its lease is over."""
        self.clock.ms += 31_000
        return [
            (found.kind, found.token)
            for found in self.records.orphans(grace=10, depth=5)
            if found.task_id == task_id
        ]

    def of(self, task_id: str) -> str:
        """Its state; the one index that it is in agrees."""
        known = self.records.get(task_id).get("submission", "")
        found = [name for name in STATES if self.state.zscore(f"{self.base}:{name}", task_id) is not None]
        assert found == [known] * bool(known)
        return known

    def lasts(self, task_id: str) -> int:
        """Milliseconds for which it is remembered; -1 for good."""
        left: Any = self.state.pttl(self.keys.call(task_id))
        return int(left)

    def letters(self) -> int:
        """Dead letters."""
        return int(self.state.llen(self.keys.dlq))


def noted(*, key: str = "", of: str = "a", resend: str = "never") -> str:
    """What the ledger is to know from the start."""
    fields = {
        "operation": "report",
        "resend": resend,
        "print": key,
        "digest": of,
        "details": '{"agency":"DOT"}',
    }
    return json.dumps(fields)


@pytest.fixture
def book(state: Redis, clock: HeldClock) -> Book:
    """An empty one."""
    return Book(state, clock)


def test_a_submission_is_queued_before_it_is_published(book: Book) -> None:
    """With what may be seen of it."""
    publish = book.submit("s1")

    known = book.ledger.get("s1")
    assert publish
    assert book.of("s1") == "queued"
    assert known is not None
    assert (known.told["state"], known.told["agency"]) == ("pending_external", "DOT")
    assert book.ledger.counts() == {**dict.fromkeys([*STATES, "open"], 0), "queued": 1}


def test_it_is_marked_before_it_is_let_out(book: Book) -> None:
    """In the same step, with the moment at which it may leave."""
    book.submit("s1")

    book.sent("s1")

    known = book.ledger.get("s1")
    assert book.of("s1") == "sending"
    assert known is not None
    assert known.sent_at == book.clock.ms / 1000


def test_what_the_gate_holds_back_is_not_marked(state: Redis, clock: HeldClock) -> None:
    """No byte of it will leave."""
    book = Book(state, clock, max_concurrency=1)
    book.begin()
    book.submit("s1")

    decision, _, _ = book.sends("s1")

    assert decision.word == "concurrency"
    assert book.of("s1") == "queued"


def test_a_repeated_begin_lets_it_out_once(book: Book) -> None:
    """The reply was lost: the nonce tells that it is the same worker."""
    book.submit("s1")
    replies: list[Any] = []

    class Twice:
        def execute_command(self, *command: Any) -> Any:
            replies.extend(book.state.execute_command(*command) for _ in range(2))
            return replies[-1]

    book.gate.redis = Twice()

    _, claim = book.sent("s1")

    assert [reply[0] for reply in replies] == [b"admit", b"admit"]
    assert claim.token == 1


@pytest.mark.parametrize("submission", ["sending", "in_doubt", "accepted", "rejected"])
def test_a_worker_that_gets_it_later_is_told_not_to_send_it(book: Book, submission: str) -> None:
    """Whatever of it is known, but for a provider that takes each only once."""
    book.submit("s1")
    report, claim = book.sent("s1")
    if submission == "accepted":
        book.ledger.accepted("s1", TAKEN, {})
    book.end(report, claim, "wait", submission=submission)
    book.released(1)

    decision, _, _ = book.sends("s1")

    assert decision.word == "submitted"
    assert book.of("s1") == submission


def test_a_provider_that_takes_each_once_is_sent_it_again(book: Book) -> None:
    """Until it is decided."""
    book.submit("s1", resend="idempotent")
    book.sent("s1")
    assert book.lost("s1") == [("lost", 0)]

    decision, _, _ = book.sends("s1")

    assert decision.word == "admit"


def test_what_may_have_arrived_before_is_not_queued_when_nothing_of_the_next_attempt_was_sent(
    book: Book,
) -> None:
    """The doubt is of the first; or a revocation would forget what the provider has."""
    book.submit("s1", resend="idempotent", key="k")
    book.sent("s1")
    assert book.lost("s1") == [("lost", 0)]
    report, claim = book.sent("s1")
    book.end(report, claim, "retry", submission="queued")

    book.records.cancel("s1")

    assert book.of("s1") == "in_doubt"
    assert book.state.exists(f"{book.base}:key:k")


def test_what_the_provider_does_not_have_is_sent_again_by_whoever_asked(book: Book) -> None:
    """And by nobody else."""
    book.submit("s1", resend="verify")
    report, claim = book.sent("s1")
    book.end(report, claim, "wait", submission="in_doubt")
    book.released(1)
    decision, _, claim = book.sends("s1")
    assert decision.word == "submitted"

    claim.again = True
    decision, _ = book.gate.begin(claim, sends=True)

    assert decision.word == "admit"
    assert book.of("s1") == "sending"


def test_what_was_accepted_stays_so(book: Book) -> None:
    """Whatever a worker says later that heard nothing."""
    book.submit("s1")
    report, claim = book.sent("s1")

    before = book.ledger.accepted("s1", TAKEN, {"agency": "DEP"})
    book.end(report, claim, "dead", letter="{}", submission="in_doubt")

    known = book.ledger.get("s1")
    assert before == ("sending", None)
    assert book.of("s1") == "accepted"
    assert known is not None
    assert (known.external_id, known.told["agency"]) == ("x-1", "DEP")


def test_the_first_word_of_the_provider_stands(book: Book) -> None:
    """Said again it is the same; under another id it was taken twice, and who says so hears of the first."""
    book.submit("s1")
    book.sent("s1")
    book.ledger.accepted("s1", TAKEN, {})

    again = book.ledger.accepted("s1", TAKEN, {})
    other = book.ledger.accepted("s1", Accepted(external_id="x-2"), {})

    assert (again, other) == (("accepted", "x-1"), ("accepted", "x-1"))
    assert book.ledger.get("s1").external_id == "x-1"  # type: ignore[union-attr]


def test_a_worker_that_lost_its_claim_is_believed_when_the_provider_took_it(book: Book) -> None:
    """Its finish changes nothing, its word on what is outside does."""
    book.submit("s1", resend="verify")
    report, sleeper = book.sent("s1")
    ((kind, token),) = book.lost("s1")
    finder = Claim(home="acme", task_id="s1", token=token)
    book.end(None, finder, "wait", wait=60.0, submission="in_doubt")

    fate = book.end(report, sleeper, "dead", letter="{}", submission="rejected")
    in_doubt = book.of("s1")
    book.ledger.accepted("s1", TAKEN, {})

    assert (kind, fate, in_doubt) == ("doubt", "fenced", "in_doubt")
    assert book.of("s1") == "accepted"
    assert book.letters() == 0
    assert book.lasts("s1") == -1  # its call waits yet


def test_a_late_word_on_a_record_that_is_gone_is_kept(book: Book) -> None:
    """Redis lost all, and a worker still knows what the provider has."""
    before = book.ledger.accepted("s1", TAKEN, {})

    assert before == ("", None)
    assert book.of("s1") == "accepted"
    assert 0 < book.lasts("s1") <= MONTH


@pytest.mark.parametrize(
    ("resend", "kind"), [("never", "doubt"), ("verify", "doubt"), ("idempotent", "lost")]
)
def test_a_submission_lost_with_its_worker_is_in_doubt(book: Book, resend: str, kind: str) -> None:
    """Unless sending it again does no harm. One that had not been sent is queued again, always."""
    book.submit("s1", resend=resend)
    book.begin("s1")
    unsent = [found for found, _ in book.lost("s1")]
    book.sent("s1")

    assert unsent == ["lost"]
    assert [found for found, _ in book.lost("s1")] == [kind]


def test_whoever_finds_a_doubt_and_dies_leaves_it_to_the_next(book: Book) -> None:
    """With a higher token, so that the first is fenced when it comes back."""
    book.submit("s1")
    book.sent("s1")
    ((_, first),) = book.lost("s1")
    ((_, second),) = book.lost("s1")

    fates = [
        book.end(
            None, Claim(home="acme", task_id="s1", token=token), "dead", letter="{}", submission="in_doubt"
        )
        for token in (first, second)
    ]

    assert second > first
    assert fates == ["fenced", "dead"]
    assert (book.of("s1"), book.letters()) == ("in_doubt", 1)


def test_a_submission_that_kills_its_workers_while_it_is_sent_is_in_doubt(book: Book) -> None:
    """Nobody knows how far any of them came."""
    book.submit("s1", resend="idempotent")
    for _ in range(FATAL_LOSSES):
        book.sent("s1")
        ((kind, token),) = book.lost("s1")

    book.end(None, Claim(home="acme", task_id="s1", token=token), "dead", letter="{}")

    assert kind == "poison"
    assert (book.of("s1"), book.letters()) == ("in_doubt", 1)


def test_the_same_key_under_another_id_repeats_the_first(book: Book) -> None:
    """It is no submission of its own, and never sent."""
    book.submit("s1", key="k")
    book.submit("s2", key="k")

    decision, _, claim = book.sends("s2")
    told = book.ledger.get("s2")
    book.end(None, claim, "end")

    assert decision.word == "submitted"
    assert told == book.ledger.get("s1")
    assert (book.of("s1"), book.of("s2")) == ("queued", "")


def test_the_same_key_for_something_else_is_refused(book: Book) -> None:
    """And nothing is written."""
    book.submit("s1", key="k")

    with pytest.raises(ArgumentsInvalid, match="idempotency_key"):
        book.submit("s2", key="k", of="b")

    assert book.records.get("s2") == {}


def test_the_same_id_again_is_the_first_also_when_it_has_ended(book: Book) -> None:
    """A call that only asks would be made once more."""
    book.submit("s1")
    report, claim = book.sent("s1")
    book.ledger.accepted("s1", TAKEN, {})
    book.end(report, claim, "end")

    publish = book.submit("s1")

    assert not publish
    assert book.of("s1") == "accepted"


@pytest.mark.parametrize("submission", ["accepted", "rejected"])
def test_what_is_decided_is_remembered_for_thirty_days_with_its_key(book: Book, submission: str) -> None:
    """From the moment that its call ends."""
    book.submit("s1", key="k")
    report, claim = book.sent("s1")
    if submission == "accepted":
        book.ledger.accepted("s1", TAKEN, {})
    book.end(report, claim, "end", submission=submission)

    kept: Any = book.state.pttl(f"{book.base}:key:k")

    assert MONTH - 60_000 < book.lasts("s1") <= MONTH
    assert MONTH - 60_000 < kept <= MONTH


def test_what_is_not_decided_or_not_settled_is_remembered_for_good(book: Book) -> None:
    """Until somebody says more of it."""
    book.submit("doubtful", key="k")
    report, claim = book.sent("doubtful")
    book.end(report, claim, "dead", letter="{}", submission="in_doubt")
    book.submit("open")
    report, claim = book.sent("open")
    book.ledger.accepted("open", LASTING, {})
    book.end(report, claim, "end")

    assert (book.lasts("doubtful"), book.lasts("open")) == (-1, -1)
    assert book.state.pttl(f"{book.base}:key:k") == -1

    book.ledger.observed("open", "closed", closed=True)
    assert MONTH - 60_000 < book.lasts("open") <= MONTH


def test_an_index_forgets_what_was_decided_thirty_days_ago(book: Book) -> None:
    """When the next one comes into it."""
    for name in ("old", "new"):
        book.submit(name)
        report, claim = book.sent(name)
        book.ledger.accepted(name, TAKEN, {})
        book.end(report, claim, "end")
        book.clock.ms += MONTH + 1

    assert [one.id for one in book.ledger.listed("accepted")] == ["new"]


def test_a_status_that_changes_is_told_once(book: Book) -> None:
    """And the one that was asked about longest ago is asked about first."""
    for name in ("s1", "s2"):
        book.submit(name)
        book.sent(name)
        book.ledger.accepted(name, LASTING, {})
    book.clock.ms += 1000

    told = [book.ledger.observed("s1", status) for status in ("open", "assigned", "assigned", None)]

    assert told == [None, "open", None, None]
    assert [one.id for one in book.ledger.open()] == ["s2", "s1"]
    assert [one.id for one in book.ledger.open(before=book.clock.ms / 1000)] == ["s2"]


def test_open_ones_whose_records_are_gone_hide_no_others(state: Redis, book: Book) -> None:
    """They would be asked for first for ever, and whoever polls would see nothing; they are forgotten."""
    state.zadd(f"{book.base}:open", {f"ghost-{number}": 1 for number in range(5)})
    book.submit("s1")
    book.sent("s1")
    book.ledger.accepted("s1", LASTING, {})

    assert [one.id for one in book.ledger.open(2)] == ["s1"]
    assert book.ledger.counts()["open"] == 1


def test_what_is_not_accepted_is_not_asked_about(book: Book) -> None:
    """An answer for something that nobody submitted changes nothing."""
    book.submit("s1")

    assert book.ledger.observed("s1", "open") is None
    assert book.ledger.observed("unheard of", "open") is None
    assert book.of("s1") == "queued"
    assert book.records.get("unheard of") == {}


def test_a_submission_revoked_before_it_is_sent_is_forgotten(book: Book) -> None:
    """Its key may be used anew, for something else too."""
    book.submit("s1", key="k")

    book.records.cancel("s1")
    book.submit("s2", key="k", of="b")

    assert (book.of("s1"), book.of("s2")) == ("", "queued")
    assert book.sends("s1")[0].word in {"revoked", "duplicate"}


def test_a_worker_that_has_not_sent_it_hears_of_the_revocation(book: Book) -> None:
    """When it is about to."""
    book.submit("s1")
    claim = Claim(home="acme", task_id="s1", recorded=True)
    book.gate.claim(claim)
    book.records.cancel("s1")

    decision, _ = book.gate.begin(claim, sends=True)

    assert decision.word == "revoked"
    assert book.of("s1") == "queued"
    assert book.end(None, claim, "park") == "revoked"
    assert book.of("s1") == ""


def test_a_revocation_that_comes_while_it_is_on_its_way_is_not_heard(book: Book) -> None:
    """Not even when it turns out that the provider did not look at it: revoke it once more."""
    book.submit("s1")
    report, claim = book.sent("s1")
    book.records.cancel("s1")
    report.outcome = "throttled"

    fate = book.end(report, claim, "park", submission="queued")

    assert (fate, book.of("s1")) == ("park", "queued")
    assert book.records.cancel("s1") == ("parked", b"[]")


def test_what_may_have_arrived_cannot_be_called_back(book: Book) -> None:
    """A revocation leaves it in doubt, and whoever sees to it goes on."""
    book.submit("s1", resend="verify")
    report, claim = book.sent("s1")
    book.end(report, claim, "wait", wait=60.0, submission="in_doubt")

    state, message = book.records.cancel("s1")

    assert (state, message) == ("waiting", b"")
    assert book.of("s1") == "in_doubt"
    assert book.records.get("s1")["state"] == "waiting"


def test_what_expires_in_line_is_forgotten_and_what_may_have_arrived_does_not_expire(book: Book) -> None:
    """It is not too late for something that is done."""
    book.submit("unsent", expires=book.clock.ms + 1000, behind=False)
    book.submit("doubtful", resend="verify", expires=book.clock.ms + 1000)
    report, claim = book.sent("doubtful")
    book.end(report, claim, "wait", wait=1.0, submission="in_doubt")
    _, _, claim = book.begin("unsent")
    book.end(None, claim, "park", reason="bucket")
    book.clock.ms += 6000

    found = {call.task_id: call.expired for call in book.look(10).calls}
    book.records.cancel("unsent")

    assert found == {"unsent": True, "doubtful": False}
    assert (book.of("unsent"), book.of("doubtful")) == ("", "in_doubt")


def test_a_call_by_bare_name_is_remembered_when_a_worker_first_sees_it(book: Book) -> None:
    """Also where it is claimed before it asks; and it finds who has its key."""
    book.submit("s1", key="k")
    bare = Claim(home="acme", task_id="s2", rebuild=lambda: "[]", noted=noted(key="k"))
    own = Claim(home="acme", task_id="s3", rebuild=lambda: "[]", noted=noted())

    decision, _ = book.gate.begin(bare, sends=True)
    claimed = book.gate.claim(own)

    assert (decision.word, claimed) == ("submitted", "ok")
    assert book.ledger.get("s2") == book.ledger.get("s1")
    assert book.of("s3") == "queued"


def test_a_person_decides_what_nobody_knows(book: Book) -> None:
    """The letter leaves with the doubt, and both stand in the audit stream."""
    book.submit("s1")
    report, claim = book.sent("s1")
    book.end(report, claim, "dead", letter='{"id":"s1"}', submission="in_doubt")

    word = book.ledger.resolve("s1", "accepted", by="me", external_id="x-1", letters=[b'{"id":"s1"}'])
    late = book.ledger.resolve("s1", "rejected", by="you")

    assert (word, late) == ("resolved", "accepted")
    assert (book.of("s1"), book.letters()) == ("accepted", 0)
    assert MONTH - 60_000 < book.lasts("s1") <= MONTH
