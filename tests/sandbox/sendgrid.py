"""SendGrid, mounted under its provider's name.

    POST /v3/mail/send   202 without a body, X-Message-Id; 200 in sandbox mode; Bearer
    GET  /_book          {"arrivals": {mark: n}, "mails": [...]}: no credential

Refused are senders outside of a verified domain (403), addresses that stand twice among one copy's, mails
without content or template, and content in the wrong order (400). The day's credits count recipients.

Read on  2026-11-21, from PROVIDERS.md section 8 and contracts/specs/sendgrid_tsg_mail_v3.json; no answer of
SendGrid's was recorded anywhere, so the texts of refusals are its documentation's, or ours
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from tests.sandbox.message import Reply, Request, json_reply

__all__ = ["Mail", "SendGridPlayer"]

SPENT = "Maximum credits exceeded"
MESSAGES = {
    400: "Bad Request",
    401: "The provided authorization grant is invalid, expired, or revoked",
    403: "access forbidden",
    404: "not found",
    405: "method not allowed",
    413: "The JSON payload you have included in your request is too large.",
    429: "too many requests",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """One that was taken."""

    id: str
    subject: str
    sender: str
    to: tuple[str, ...]
    marks: tuple[str, ...]
    data: Mapping[str, Any] = field(repr=False)


class SendGridPlayer:
    """Plays SendGrid's mail API.

    Attributes:
        keys: API keys that are known.
        domains: Of senders that were verified.
        credits: Copies that may be sent yet; None is no limit.
        nameless: Takes mails without telling their names.
        mails: What was taken, oldest first.
        arrivals: How often a mail was taken, by its custom argument, or else by its subject: two of one are
            a double.
    """

    name = "sendgrid"

    def __init__(self, *, tokens: Iterable[str], clock: Callable[[], float] = time.time) -> None:
        self.keys = set(tokens)
        self.domains = {"example.org"}
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget what was taken and what was set."""
        self.credits: int | None = None
        self.nameless = False
        self.mails: list[Mail] = []
        self.arrivals: Counter[str] = Counter()

    async def answer(self, request: Request) -> Reply:
        if request.path == "/_book":
            mails = [{"id": each.id, "subject": each.subject, "to": each.to} for each in self.mails]
            return json_reply({"arrivals": dict(self.arrivals), "mails": mails})
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or key not in self.keys:
            return self.failure(401)
        if request.path != "/v3/mail/send":
            return self.failure(404)
        return self._sent(request) if request.method == "POST" else self.failure(405)

    def failure(self, status: int) -> Reply:
        """Its envelope; a 5xx has none at all, as its clients report."""
        if status >= 500 or status == 202:
            return Reply(status=status)
        if status != 429:
            return _refused(status, MESSAGES.get(status, "error"))
        reset = str(int(self._clock()) + 5)
        headers = {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
        return _refused(status, MESSAGES[status], field=None, headers=headers)

    def _sent(self, request: Request) -> Reply:
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _refused(415, "Content-Type should be application/json.")
        try:
            data = request.json()
            copies = [[str(each["email"]) for each in copy["to"]] for copy in data["personalizations"]]
            sender, subject = str(data["from"]["email"]), str(data.get("subject", ""))
        except (ValueError, KeyError, TypeError):
            return self.failure(400)
        if (wrong := _wrong(data, copies)) is not None:
            return _refused(400, wrong[1], field=wrong[0])
        if sender.rpartition("@")[2] not in self.domains:
            return _refused(403, "The from address does not match a verified Sender Identity.", field="from")
        return self._accounted(data, sender, subject, [each for copy in copies for each in copy])

    def _accounted(self, data: Mapping[str, Any], sender: str, subject: str, to: list[str]) -> Reply:
        if data.get("mail_settings", {}).get("sandbox_mode", {}).get("enable"):
            return Reply(status=200)
        if self.credits is not None and self.credits < len(to):
            return _refused(401, SPENT)
        if self.credits is not None:
            self.credits -= len(to)
        return self._taken(data, sender, subject, to)

    def _taken(self, data: Mapping[str, Any], sender: str, subject: str, to: list[str]) -> Reply:
        given = [value for copy in data["personalizations"] for value in copy.get("custom_args", {}).values()]
        marks = tuple(dict.fromkeys(map(str, given)))
        name = uuid4().hex[:22]
        self.mails.append(Mail(id=name, subject=subject, sender=sender, to=tuple(to), marks=marks, data=data))
        for mark in marks or (subject,):
            self.arrivals[mark] += 1
        return Reply(status=202, headers={} if self.nameless else {"X-Message-Id": name})


def _wrong(data: Mapping[str, Any], copies: list[list[str]]) -> tuple[str, str] | None:
    """The field that is wrong, and what SendGrid says of it; None when it would take the mail."""
    kinds = [each.get("type") for each in data.get("content", [])]
    template = data.get("template_id")
    checks = [
        (not 1 <= len(copies) <= 1000 or not all(copies), "personalizations", "It needs a to in each."),
        (any(map(_doubled, copies)), "personalizations", "Each email address should be unique in its block."),
        (not kinds and not template, "content", "Unless a template_id is provided, content is required."),
        ("text/plain" in kinds[1:], "content", "text/plain comes first, and once."),
        (not data.get("subject") and not template, "subject", "The subject is required."),
    ]
    return next(((field, said) for wrong, field, said in checks if wrong), None)


def _doubled(copy: list[str]) -> bool:
    return len({each.lower() for each in copy}) < len(copy)


def _refused(
    status: int, message: str, *, field: str | None = "null", headers: Mapping[str, str] | None = None
) -> Reply:
    """Its envelope. No field is the text "null", as in the owner's own examples; at a 429 it is none."""
    return json_reply({"errors": [{"message": message, "field": field}]}, status=status, headers=headers)
