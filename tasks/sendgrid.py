"""SendGrid: one e-mail, to one person or to many.

Docs     https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send
         https://github.com/twilio/sendgrid-oai  (the owner's OpenAPI, tsg_mail_v3)
Limits   https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
         100 a day and 10 calls a second are the handbook's; 1000 recipients of a mail
Quirks   202 has no body, its X-Message-Id is the mail's name; it says that the mail is queued, not that it
         arrived. No idempotency key and no look-up: what may have been taken is never sent again. The end
         of a day's credits is a 401 or 403 in words; a 429 has no Retry-After but X-RateLimit-Reset.
         Credits count recipients, our quota counts calls. The same address twice in a mail is refused
Unverified  the credits' day is UTC's; that sandbox mode names no message; the body of a 429
Read on  2026-11-21
"""

from __future__ import annotations

from typing import Annotated, Any

from tasks.arguments.email_address import EmailAddress, Recipients, email_address
from tasks.arguments.texts import json_object, one_line, some_text
from tasks.sendgrid_mail import details, mail, receipt, tagged
from worker.choice import choice
from worker.operation import Steps, operation
from worker.provider import Auth, Breaker, Option, Provider, Quota, Rate, Signs
from worker.submissions.submission import Accepted, IdempotencyKey, Submits

__all__ = ["PROVIDER", "send_email"]

Subject = Annotated[str, one_line(998, example="Your request 311-10000001")]
Text = Annotated[str, some_text(1_000_000, example="It is on its way.")]
Template = Annotated[str, one_line(64, example="d-0123456789abcdef0123456789abcdef")]
Values = Annotated[dict[str, Any], json_object(100_000, example='{"number": "311-10000001"}')]


def flag(text: str) -> bool:
    """Whether *text* says yes; ValueError when it says neither yes nor no."""
    if text not in {"true", "false"}:
        raise ValueError("takes true or false")
    return text == "true"


PROVIDER = Provider(
    name="sendgrid",
    base_url="https://api.sendgrid.com",
    rate=Rate(calls=10, burst=10),
    quota=Quota(limit=100, zone="UTC"),
    breaker=Breaker(failures=None, ratio=0.5, window=20),
    auth=Auth(header="Authorization", scheme="Bearer"),
    max_cooldown=86_400.0,  # until the next day's credits
    too_long="wait",  # which others may have spent by then: a mail waits for the day on which it gets one
    judge=Signs(message="errors.message", words={"Maximum credits exceeded": "spent"}),
    options={
        "from_email": Option(about="whom mails are from: a sender that SendGrid knows", parse=email_address),
        "sandbox_mode": Option(about="true has mails checked and not sent", default=False, parse=flag),
    },
)


@operation(PROVIDER, shown=("template_id",), submission=Submits(tag=tagged, details=details))
def send_email(
    to: Recipients,
    subject: Subject,
    text: Text | None = None,
    html: Text | None = None,
    template_id: Template | None = None,
    template_data: Values | None = None,
    from_email: EmailAddress | None = None,
    reply_to: EmailAddress | None = None,
    idempotency_key: IdempotencyKey = None,  # noqa: ARG001 - the engine's
) -> Steps[Accepted]:
    """Hand a mail in, once: ``external_id`` is SendGrid's message id, ``recipients`` how many get a copy.

    Taken is not delivered: SendGrid tells by its Event Webhook what became of it. Of a mail that may or may
    not have been taken a person decides.
    """
    chosen = choice(PROVIDER)
    dry = bool(chosen.options["sandbox_mode"])
    answer = yield mail(
        to,
        from_email or chosen.option("from_email"),
        subject,
        text=text,
        html=html,
        template_id=template_id,
        template_data=template_data,
        reply_to=reply_to,
        dry=dry,
    )
    return receipt(answer, dry=dry)
