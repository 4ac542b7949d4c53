"""Twilio, mounted under its provider's name.

    POST /2010-04-01/Accounts/<AC…>/Messages.json         201 a message; a form, Basic
    GET  /2010-04-01/Accounts/<AC…>/Messages.json         ?To=&From=&PageSize=: pages, next_page_uri relative
    GET  /2010-04-01/Accounts/<AC…>/Messages/<SM…>.json   one; 404 20404 when there is none
    GET  /_book                                           {"arrivals": {text: n}, "messages": [...]}

Numbers that mean something are those of Twilio's own test credentials: +15005550001 is no number, …0003 is in
a country that is not switched on, …0004 answered STOP, …0009 is no mobile; from …0006 all is well.

Read on  2026-11-21, from PROVIDERS.md section 9, contracts/specs and contracts/recorded/twilio. Of the codes
none was recorded; texts are the documentation's, or ours. Dates are not filtered by
"""

from __future__ import annotations

import base64
import binascii
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import parse_qs

from tests.sandbox.message import Reply, Request, json_reply
from tests.sandbox.twilio.messages import Messages

__all__ = ["ACCOUNT_SID", "FROM_NUMBER", "TwilioPlayer"]

ACCOUNT_SID = "AC" + "5a" * 16
FROM_NUMBER = "+12125550100"
MAGIC = {
    "+15005550001": (21211, "Invalid 'To' Phone Number"),
    "+15005550003": (21408, "Permission to send an SMS has not been enabled for the region"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
}
OPTED_OUT = "+15005550004"
SAID = {
    401: (20003, "Authenticate"),
    403: (20403, "Forbidden"),
    404: (20404, "The requested resource was not found"),
    429: (20429, "Too Many Requests"),
    500: (20500, "Internal Server Error"),
    503: (20503, "Service Unavailable"),
}


class TwilioPlayer:
    """Plays Twilio's messages.

    Attributes:
        credentials: ``user:password`` of each that is known: an API key's, and the account's own.
        opted_out: Numbers that answered STOP.
        senders: Numbers that are the account's.
        nameless: Takes messages without telling their names.
        prefix: What it puts before each text, as it does for accounts on trial.
        messages: What it has; a test may add some of its own.
        arrivals: How often a message was taken, by its text: two of one are a double.
    """

    name = "twilio"

    def __init__(self, *, tokens: Iterable[str], clock: Callable[[], float] = time.time) -> None:
        self.credentials = {f"{user}:{token}" for token in tokens for user in ("sandbox", ACCOUNT_SID)}
        self.senders = {FROM_NUMBER, "+15005550006"}
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget what was taken and what was set."""
        self.opted_out = {OPTED_OUT}
        self.nameless, self.prefix = False, ""
        self.messages = Messages(account=ACCOUNT_SID)
        self.arrivals: Counter[str] = Counter()

    async def answer(self, request: Request) -> Reply:
        if request.path == "/_book":
            listed = [each.shown(ACCOUNT_SID) for each in self.messages.kept]
            return json_reply({"arrivals": dict(self.arrivals), "messages": listed})
        if _basic(request) not in self.credentials:
            return self.failure(401)
        at = re.fullmatch(r"/2010-04-01/Accounts/(\w+)/Messages(?:/(\w+))?\.json", request.path)
        if at is None or at[1] != ACCOUNT_SID:
            return self.failure(404)
        if at[2]:
            one = self.messages.found(at[2]) if request.method == "GET" else None
            return self.failure(404) if one is None else json_reply(one.shown(ACCOUNT_SID))
        return self._sent(request) if request.method == "POST" else self._listed(request)

    def failure(self, status: int) -> Reply:
        """Its envelope."""
        code, text = SAID.get(status, (20000 + status, HTTPStatus(status).phrase))
        return _refused(status, code, text)

    def _listed(self, request: Request) -> Reply:
        try:
            return json_reply(self.messages.page(request.path, request.params))
        except ValueError:
            return _refused(400, 20001, "Page size or number is wrong")

    def _sent(self, request: Request) -> Reply:
        form: dict[str, str] = {}
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        to, body, sender = form.get("To", ""), form.get("Body", ""), form.get("From")
        if (refused := self._refusal(form, to, body, sender)) is not None:
            return _refused(400, *refused)
        self.arrivals[body] += 1
        service = form.get("MessagingServiceSid")
        made = self.messages.add(
            to=to,
            body=self.prefix + body,
            made=self._clock(),
            sender=sender,
            service=service,
            media="MediaUrl" in form,
            status="accepted" if service else "queued",
        )
        shown = made.shown(ACCOUNT_SID)
        return json_reply({**shown, "sid": None} if self.nameless else shown, status=201)

    def _refusal(
        self, form: dict[str, str], to: str, body: str, sender: str | None
    ) -> tuple[int, str] | None:
        """The code and words in which the message is refused; None when it is taken."""
        checks = [
            (not to, (21604, "A 'To' phone number is required.")),
            (to in MAGIC, MAGIC.get(to)),
            (not re.fullmatch(r"\+[1-9]\d{6,14}", to), (21211, "Invalid 'To' Phone Number")),
            (
                sender is None and "MessagingServiceSid" not in form,
                (21603, "A 'From' phone number is required."),
            ),
            (sender not in {None, *self.senders}, (21606, "The 'From' phone number is not yours")),
            (to in self.opted_out, (21610, "Attempt to send to unsubscribed recipient")),
            (not body.strip() and "MediaUrl" not in form, (21602, "Message body is required.")),
            (len(body) > 1600, (21617, "The concatenated message body exceeds the 1600 character limit.")),
        ]
        return next((refusal for wrong, refusal in checks if wrong), None)


def _refused(status: int, code: int, text: str) -> Reply:
    about = f"https://www.twilio.com/docs/errors/{code}"
    return json_reply({"code": code, "message": text, "more_info": about, "status": status}, status=status)


def _basic(request: Request) -> str:
    """``user:password``; nothing when it came otherwise."""
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    try:
        return base64.b64decode(coded, validate=True).decode() if scheme == "Basic" else ""
    except (binascii.Error, ValueError):
        return ""
