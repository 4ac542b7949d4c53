"""Twilio: its own example answers parsed, and what we and the sandbox send against the owner's OpenAPI."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from pydantic import SecretStr

from config.settings import ProviderSettings
from tasks import twilio_search as search
from tasks.twilio import PROVIDER
from tasks.twilio_message import message, path_of, receipt
from tests.contract.owner import Owner, recorded
from tests.contract.tally import Tally
from tests.driver import Driver
from tests.sandbox import TOKEN
from tests.sandbox.message import Reply
from tests.sandbox.message import Request as Heard
from tests.sandbox.twilio import ACCOUNT_SID, FROM_NUMBER, TwilioPlayer
from worker.choice import chosen
from worker.http.verdict import verdict
from worker.request import Answer, Request

SPEC = "twilio_api_v2010.messages.trimmed.json"
EXAMPLES = "twilio/messages_holodeck_responses.json"
TO = "+12125550123"
SERVICE = "MG" + "0f" * 16
HERE = chosen(
    PROVIDER,
    ProviderSettings(
        api_key=SecretStr(f"sandbox:{TOKEN}"),
        options={"account_sid": ACCOUNT_SID, "from_number": FROM_NUMBER},
    ),
)
SERVED = chosen(
    PROVIDER,
    ProviderSettings(api_key=SecretStr(f"{ACCOUNT_SID}:{TOKEN}"), options={"messaging_service_sid": SERVICE}),
)
MESSAGES = {
    "plain": message(HERE, TO, "Hello", None, None),
    "picture": message(HERE, TO, "Hello 👍 & + =", "https://example.org/a.jpg", "+15005550006"),
    "service": message(SERVED, TO, "Hello", None, None),
}
named = pytest.mark.parametrize("name", MESSAGES)


@pytest.fixture
def owner() -> Owner:
    """What Twilio publishes."""
    return Owner.of(SPEC)


@pytest.fixture
def player() -> TwilioPlayer:
    """The sandbox's Twilio."""
    return TwilioPlayer(tokens=[TOKEN])


def played(player: TwilioPlayer, request: Request) -> Reply:
    """The sandbox's answer to *request*."""
    known = base64.b64encode(f"sandbox:{TOKEN}".encode()).decode()
    head = f"Authorization: Basic {known}\r\nContent-Type: application/x-www-form-urlencoded"
    query = f"?{urlencode(request.params)}" if request.params else ""
    heard = Heard(
        method=request.method,
        target=request.path + query,
        head=head.encode(),
        body=urlencode(request.form or {}).encode(),
    )
    return asyncio.run(player.answer(heard))


def promised(owner: Owner, request: Request, reply: Reply) -> Any:
    """The parsed answer, when the owner documents it."""
    data = json.loads(reply.body)
    owner.promises(request, status=reply.status, data=data, headers=reply.headers, provider=PROVIDER)
    return data


@named
def test_every_message_is_one_that_the_owner_documents(owner: Owner, tally: Tally, name: str) -> None:
    """A form, from a number or by a service."""
    owner.allows(MESSAGES[name], provider=PROVIDER)
    tally.validated("twilio")


def test_the_sandbox_takes_and_lists_as_the_owner_documents(
    owner: Owner, player: TwilioPlayer, tally: Tally
) -> None:
    """And every page of a search that leads on is asked for as documented, too."""
    for request in MESSAGES.values():
        assert receipt(Answer(status=201, data=promised(owner, request, played(player, request)))).external_id
        tally.played("twilio")
    for number in range(2 * search.PAGE):
        player.messages.add(to=TO, body=f"{number}", made=2e9, sender=FROM_NUMBER)

    def answered(request: Request) -> Answer:
        owner.allows(request, provider=PROVIDER)
        tally.validated("twilio")
        reply = played(player, request)
        tally.played("twilio")
        return Answer(status=reply.status, data=promised(owner, request, reply))

    driver = Driver(answer=answered)
    found = driver.run(search.since(path_of(HERE), TO, 0.0))

    assert len(found) == 2 * search.PAGE + len(MESSAGES)
    assert len(driver.requests) == 3


@pytest.mark.parametrize("name", ["create", "create_wo_service", "create_with_messaging_service"])
def test_a_recorded_receipt_is_read(tally: Tally, owner: Owner, name: str) -> None:
    """The sid is the message's name; the owner's own example is as the owner documents."""
    example = recorded(EXAMPLES)[f"test_{name}_response"]
    owner.promises(MESSAGES["plain"], status=201, data=example["body_json"], provider=PROVIDER)
    told = receipt(Answer(status=example["status"], data=example["body_json"]))
    assert (told.external_id, told.external_status) == (f"SM{'a' * 32}", "sent")
    tally.parsed("twilio")


def test_all_recorded_receipts_are_read(tally: Tally) -> None:
    """Whatever their status."""
    found = {
        name: receipt(Answer(status=201, data=each["body_json"]))
        for name, each in recorded(EXAMPLES).items()
        if each["status"] == 201
    }
    assert {each.external_status for each in found.values()} == {"sent", "queued", "scheduled"}
    tally.parsed("twilio", len(found))


def test_a_recorded_list_is_searched(tally: Tally) -> None:
    """What came in is passed over; dates are RFC 2822's."""
    example = recorded(EXAMPLES)["test_read_full_page1_response"]["body_json"]
    (found,) = search.outbound(example)
    assert (found.sid, found.body) == ("SMded05904ccb347238880ca9264e8fe1c", "testing")
    assert found.made == 1_558_719_886.0
    tally.parsed("twilio")


def test_recorded_empty_lists_hold_nothing(tally: Tally) -> None:
    """An empty page is a page."""
    examples = [each for name, each in recorded(EXAMPLES).items() if "read_empty" in name]
    assert examples
    for example in examples:
        assert list(search.outbound(example["body_json"])) == []
        tally.parsed("twilio")


def test_the_documented_429_is_throttling(tally: Tally, player: TwilioPlayer) -> None:
    """The sandbox says it in the same words."""
    (told,) = [each for each in recorded("error_envelopes_documented.json") if each["provider"] == "twilio"]
    assert verdict(PROVIDER, told["status"], {}, told["body_json"]) == "throttled"
    assert json.loads(player.failure(429).body) == told["body_json"]
    tally.parsed("twilio")
