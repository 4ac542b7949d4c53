"""Where a call is and why, since when, and when it is expected to run.

The record says where it is; what holds it is asked of the provider's gate as it stands now, for the reason
that the record keeps is the one of the moment when the call was held back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from celery import states

from worker import registry
from worker.remembered import FIELDS, fields_of, remembered
from worker.snapshot import view
from worker.whereabouts import State, Whereabouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from celery import Celery

    from worker.engine import Engine
    from worker.standing import Standing

__all__ = ["Whereabouts", "explain", "waits_at", "whereabouts"]

_FIELDS = (
    "state", "created_at", "published_at", "since", "due_at", "lease_until", "reason", "lane", "attempt",
    "revoked",
)  # fmt: skip
_WAITING = {b"waiting", b"parked", b"slow"}
_SURE = 2.0
"""Seconds in line after which a worker that serves it would have been seen."""

_MINUTE = 60.0


def whereabouts(engine: Engine, task_id: str, names: Iterable[str] | None = None) -> Whereabouts | None:
    """Where the call of that id is, looked for at the providers of *names*, all when None; one round trip.

    None when none of them has a record of it.

    Raises:
        RedisError: The state Redis does not answer.
    """
    views = [view(engine, name) for name in (registry.names() if names is None else names)]
    with engine.state.pipeline(transaction=False) as ask:
        ask.time()
        asked = [len(ask)]
        for each in views:
            ask.hmget(each.at.call(task_id), (*_FIELDS, *FIELDS))
            for index in (each.at.queued, each.at.parked, each.at.slow):
                ask.zrank(index, task_id)
            each.ask(ask)
            asked.append(len(ask))
        replies = ask.execute()
    seconds, micros = replies[0]
    now = seconds * 1000 + micros // 1000
    for each, start, end in zip(views, asked, asked[1:], strict=False):
        fields, *ranks = replies[start : start + 4]
        if fields[0]:
            record = dict(zip(_FIELDS, map(_text, fields), strict=False))
            places = dict(zip(("queued", "parked", "slow"), ranks, strict=True))
            placed = _placed(task_id, record, places, each.standing(replies[start + 4 : end], now))
            known = fields_of(fields[len(_FIELDS) :])
            return replace(placed, submission=remembered(placed.provider, task_id, known))
    return None


def waits_at(engine: Engine, task_id: str) -> str | None:
    """The provider at which that call waits outside of the queue; None when it does not. One round trip."""
    names = registry.names()
    with engine.state.pipeline(transaction=False) as ask:
        for name in names:
            ask.hget(engine.records(name).keys.call(task_id), "state")
        return next(
            (name for name, state in zip(names, ask.execute(), strict=True) if state in _WAITING), None
        )


def explain(
    engine: Engine, app: Celery, task_id: str, *, asking: Callable[[str], object] = str
) -> Whereabouts:
    """Where the call of that id is, or how it ended.

    One round trip while it has a record. Then its result is looked for and, where there is none or a failure,
    the dead letters are read.

    Args:
        engine: Has the records and dead letters.
        app: Has the results.
        task_id: Celery's.
        asking: Hears whose Redis is asked next, ``state`` or ``result``.

    Raises:
        RedisError: It does not answer.
    """
    asking("state")
    found = whereabouts(engine, task_id)
    if found is not None and found.state != "ended":
        return found
    asking("result")
    meta = _stored(app, task_id)
    asking("state")
    seconds, micros = engine.state.time()
    over = _over(engine, task_id, meta, found, at=seconds + micros / 1e6)
    return replace(over, submission=found.submission) if found else over


def _over(
    engine: Engine, task_id: str, meta: Mapping[str, Any], found: Whereabouts | None, *, at: float
) -> Whereabouts:
    """How a call without a record, or with its tombstone *found*, ended."""
    status, done = meta["status"], _moment(meta.get("date_done"))
    provider = found.provider if found else ""
    if status == states.SUCCESS:
        return Whereabouts(
            task_id=task_id, state="finished", at=at, provider=provider, since=done, outcome=status
        )
    if status == states.REVOKED:
        return Whereabouts(task_id=task_id, state="revoked", at=at, provider=provider, since=done)
    for name in [provider] if provider else registry.names():
        if letter := engine.dead_letters(name).find(task_id):
            return Whereabouts(
                task_id=task_id,
                state="dead letter",
                at=at,
                provider=name,
                reason=str(letter.get("code", "")),
                since=_moment(letter.get("failed_at")),
                attempts=int(letter.get("attempts") or 0),
            )
    if status in states.READY_STATES:
        return Whereabouts(
            task_id=task_id, state="finished", at=at, provider=provider, since=done, outcome=status
        )
    if found is not None:
        return found
    state: State = "unknown" if status == states.PENDING else "unrecorded"
    return Whereabouts(task_id=task_id, state=state, at=at, outcome="" if state == "unknown" else status)


def _placed(
    task_id: str, record: Mapping[str, str], ranks: Mapping[str, int | None], standing: Standing
) -> Whereabouts:
    """What the record says, and its provider's gate."""
    state: Any = record["state"]
    rank = ranks.get(state)
    known: dict[str, Any] = {
        "task_id": task_id,
        "at": standing.at,
        "provider": standing.provider,
        "position": None if rank is None else rank + 1,
        "lane": record["lane"] or "interactive",
        "attempts": int(record["attempt"] or 0),
    }
    if state == "ended":
        return Whereabouts(**known, state="revoked" if record["revoked"] else "ended")
    more = {"queued": _queued, "running": _running, "parked": _parked}.get(state, _held)
    return Whereabouts(**known, state=state, **more(record, rank, standing))


def _queued(record: Mapping[str, str], rank: int | None, standing: Standing) -> dict[str, Any]:  # noqa: ARG001
    return {"since": _seconds(record["published_at"]) or _seconds(record["created_at"])}


def _running(record: Mapping[str, str], rank: int | None, standing: Standing) -> dict[str, Any]:  # noqa: ARG001
    """A ``since`` older than the message was written before the call was parked, not when it was begun."""
    published = _seconds(record["published_at"]) or _seconds(record["created_at"]) or 0.0
    begun = _seconds(record["since"]) or 0.0
    return {
        "since": max(begun, published) or None,
        "until": _seconds(record["lease_until"]),
        "reason": "revoked" if record["revoked"] else "",
    }


def _parked(record: Mapping[str, str], rank: int | None, standing: Standing) -> dict[str, Any]:
    since = _seconds(record["since"])
    place = None if rank is None else rank + 1 + standing.under_way
    return {
        "reason": standing.hold[0],
        "since": since,
        "expected": None if place is None else standing.line.moment(place),
        "served": standing.slots > 0 or since is None or standing.at - since < _SURE,
    }


def _held(record: Mapping[str, str], rank: int | None, standing: Standing) -> dict[str, Any]:
    """Of a call that waits for its time, or for the retry budget, and is then the first in line at best."""
    due = _seconds(record["due_at"]) or standing.at
    budget, floor = standing.budget, standing.declared.retry.floor
    beyond = 0 if rank is None or budget.left is None else rank + 1 - budget.left
    if beyond > 0:
        due = max(due, standing.at + beyond * _MINUTE / floor) if floor else 0.0
    first = standing.line.moment(1)
    return {
        "reason": record["reason"],
        "since": _seconds(record["since"]) or _seconds(record["created_at"]),
        "expected": max(due, first) if due and first is not None else None,
    }


def _stored(app: Celery, task_id: str) -> dict[str, Any]:
    """What Celery keeps of the task, whatever the record says."""
    backend = app.backend
    meta: dict[str, Any] = getattr(backend, "stored", backend.get_task_meta)(task_id)
    return meta


def _text(field: bytes | None) -> str:
    return "" if field is None else field.decode()


def _seconds(field: str) -> float | None:
    return float(field) / 1000 if field and float(field) else None


def _moment(written: object) -> float | None:
    """The moment in a date that Celery or a dead letter has; None when there is none to be read."""
    try:
        when = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return None
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() if when else None
