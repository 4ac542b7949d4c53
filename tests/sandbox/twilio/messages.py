"""Messages as Twilio keeps them, shows them, and lists them by pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

__all__ = ["Message", "Messages"]


@dataclass(slots=True, kw_only=True)
class Message:
    """One message. ``looks`` is how often lists leave it out before it is in them."""

    sid: str
    to: str
    body: str
    made: float
    sender: str | None = None
    service: str | None = None
    media: bool = False
    direction: str = "outbound-api"
    status: str = "queued"
    looks: int = 0

    def shown(self, account: str) -> dict[str, Any]:
        """As the API does; one that is queued has not been sent, and has no date of that."""
        sent = None if self.status in {"queued", "accepted"} else formatdate(self.made + 1)
        path = f"/2010-04-01/Accounts/{account}/Messages/{self.sid}"
        return {
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": self.body,
            "date_created": formatdate(self.made).replace("-0000", "+0000"),
            "date_sent": sent and sent.replace("-0000", "+0000"),
            "date_updated": formatdate(self.made).replace("-0000", "+0000"),
            "direction": self.direction,
            "error_code": None,
            "error_message": None,
            "from": self.sender,
            "messaging_service_sid": self.service,
            "num_media": "1" if self.media else "0",
            "num_segments": str(1 + len(self.body) // 153),
            "price": None,
            "price_unit": None,
            "sid": self.sid,
            "status": self.status,
            "subresource_uris": {"media": f"{path}/Media.json"},
            "to": self.to,
            "uri": f"{path}.json",
        }


@dataclass(slots=True, kw_only=True)
class Messages:
    """All messages of one account.

    Attributes:
        lag: How many lists leave a new one out.
    """

    account: str
    lag: int = 0
    kept: list[Message] = field(default_factory=list)

    def add(self, **given: Any) -> Message:
        """A new message."""
        kind = "MM" if given.get("media") else "SM"
        made = Message(sid=f"{kind}{uuid4().hex}", looks=self.lag, **given)
        self.kept.append(made)
        return made

    def found(self, sid: str) -> Message | None:
        """The message of that name."""
        return next((each for each in self.kept if each.sid == sid), None)

    def page(self, path: str, asked: Mapping[str, str]) -> dict[str, Any]:
        """One page of those that are asked for, the newest first.

        Raises:
            ValueError: It asks for no such page.
        """
        number, size = int(asked.get("Page", "0")), int(asked.get("PageSize", "50"))
        if number < 0 or not 1 <= size <= 1000:
            raise ValueError
        matching = list(self._matching(asked))
        start = number * size
        shown = matching[start : start + size]
        rest = {name: value for name, value in asked.items() if name not in {"Page", "PageToken"}}

        def uri(page: int) -> str:
            token = {"PageToken": f"PA{shown[-1].sid}"} if page > number else {}
            return f"{path}?{urlencode({**rest, 'PageSize': size, 'Page': page, **token})}"

        return {
            "end": start + max(0, len(shown) - 1),
            "first_page_uri": uri(0),
            "messages": [each.shown(self.account) for each in shown],
            "next_page_uri": uri(number + 1) if start + size < len(matching) else None,
            "page": number,
            "page_size": size,
            "previous_page_uri": uri(number - 1) if number else None,
            "start": start,
            "uri": uri(number),
        }

    def _matching(self, asked: Mapping[str, str]) -> Iterator[Message]:
        for each in sorted(self.kept, key=lambda one: one.made, reverse=True):
            if each.to != asked.get("To", each.to) or each.sender != asked.get("From", each.sender):
                continue
            if each.looks > 0:
                each.looks -= 1
                continue
            yield each
