"""What is done about a message when nobody knows whether Twilio has it.

Its account is searched. What another submission has is not this one's, and what this one takes no other may
take meanwhile: two that say the same to the same number are each found once.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from tasks import twilio_search as search
from tasks.twilio_likeness import Sent, chosen
from worker.errors import ResponseUnreadable, StateUnavailable
from worker.operation import Steps
from worker.steps import Do
from worker.submissions.submission import Accepted, Submission

__all__ = ["verify"]

HOLD = 600.0
"""Seconds for which a message that was found is nobody else's; the ledger knows it long before."""


def verify(
    known: Submission, to: str, sent: Sent, *, path: str, within: float, hold: float = HOLD
) -> Steps[Accepted | None]:
    """What Twilio made of *known*; None when it has nothing that could be it.

    Args:
        known: As the ledger remembers it.
        to: Whom it went to.
        sent: The message.
        path: Where the account's messages are.
        within: Seconds from when it was sent until Twilio had answered or never did.
        hold: See ``HOLD``.

    Raises:
        ResponseUnreadable: What it has leaves that unclear.
    """
    earliest, latest = known.sent_at - search.SKEW, known.sent_at + within + search.SKEW
    found = yield from search.since(path, to, earliest)
    if not found:
        return None
    taken: set[str] = yield Do(partial(_taken, known, [each.sid for each in found], earliest - search.SKEW))
    one = chosen([each for each in found if each.sid not in taken], sent, latest)
    if one is None:
        return None
    yield Do(partial(_take, known.provider, one.sid, hold))
    return Accepted(external_id=one.sid, external_status=one.status)


def _taken(known: Submission, sids: Iterable[str], since: float) -> set[str]:
    """Those of *sids* that are another submission's."""
    from redis.exceptions import RedisError

    from worker.engine import engine

    try:
        holders = engine().ledger(known.provider).holders(frozenset(sids), since=since)
    except RedisError as gone:
        raise StateUnavailable from gone
    return {sid for sid, holder in holders.items() if holder != known.id}


def _take(provider: str, sid: str, seconds: float) -> None:
    """Nothing, once no other submission can find that message.

    Raises:
        ResponseUnreadable: Another one just did.
    """
    from redis.exceptions import RedisError

    from worker.engine import engine
    from worker.keys import keys
    from worker.lease import Lease

    try:
        ours = Lease(engine().line, keys(provider).alone(f"message {sid}"), seconds=seconds).take()
    except RedisError as gone:
        raise StateUnavailable from gone
    if not ours:
        raise ResponseUnreadable("another submission has just found the same message")
