"""Which of an account's messages is the one that we sent and heard nothing of.

Twilio takes no id of ours and gives none back, so a message is known by whom it went to, what it says, and
when it was made. That is no proof: another program of the same account may have sent the very same. Whatever
is less sure than this, such as two of them, stays in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from worker.errors import ResponseUnreadable
from worker.operation import Steps
from worker.request import Request

__all__ = ["SKEW", "Message", "chosen", "outbound", "since"]

SKEW = 60.0
"""Seconds by which Twilio's clock and Redis's may differ."""

PAGE, MOST_PAGES = 200, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One that the account sent over the API. *made* is in seconds since the epoch, None when unreadable."""

    sid: str
    body: str
    made: float | None
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
            body, status = each.get("body"), each.get("status")
            yield Message(
                sid=sid,
                body=body if isinstance(body, str) else "",
                made=_moment(each.get("date_created")),
                status=status if isinstance(status, str) else None,
            )


def chosen(free: Sequence[Message], body: str, until: float) -> Message | None:
    """The one of *free*, which are nobody else's, that says *body*; None when it cannot be among them.

    Raises:
        ResponseUnreadable: More than one may be it, or one may be it under a text that Twilio changed.
    """
    same = [each for each in free if each.body.split() == body.split()]
    near = [each for each in free if each.made is None or each.made <= until]
    if not same and not near:
        return None
    if len(same) == 1 and same[0] in near:
        return same[0]
    raise ResponseUnreadable(
        f"twilio has {len(same)} messages of that text and {len(near)} of that time: which it is is unclear"
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


def _moment(text: Any) -> float | None:
    """Seconds since the epoch of ``Thu, 30 Jul 2015 20:12:31 +0000``."""
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError):
        return None
