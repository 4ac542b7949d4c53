"""Which message is whose: the search for one in doubt, against a real ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest

from config.settings import settings
from tasks.twilio import send_sms
from tasks.twilio_doubt import verify
from tasks.twilio_likeness import Sent
from tests.driver import Driver
from tests.fleet import until
from tests.integration.conftest import HeldClock
from tests.integration.quay import QUAY, Quay, declared
from worker.engine import engine
from worker.errors import ResponseUnreadable, StateUnavailable
from worker.request import Answer
from worker.submissions.submission import Accepted, Submission

PATH = "/2010-04-01/Accounts/AC1/Messages.json"
TO, FROM = "+12125550123", "+12125550100"
SERVICE = "MG" + "0f" * 16


@pytest.fixture(scope="module", autouse=True)
def quay() -> Iterator[None]:
    """A provider that takes submissions, known to this module only."""
    with declared():
        yield


@pytest.fixture
def here(redis_url: str, clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Quay]:
    """An empty deployment, which is this process's own, too."""
    monkeypatch.setenv("NARROWS_STATE_URL", redis_url)
    settings.cache_clear()
    engine.cache_clear()
    yield Quay(url=redis_url, now=clock)
    settings.cache_clear()
    engine.cache_clear()


def listed(sid: str, at: float, **changed: Any) -> dict[str, Any]:
    """A message as Twilio lists it."""
    made = format_datetime(datetime.fromtimestamp(at, UTC))
    return {
        "sid": sid,
        "body": "Hello",
        "date_created": made,
        "direction": "outbound-api",
        "from": FROM,
        "num_media": "0",
        "status": "sent",
        **changed,
    }


def doubted(submission_id: str, at: float) -> Submission:
    """A submission of which nobody knows."""
    return Submission(
        id=submission_id,
        provider=QUAY.name,
        operation="lodge",
        state="in_doubt",
        resend="verify",
        since=at,
        created_at=at,
        sent_at=at,
    )


def searched(known: Submission, *messages: dict[str, Any], hold: float = 600.0) -> Accepted | None:
    """What the search makes of *known* when Twilio has these."""
    answer = Answer(status=200, data={"messages": list(messages), "next_page_uri": None})
    sent = Sent(body="Hello", sender=FROM, named=True)
    steps = verify(known, TO, sent, path=PATH, within=35.0, hold=hold)
    return Driver(answer=lambda _: answer).run(steps)


@pytest.mark.usefixtures("here")
def test_a_message_that_is_nobody_elses_is_found(clock: HeldClock) -> None:
    """With how far it is."""
    at = clock.ms / 1000
    found = searched(doubted("mine", at), listed("SM1", at))
    assert found == Accepted(external_id="SM1", external_status="sent")


def test_one_that_the_ledger_knows_is_another_submissions(here: Quay, clock: HeldClock) -> None:
    """So that ours is not there, and may be sent again."""
    at = clock.ms / 1000
    here.accepted("theirs", "SM1")
    assert searched(doubted("mine", at), listed("SM1", at)) is None
    assert searched(doubted("mine", at), listed("SM1", at), listed("SM2", at)) is not None


@pytest.mark.usefixtures("here")
def test_the_same_words_from_another_number_are_another_programs(clock: HeldClock) -> None:
    """So that ours is not there, and may be sent again; a picture that we did not send leaves it unclear."""
    at = clock.ms / 1000
    assert searched(doubted("mine", at), listed("SM1", at, **{"from": "+12125550199"})) is None
    with pytest.raises(ResponseUnreadable, match="which it is is unclear"):
        searched(doubted("mine", at), listed("SM2", at, num_media="3"))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "others"),
    [
        ((TO, "Hello", None, FROM, "a key"), {"from": "+12125550199"}),
        ((TO, "Bye"), {"body": "Bye", "from": None, "messaging_service_sid": SERVICE}),
    ],
    ids=["a number that the caller named", "the deployment's service"],
)
def test_a_message_is_searched_for_as_the_operation_has_sent_it(
    clock: HeldClock,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[Any, ...],
    others: dict[str, Any],
) -> None:
    """By its arguments, whatever else they are, and by what the deployment chose."""
    monkeypatch.setenv("NARROWS_PROVIDERS__TWILIO__API_KEY", f"AC{'0f' * 16}:secret")
    monkeypatch.setenv("NARROWS_PROVIDERS__TWILIO__OPTIONS__MESSAGING_SERVICE_SID", SERVICE)
    settings.cache_clear()
    at = clock.ms / 1000
    listing = Answer(status=200, data={"messages": [listed("SM1", at, **others)], "next_page_uri": None})
    submits = send_sms.operation.submission
    assert submits is not None
    assert submits.verify is not None

    found = Driver(answer=lambda _: listing).run(submits.verify(doubted("mine", at), *arguments))

    assert (found and found.external_id) == (None if arguments[1] == "Hello" else "SM1")


def test_one_that_was_remembered_for_this_very_submission_is_its_own(here: Quay, clock: HeldClock) -> None:
    """A worker that died between the two finds it again."""
    at = clock.ms / 1000
    here.accepted("mine", "SM1")
    assert searched(doubted("mine", at), listed("SM1", at)) == Accepted(
        external_id="SM1", external_status="sent"
    )


@pytest.mark.usefixtures("here")
def test_two_workers_do_not_find_the_same_message_for_two_submissions(clock: HeldClock) -> None:
    """The second stays in doubt until the ledger knows of the first; or for a while, should that die."""
    at = clock.ms / 1000
    message = listed("SM1", at)
    assert searched(doubted("first", at), message, hold=5.0)
    with pytest.raises(ResponseUnreadable, match="has just found the same message"):
        searched(doubted("second", at), message)


@pytest.mark.usefixtures("here")
def test_a_message_whose_finder_died_is_found_again(clock: HeldClock) -> None:
    """Once nobody holds it."""
    at = clock.ms / 1000
    message = listed("SM1", at)
    assert searched(doubted("first", at), message, hold=0.1)

    def again() -> Accepted | None:
        try:
            return searched(doubted("second", at), message)
        except ResponseUnreadable:
            return None

    assert until(again)


def test_nothing_listed_costs_the_ledger_nothing(clock: HeldClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """It need not even be there."""
    monkeypatch.setenv("NARROWS_STATE_URL", "redis://127.0.0.1:9/0")
    settings.cache_clear()
    engine.cache_clear()
    at = clock.ms / 1000
    assert searched(doubted("mine", at)) is None
    with pytest.raises(StateUnavailable):
        searched(doubted("mine", at), listed("SM1", at))
    settings.cache_clear()
    engine.cache_clear()


def test_the_ledger_says_whose_an_external_id_is(here: Quay, clock: HeldClock) -> None:
    """However many there are; those accepted before the moment that is asked about are not read."""
    early = clock.ms / 1000
    here.accepted("old", "ext-old")
    clock.ms += 10_000
    for number in range(250):
        here.accepted(f"id-{number}", f"ext-{number}", settled=True)

    wanted = {"ext-0", "ext-249", "ext-old", "ext-of-nobody"}

    assert here.ledger.holders(wanted, since=early) == {
        "ext-0": "id-0",
        "ext-249": "id-249",
        "ext-old": "old",
    }
    assert here.ledger.holders(wanted, since=early + 5) == {"ext-0": "id-0", "ext-249": "id-249"}
    assert here.ledger.holders(wanted, since=early + 60) == {}
