"""A mail as SendGrid takes it, and its receipt."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from worker.errors import ArgumentsInvalid, CallInDoubt
from worker.request import Answer, Request
from worker.submissions.external_id import external_id
from worker.submissions.submission import Accepted

__all__ = ["MARK", "details", "mail", "receipt", "tagged"]

MARK = "narrows_submission_id"
"""The custom argument by which SendGrid's events say of which submission they speak."""

LARGEST = 20_000_000
"""Characters of what is said again in each copy; SendGrid takes 30 MB of a mail."""

TAKEN, CHECKED = 202, 200


def details(
    to: Sequence[str],
    subject: str,  # noqa: ARG001 - as the operation's
    text: str | None = None,
    html: str | None = None,
    template_id: str | None = None,
    template_data: Mapping[str, Any] | None = None,
    *_: Any,
    **__: Any,
) -> Mapping[str, Any]:
    """What may be seen of a mail from the start.

    Raises:
        ArgumentsInvalid: These make none together, each by itself well as it is.
    """
    if not (text or html or template_id):
        raise ArgumentsInvalid("send_email: text: takes the mail's text, unless html or template_id is given")
    if template_data and not template_id:
        raise ArgumentsInvalid("send_email: template_data: takes what a template wants: give its template_id")
    if len(to) * len(json.dumps(template_data or {})) > LARGEST:
        raise ArgumentsInvalid(
            f"send_email: template_data: stands in each copy, in all of them {LARGEST} characters at most: "
            "write to fewer at once"
        )
    return {"recipients": len(to)}


def mail(
    to: Sequence[str],
    sender: str,
    subject: str,
    *,
    text: str | None = None,
    html: str | None = None,
    template_id: str | None = None,
    template_data: Mapping[str, Any] | None = None,
    reply_to: str | None = None,
    dry: bool = False,
) -> Request:
    """One mail, of which each of *to* gets a copy of their own, and does not see who else does.

    *dry* has it checked and not sent.
    """
    values = {"dynamic_template_data": template_data} if template_data else {}
    parts = [("text/plain", text), ("text/html", html)]  # in this order, or SendGrid refuses it
    fields = {
        "personalizations": [{"to": [{"email": each}], **values} for each in to],
        "from": {"email": sender},
        "subject": subject,
        "reply_to": reply_to and {"email": reply_to},
        "content": [{"type": kind, "value": value} for kind, value in parts if value],
        "template_id": template_id,
        "mail_settings": dry and {"sandbox_mode": {"enable": True}},
    }
    data = {name: value for name, value in fields.items() if value}
    return Request(path="/v3/mail/send", method="POST", data=data, label="send")


def tagged(request: Request, submission_id: str) -> Request:
    """*request* with the submission's id in each copy."""
    copies = [{**each, "custom_args": {MARK: submission_id}} for each in request.data["personalizations"]]
    return replace(request, data={**request.data, "personalizations": copies})


def receipt(answer: Answer, *, dry: bool = False) -> Accepted:
    """What SendGrid calls the mail.

    Raises:
        CallInDoubt: It answered as if all were well, and not as it does when it takes one.
    """
    if dry and answer.status == CHECKED:
        return Accepted(external_id="sandbox", details={"sandbox_mode": True})
    name = external_id(answer.headers.get("x-message-id"))
    if answer.status != TAKEN or name is None:
        raise CallInDoubt(f"sendgrid answered {answer.status} without a message's id: it may have taken it")
    return Accepted(external_id=name)
