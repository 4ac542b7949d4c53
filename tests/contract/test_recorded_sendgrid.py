"""SendGrid: what we send and what the sandbox answers, against the owner's OpenAPI.

Nobody has recorded an answer of SendGrid's; its documented 429 stands among the error envelopes.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tasks.sendgrid import PROVIDER
from tasks.sendgrid_mail import mail, receipt, tagged
from tests.contract.owner import Owner, recorded
from tests.contract.tally import Tally
from tests.sandbox import TOKEN
from tests.sandbox.message import Reply
from tests.sandbox.message import Request as Heard
from tests.sandbox.sendgrid import SendGridPlayer
from worker.http.verdict import verdict
from worker.request import Answer, Request

SPEC = "sendgrid_tsg_mail_v3.json"
ADA, CITY = "ada@example.org", "city@example.org"
MAILS: dict[str, Request] = {
    "text": mail([ADA], CITY, "Hello", text="It is on its way."),
    "both": mail([ADA, "bob@example.org"], CITY, "Hello", text="plain", html="<p>page</p>", reply_to=CITY),
    "template": mail([ADA], CITY, "Hello", template_id="d-1", template_data={"number": "311-1"}),
    "dry": mail([ADA], CITY, "Hello", html="<p>page</p>", dry=True),
    "many": mail([f"a{number}@example.org" for number in range(1000)], CITY, "Hello", text="plain"),
}
named = pytest.mark.parametrize("name", MAILS)


@pytest.fixture
def owner() -> Owner:
    """What SendGrid publishes."""
    return Owner.of(SPEC)


def played(request: Request, *, key: str = TOKEN, player: SendGridPlayer | None = None) -> Reply:
    """The sandbox's answer to *request*."""
    head = f"Authorization: Bearer {key}\r\nContent-Type: application/json"
    heard = Heard(
        method=request.method,
        target=request.path,
        head=head.encode(),
        body=json.dumps(request.data).encode(),
    )
    return asyncio.run((player or SendGridPlayer(tokens=[TOKEN])).answer(heard))


def promised(owner: Owner, request: Request, reply: Reply) -> None:
    """Nothing, when the owner documents that answer."""
    data: Any = json.loads(reply.body) if reply.body else None
    owner.promises(request, status=reply.status, data=data, headers=reply.headers, provider=PROVIDER)


@named
def test_every_mail_is_one_that_the_owner_documents(owner: Owner, tally: Tally, name: str) -> None:
    """With the submission's id in each copy."""
    owner.allows(tagged(MAILS[name], "a-submission"), provider=PROVIDER)
    tally.validated("sendgrid")


@named
def test_the_sandbox_takes_each_as_the_owner_documents(owner: Owner, tally: Tally, name: str) -> None:
    """202, and 200 in sandbox mode, which the document does not know."""
    reply = played(MAILS[name])
    if name == "dry":
        assert reply.status == 200
        return
    promised(owner, MAILS[name], reply)
    headers = {key.lower(): value for key, value in reply.headers.items()}
    assert receipt(Answer(status=reply.status, data=None, headers=headers)).external_id
    tally.played("sendgrid")


@pytest.mark.parametrize(
    ("request_", "key", "status"),
    [
        (mail([ADA], CITY, "Hello"), TOKEN, 400),
        (mail([ADA], "city@nowhere.example", "Hello", text="x"), TOKEN, 403),
        (MAILS["text"], "another", 401),
    ],
)
def test_the_sandbox_refuses_as_the_owner_documents(
    owner: Owner, tally: Tally, request_: Request, key: str, status: int
) -> None:
    """One envelope for all."""
    reply = played(request_, key=key)
    assert reply.status == status
    promised(owner, request_, reply)
    tally.played("sendgrid")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413])
def test_its_failures_are_the_owners(owner: Owner, tally: Tally, status: int) -> None:
    """As faults make the sandbox say them."""
    promised(owner, MAILS["text"], SendGridPlayer(tokens=[TOKEN]).failure(status))
    tally.played("sendgrid")


def test_the_documented_429_is_throttling(tally: Tally) -> None:
    """The only answer of SendGrid's that anybody kept; the sandbox's has the same fields and headers."""
    (told,) = [each for each in recorded("error_envelopes_documented.json") if each["provider"] == "sendgrid"]
    assert verdict(PROVIDER, told["status"], {}, told["body_json"]) == "throttled"
    ours = SendGridPlayer(tokens=[TOKEN]).failure(429)
    assert json.loads(ours.body) == told["body_json"]
    assert set(told["headers"]) <= set(ours.headers)
    tally.parsed("sendgrid")
