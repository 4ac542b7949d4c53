"""What spans say of runs and calls: names, outcomes and codes, each from our own code.

Only what is written here and in :mod:`worker.tracing.spans` leaves: names that the code gives (provider,
operation, the request's label, error codes), numbers, ids and addresses of hosts. Never an argument, a path,
a query, a body or an exception's text.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from celery import states

from worker.envelope import is_moment
from worker.errors import CallFailed, CallInDoubt, NarrowsError, ProviderThrottled, StateUnavailable
from worker.letters.letter import replays_of

if TYPE_CHECKING:
    from worker.claim import Claim

__all__ = ["code_of", "failed", "of_message", "of_run", "outcome_of", "reason_of", "server_of"]

_OLDEST = 30 * 86_400.0
"""Seconds; who says that a call is older has made that up."""


def of_message(task: str, what: str) -> dict[str, Any]:
    """https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/, read 2026-11-21."""
    return {
        "messaging.system": "celery",
        "messaging.operation.type": what,
        "messaging.destination.name": task.partition(".")[0],
        "narrows.task": task,
    }


def of_run(task: str, claim: Claim, mark: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's span says from its beginning."""
    about: dict[str, Any] = {"narrows.provider": claim.home, "narrows.task": task}
    if not claim.task_id:
        return about
    about |= {
        **of_message(task, "process"),
        "messaging.message.id": claim.task_id,
        "narrows.lane": claim.lane,
    }
    if claim.context.request_id:
        about["narrows.request_id"] = claim.context.request_id
    if mark.get("copy"):
        about["narrows.copy"] = True
    if replays := replays_of(mark):
        about["narrows.replays"] = replays
    enqueued, published = _since(mark.get("at")), _since(mark.get("sent_at"))
    if enqueued is not None:
        about["narrows.since_enqueued"] = enqueued
    if (waited := enqueued if published is None else published) is not None:
        about["narrows.queue_wait"] = waited
    return about


def _since(moment: Any) -> float | None:
    """Seconds since then; None for what is no moment of ours. Another machine's clock may be ahead."""
    ago = time.time() - moment if is_moment(moment) else _OLDEST
    return round(max(0.0, ago), 6) if ago < _OLDEST else None


@lru_cache(maxsize=64)
def server_of(base_url: str) -> tuple[str, int]:
    """Host and port of an address."""
    parts = urlsplit(base_url)
    return parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)


def outcome_of(status: str, why: Any) -> str:
    """How a run ended, in a word."""
    if status == states.SUCCESS:
        return "success"
    if status != states.RETRY:
        return "dead_lettered"
    if isinstance(why, CallInDoubt):
        return "in_doubt"
    return "retried" if failed(why) else "deferred"


def reason_of(why: Any) -> str:
    """What holds a call back."""
    if isinstance(why, StateUnavailable):
        return why.code
    return str(getattr(why, "reason", "cooldown"))


def failed(why: Any) -> bool:
    """Whether an attempt was made and did not end well; one that was held back, or throttled, was not."""
    return isinstance(why, CallFailed | CallInDoubt) and not isinstance(why, ProviderThrottled)


def code_of(why: BaseException) -> str:
    """Our own code; of foreign exceptions the kind, and never their text."""
    return why.code if isinstance(why, NarrowsError) else type(why).__name__
