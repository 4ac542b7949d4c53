"""Mails and text messages by real workers: each leaves once, whatever its provider does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis import Redis

from tasks import send_email, send_sms
from tests.fleet import INCLUDED, Fleet, Ground, until
from tests.sandbox import TOKEN
from tests.sandbox.twilio import ACCOUNT_SID, FROM_NUMBER
from worker.engine import engine
from worker.errors import CallInDoubt, RecipientSuppressed
from worker.keys import keys
from worker.submissions.suppressed import Suppressed
from worker.task import GuardedTask

TO = "+12125550123"
STOPPED = "+15005550004"
CANARY = "canary-person"

ENV = {
    "NARROWS_CLAIM_LEASE": "2",
    "NARROWS_PROVIDERS__SENDGRID__API_KEY": TOKEN,
    "NARROWS_PROVIDERS__SENDGRID__OPTIONS__FROM_EMAIL": "city@example.org",
    "NARROWS_PROVIDERS__SENDGRID__READ_TIMEOUT": "1",
    "NARROWS_PROVIDERS__SENDGRID__BREAKER_RATIO": "1",
    "NARROWS_PROVIDERS__TWILIO__API_KEY": f"sandbox:{TOKEN}",
    "NARROWS_PROVIDERS__TWILIO__RATE": "50",
    "NARROWS_PROVIDERS__TWILIO__OPTIONS__ACCOUNT_SID": ACCOUNT_SID,
    "NARROWS_PROVIDERS__TWILIO__OPTIONS__FROM_NUMBER": FROM_NUMBER,
    "NARROWS_PROVIDERS__TWILIO_SOON__API_KEY": f"sandbox:{TOKEN}",
    "NARROWS_PROVIDERS__TWILIO_SOON__RATE": "50",
    "NARROWS_PROVIDERS__TWILIO_SOON__READ_TIMEOUT": "1",
    "NARROWS_PROVIDERS__TWILIO_SOON__BREAKER_RATIO": "1",
}


@pytest.fixture(scope="module")
def send_soon() -> Iterator[GuardedTask]:
    """The task of which Twilio is asked soon; known to this module only."""
    from tests.acceptance import soon

    yield soon.send_soon
    soon.forget()


@pytest.fixture(scope="module")
def fleet(clean: Ground, send_soon: GuardedTask) -> Iterator[Fleet]:
    """Two workers that give a lost call up after 2 s."""
    at = {"SENDGRID": "sendgrid", "TWILIO": "twilio", "TWILIO_SOON": "twilio"}
    bases = {f"NARROWS_PROVIDERS__{name}__BASE_URL": clean.sandbox.base_url(to) for name, to in at.items()}
    include = f"{INCLUDED},{send_soon.run.__module__}"
    with Fleet(clean, workers=2, env={**ENV, **bases}, include=include) as fleet:
        yield fleet


@pytest.fixture(autouse=True)
def empty_books(state: Redis, clean: Ground) -> None:
    """Nothing taken yet, no dead letters, and credits."""
    state.delete("dlq:sendgrid", "dlq:twilio", "dlq:twilio_soon", keys("sendgrid").limits)
    clean.sandbox.sendgrid.clear()
    clean.sandbox.twilio.clear()


def asked(ground: Ground, provider: str, method: str) -> int:
    """How many such requests came."""
    return sum(each["method"] == method for each in ground.sandbox.control.journal(provider))


# --- SendGrid: nobody can be asked ------------------------------------------------------------------


def test_a_mail_is_taken_once_and_carries_its_submission(clean: Ground) -> None:
    """By the custom argument SendGrid's events tell of which submission they speak."""
    result = send_email.delay(["ada@example.org", "bob@example.org"], "Hello", text="It is on its way.")

    told = result.get(timeout=30)

    (mail,) = clean.sandbox.sendgrid.mails
    assert told == {
        "submission_id": result.id,
        "external_id": mail.id,
        "external_status": None,
        "recipients": 2,
        "state": "accepted",
    }
    assert mail.marks == (result.id,)
    assert [len(copy["to"]) for copy in mail.data["personalizations"]] == [1, 1]


@pytest.mark.parametrize("mode", ["acted_silent", "acted_hang_up", "acted_error"])
def test_a_mail_that_may_have_been_taken_is_left_to_a_person(clean: Ground, state: Redis, mode: str) -> None:
    """It is in doubt, in one dead letter, and was taken once."""
    clean.sandbox.control.fault("sendgrid", mode=mode, times=1)
    result = send_email.delay("ada@example.org", "Hello", text=CANARY)

    with pytest.raises(CallInDoubt):
        result.get(timeout=30)

    until(lambda: state.llen("dlq:sendgrid") == 1, 30.0)
    known = engine().ledger("sendgrid").get(result.id)
    assert known is not None
    assert known.state == "in_doubt"
    assert clean.sandbox.sendgrid.arrivals == {result.id: 1}
    assert asked(clean, "sendgrid", "POST") == 1


def test_a_throttled_mail_waits_for_the_reset_and_leaves_once(clean: Ground) -> None:
    """SendGrid names no Retry-After; it was not looked at."""
    clean.sandbox.control.fault("sendgrid", mode="throttle", times=1, retry_after="1")

    told = send_email.delay("ada@example.org", "Hello", text="again").get(timeout=30)

    assert told["state"] == "accepted"
    assert set(clean.sandbox.sendgrid.arrivals.values()) == {1}


def test_the_end_of_a_days_credits_holds_all_mails_until_the_next(clean: Ground, state: Redis) -> None:
    """It is a 401, and no refused key; nobody asks again before midnight."""
    clean.sandbox.sendgrid.credits = 0
    mails = [send_email.delay("ada@example.org", "Hello", text="late")]
    until(lambda: state.zcard(keys("sendgrid").parked) == 1, 30.0)
    mails.append(send_email.delay("bob@example.org", "Hello", text="late"))
    until(lambda: state.zcard(keys("sendgrid").parked) == 2, 30.0)
    assert asked(clean, "sendgrid", "POST") == 1
    assert state.llen("dlq:sendgrid") == 0

    clean.sandbox.sendgrid.credits = None
    state.delete(keys("sendgrid").limits)  # the next day
    for each in mails:
        assert each.get(timeout=30)["state"] == "accepted"


def test_a_receipt_without_a_name_leaves_a_doubt(clean: Ground) -> None:
    """It was taken, most likely; nobody could say under which name."""
    clean.sandbox.sendgrid.nameless = True
    with pytest.raises(CallInDoubt):
        send_email.delay("ada@example.org", "Hello", text="nameless").get(timeout=30)


# --- Twilio: its account can be searched ------------------------------------------------------------


def test_a_message_is_taken_once(clean: Ground) -> None:
    """Its sid is the submission's name there."""
    result = send_sms.delay(TO, "Your request is closed.")

    told = result.get(timeout=30)

    (message,) = clean.sandbox.twilio.messages.kept
    assert told == {
        "submission_id": result.id,
        "external_id": message.sid,
        "external_status": "queued",
        "state": "accepted",
    }


@pytest.mark.parametrize("mode", ["acted_silent", "acted_hang_up", "acted_error", "reset", "hang"])
def test_a_message_in_doubt_is_found_or_sent_again(clean: Ground, send_soon: GuardedTask, mode: str) -> None:
    """Taken or not, it is there once in the end."""
    clean.sandbox.control.fault("twilio", mode=mode, method="POST", times=1)

    told = send_soon.delay(TO, f"after a {mode}").get(timeout=30)

    (message,) = clean.sandbox.twilio.messages.kept
    assert told["external_id"] == message.sid
    assert clean.sandbox.twilio.arrivals == {f"after a {mode}": 1}


def test_two_in_doubt_that_say_the_same_are_left_to_a_person(clean: Ground, send_soon: GuardedTask) -> None:
    """Each may be either's, so none is taken for one, and none is sent again."""
    clean.sandbox.control.fault("twilio", mode="acted_hang_up", method="POST", times=2)
    results = [send_soon.delay(TO, "the same") for _ in range(2)]

    for each in results:
        with pytest.raises(CallInDoubt):
            each.get(timeout=30)

    assert clean.sandbox.twilio.arrivals == {"the same": 2}


def test_of_two_that_say_the_same_the_one_in_doubt_finds_its_own(
    clean: Ground, send_soon: GuardedTask
) -> None:
    """What the ledger knows to be the other's is not taken for it: it was never sent, and leaves now."""
    first = send_soon.delay(TO, "the same").get(timeout=30)
    clean.sandbox.control.fault("twilio", mode="reset", method="POST", times=1)

    second = send_soon.delay(TO, "the same").get(timeout=30)

    assert second["external_id"] != first["external_id"]
    assert clean.sandbox.twilio.arrivals == {"the same": 2}


def test_a_text_that_twilio_changed_stays_in_doubt(
    clean: Ground, send_soon: GuardedTask, state: Redis
) -> None:
    """It may be the one: it is not sent again, and a person decides."""
    clean.sandbox.twilio.prefix = "Sent from your trial account - "
    clean.sandbox.control.fault("twilio", mode="acted_hang_up", method="POST", times=1)

    with pytest.raises(CallInDoubt):
        send_soon.delay(TO, "changed").get(timeout=30)

    until(lambda: state.llen("dlq:twilio_soon") == 1, 30.0)
    assert clean.sandbox.twilio.arrivals == {"changed": 1}
    assert asked(clean, "twilio", "GET") > 1


def test_a_receipt_without_a_sid_is_searched_for(clean: Ground, send_soon: GuardedTask) -> None:
    """It is there under its sid."""
    clean.sandbox.twilio.nameless = True
    told = send_soon.delay(TO, "nameless").get(timeout=30)
    assert told["external_id"] == clean.sandbox.twilio.messages.kept[0].sid
    assert clean.sandbox.twilio.arrivals == {"nameless": 1}


def test_a_worker_that_dies_while_it_sends_doubles_nothing(
    clean: Ground, fleet: Fleet, send_soon: GuardedTask
) -> None:
    """Twilio took it and both workers are killed: who comes after finds it."""
    clean.sandbox.control.fault("twilio", mode="acted_silent", method="POST", times=1)
    result = send_soon.delay(TO, "orphaned")
    until(lambda: clean.sandbox.twilio.arrivals, 30.0)
    for index in range(2):
        fleet.kill(index)

    told = result.get(timeout=30)

    assert told["state"] == "accepted"
    assert clean.sandbox.twilio.arrivals == {"orphaned": 1}


def test_who_answered_stop_is_asked_about_once_and_written_to_when_lifted(
    clean: Ground, state: Redis
) -> None:
    """21610 is remembered for the fleet: the next message is refused without a request."""
    for _ in range(2):
        with pytest.raises(RecipientSuppressed):
            send_sms.delay(STOPPED, "Hello").get(timeout=30)
    assert asked(clean, "twilio", "POST") == 1
    until(lambda: state.llen("dlq:twilio") == 2, 30.0)

    clean.sandbox.twilio.opted_out.clear()
    assert Suppressed(state, keys("twilio")).lift(STOPPED)

    assert send_sms.delay(STOPPED, "Hello").get(timeout=30)["state"] == "accepted"


def test_nothing_private_is_written_down(clean: Ground, fleet: Fleet, state: Redis) -> None:
    """Neither the text nor the number nor the address: not in a log, nor where a dead letter is looked at."""
    clean.sandbox.control.fault("sendgrid", status=400)
    clean.sandbox.control.fault("twilio", status=400)
    failing = [
        send_email.delay(f"{CANARY}@example.org", CANARY, text=CANARY),
        send_sms.delay("+12125550177", CANARY),
    ]
    for each in failing:
        with pytest.raises(Exception, match="answered 400") as refused:
            each.get(timeout=30)
        assert CANARY not in str(refused.value)

    until(lambda: state.llen("dlq:sendgrid") == state.llen("dlq:twilio") == 1, 30.0)
    for name in ("sendgrid", "twilio"):
        (letter,) = engine().dead_letters(name)
        said = f"{letter['error']} {letter['payload_excerpt']}"
        assert CANARY not in said
        assert "5550177" not in said
    assert CANARY not in fleet.logs
    assert "5550177" not in fleet.logs
    assert TO.strip("+") not in fleet.logs  # whose messages were searched for above
