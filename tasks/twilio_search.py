"""The messages that an account sent to a number, as Twilio lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from worker.errors import ResponseUnreadable
from worker.operation import Steps
from worker.request import Request

__all__ = ["SKEW", "Message", "outbound", "since"]

SKEW = 60.0
"""Seconds by which Twilio's clock and Redis's may differ."""

PAGE, MOST_PAGES = 200, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One that the account sent over the API; what is unreadable is None.

    Attributes:
        made: When, in seconds since the epoch.
        sender: Whom it is from; not known yet where a *service* has not chosen that.
        pictures: How many there are.
    """

    sid: str
    body: str
    made: float | None
    sender: str | None = None
    service: str | None = None
    pictures: int | None = None
    status: str | None = None


def since(path: str, to: str, moment: float) -> Steps[list[Message]]:
    """All messages to *to* that may have been made after *moment*.

    They are not asked for by date: that is of when they were sent, which one that is queued has not been.

    Raises:
        ResponseUnreadable: The answers are no such lists, or have no end.
    """
    found: list[Message] = []
    params: Mapping[str, str] = {"To": to, "PageSize": str(PAGE)}
    for _ in range(MOST_PAGES):
        answer = yield Request(path=path, params=params, label="search", fresh=True)
        page = list(outbound(answer.data))
        found += (each for each in page if each.made is None or each.made >= moment)
        later = _next(answer.data, path)
        past = page and all(each.made is not None and each.made < moment for each in page)
        if later is None or past:
            return found
        params = later
    raise ResponseUnreadable(f"twilio's list of messages has more than {MOST_PAGES} pages")


def outbound(data: Any) -> Iterator[Message]:
    """The messages of one page of a list, without those that came in or answer one.

    Raises:
        ResponseUnreadable: It is no such page.
    """
    listed = data.get("messages") if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise ResponseUnreadable("twilio was asked for messages and answered something else")
    for each in listed:
        sid = each.get("sid") if isinstance(each, dict) else None
        if not isinstance(sid, str):
            raise ResponseUnreadable("twilio listed a message without a sid")
        if each.get("direction") == "outbound-api":
            yield Message(
                sid=sid,
                body=_text(each.get("body")) or "",
                made=_moment(each.get("date_created")),
                sender=_text(each.get("from")),
                service=_text(each.get("messaging_service_sid")),
                pictures=_count(each.get("num_media")),
                status=_text(each.get("status")),
            )


def _next(data: Any, path: str) -> Mapping[str, str] | None:
    """The parameters of the next page; None when there is none."""
    uri = data.get("next_page_uri")
    if uri is None:
        return None
    try:
        parts = urlsplit(uri)
        params = dict(parse_qsl(parts.query))
    except (ValueError, TypeError, AttributeError):
        raise ResponseUnreadable("twilio named a next page that is no address") from None
    if parts.scheme or parts.netloc or parts.path != path:
        raise ResponseUnreadable("twilio's next page is in another place")
    return params


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    """The number in a text of few digits."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value) else None


def _moment(text: Any) -> float | None:
    """Seconds since the epoch of ``Thu, 30 Jul 2015 20:12:31 +0000``."""
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError):
        return None
