"""Twilio: one text message, with a picture if wanted.

Docs     https://www.twilio.com/docs/messaging/api/message-resource
         https://github.com/twilio/twilio-oai  (the owner's OpenAPI, twilio_api_v2010)
Limits   https://www.twilio.com/docs/api/errors/20429
         one message a second is the handbook's, and what a long number in the United States may send
Quirks   a form and not JSON; 201 says that a message is queued, not that it arrived. No idempotency key; an
         answer may take 26 s. Errors have codes of their own: one who answered STOP is 21610, for ever. A
         429 was not looked at and names no wait; after a 500 a message may have been sent. An API key's
         credential does not say whose account it is: OPTIONS__ACCOUNT_SID does
Unverified  the meaning of all codes, which is from their documentation alone; that a new message is listed
         within 150 s, from whom and with as many pictures as it was sent; that lists are the newest first
         (matters beyond 200 messages to one number)
Read on  2026-11-21
"""

from __future__ import annotations

from typing import Annotated, Any

from tasks.arguments.phone_number import PhoneNumber, Sender, sender
from tasks.arguments.texts import some_text
from tasks.arguments.web_address import WebAddress
from tasks.twilio_doubt import verify
from tasks.twilio_likeness import Sent
from tasks.twilio_message import account_sid, message, receipt, service_sid
from worker.auth.pieces import Basic
from worker.choice import choice
from worker.operation import Steps, operation
from worker.provider import Breaker, Option, Provider, Rate, Signs, Timeouts
from worker.submissions.submission import Accepted, IdempotencyKey, Submission, Submits

__all__ = ["PROVIDER", "send_sms"]

Body = Annotated[str, some_text(1600, example="Your request 311-10000001 is closed.")]

AFTER = 150.0
"""Seconds until Twilio is asked: what of ours might pass for it has been answered then, or is in doubt."""

PROVIDER = Provider(
    name="twilio",
    base_url="https://api.twilio.com",
    rate=Rate(calls=1, burst=1),
    breaker=Breaker(failures=None, ratio=0.5, window=20),
    timeouts=Timeouts(read=30.0, total=35.0),  # it answers within 26 s
    auth=Basic(account="account_sid"),
    judge=Signs(
        at="code",
        codes={
            "20003": "credentials",
            "20429": "throttled",
            "20500": "unavailable",
            "21211": "rejected",  # To is no number
            "21408": "rejected",  # its country is not switched on
            "21606": "rejected",  # From is not ours, or cannot write there
            "21610": "suppressed",  # whoever has it answered STOP
            "21614": "rejected",  # To is no mobile number
        },
    ),
    options={
        "account_sid": Option(about="the account, where an API key is the credential", parse=account_sid),
        "from_number": Option(about="whom messages are from", parse=sender),
        "messaging_service_sid": Option(
            about="the service that chooses whom they are from", parse=service_sid
        ),
    },
)


def _verify(
    known: Submission,
    to: str,
    body: str,
    media_url: str | None = None,
    from_number: str | None = None,
    *_: Any,
    **__: Any,
) -> Steps[Accepted | None]:
    """The message that Twilio made of *known*; None when it has none that could be it."""
    asked = message(choice(PROVIDER), to, body, media_url, from_number)
    sent = Sent.of(asked.form or {}, named=from_number is not None)
    return (yield from verify(known, to, sent, path=asked.path, within=PROVIDER.timeouts.total))


@operation(PROVIDER, submission=Submits(resend="verify", verify=_verify, after=AFTER))
def send_sms(
    to: PhoneNumber,
    body: Body,
    media_url: WebAddress | None = None,
    from_number: Sender | None = None,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - the engine's
) -> Steps[Accepted]:
    """Hand a text message in, once: ``external_id`` is Twilio's sid, ``external_status`` how far it was then.

    Taken is not delivered. Of a message that may or may not have been taken Twilio is asked, and where its
    list leaves that unclear for a day, a person decides. A number that does not want to be written to is
    remembered, and no message to it leaves. Send by ``delay``: what is called like a function is in no
    ledger, so its message may pass for one in doubt that says the same.
    """
    answer = yield message(choice(PROVIDER), to, body, media_url, from_number)
    return receipt(answer)
