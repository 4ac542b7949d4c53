"""A message as Twilio takes it, and its receipt."""

from __future__ import annotations

import re
from typing import Any

from worker.choice import Choice, variable
from worker.errors import CallInDoubt, ConfigurationError
from worker.request import Answer, Request
from worker.submissions.external_id import external_id
from worker.submissions.submission import Accepted

__all__ = ["account_sid", "message", "path_of", "receipt", "service_sid"]


def account_sid(text: str) -> str:
    """*text*, when it is an account's name; ValueError otherwise."""
    return _sid("AC", text)


def service_sid(text: str) -> str:
    """The same of a messaging service."""
    return _sid("MG", text)


def path_of(chosen: Choice) -> str:
    """Where the account's messages are.

    Raises:
        ConfigurationError: It is not known which account.
    """
    try:
        account = chosen.options["account_sid"] or account_sid(chosen.user)
    except ValueError:
        name = variable(chosen.provider, "account_sid")
        text = f"{name} is not set, and the credential does not begin with an account's SID"
        raise ConfigurationError(text) from None
    return f"/2010-04-01/Accounts/{account}/Messages.json"


def message(chosen: Choice, to: str, body: str, media_url: str | None, from_number: str | None) -> Request:
    """One message, from *from_number*, or else the service that was chosen, or else the number.

    Raises:
        ConfigurationError: There is neither.
    """
    form = {"To": to, "Body": body}
    if from_number is None and (service := chosen.options["messaging_service_sid"]):
        form["MessagingServiceSid"] = service
    else:
        form["From"] = from_number or chosen.option("from_number")
    if media_url:
        form["MediaUrl"] = media_url
    return Request(path=path_of(chosen), method="POST", form=form, label="send", recipient=to)


def receipt(answer: Answer) -> Accepted:
    """What Twilio calls the message, and how far it is.

    Raises:
        CallInDoubt: It answered as if all were well, and named none.
    """
    said: dict[str, Any] = answer.data if isinstance(answer.data, dict) else {}
    sid, status = external_id(said.get("sid")), said.get("status")
    if sid is None:
        raise CallInDoubt(f"twilio answered {answer.status} without a sid: it may have taken the message")
    return Accepted(external_id=sid, external_status=status if isinstance(status, str) else None)


def _sid(kind: str, text: str) -> str:
    if not re.fullmatch(rf"{kind}[0-9a-fA-F]{{32}}", text):
        raise ValueError(f"takes {kind} and 32 hexadecimal digits")
    return text
