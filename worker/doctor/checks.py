"""Asking many dependencies at once whether they are well, with one deadline for all answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from config.masking import masked
from worker.errors import ConfigurationError

__all__ = ["Ailment", "Finding", "Question", "ask_all", "explained"]

_LONGEST = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was found of one thing. One that is ok and has advice is a warning.

    Attributes:
        name: What was looked at, ``state redis: eviction``.
        detail: What was seen, without secrets.
        advice: What to do about it; empty when nothing is to be done.
    """

    name: str
    ok: bool
    detail: str
    advice: str = ""


class Ailment(Exception):
    """Something is not as it should be; the message says what, the second argument what to do."""

    def __init__(self, detail: str, advice: str = "") -> None:
        super().__init__(detail)
        self.detail, self.advice = detail, advice


Question = Callable[[], Iterable[Finding]]


def ask_all(questions: Mapping[str, Question], *, within: float) -> list[Finding]:
    """What each question found, in their order. Never raises, and returns within *within* seconds.

    A question that raises, or has not returned by then, becomes a failed finding of its own name. Its
    thread is left to end by its own time-outs.
    """
    answers: dict[str, list[Finding]] = {}

    def ask(name: str, question: Question) -> None:
        try:
            answers[name] = list(question())
        except Exception as why:  # noqa: BLE001 - whatever a dependency does, it is a finding
            answers[name] = [_failed(name, why)]

    threads = [threading.Thread(target=ask, args=each, daemon=True) for each in questions.items()]
    deadline = time.monotonic() + within
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer within {within:g} s"
    return [
        found
        for name in questions
        for found in answers.get(name) or [Finding(name=name, ok=False, detail=late)]
    ]


def explained(why: BaseException) -> str:
    """What happened in one line; foreign words only from Redis, the broker and the system, and masked."""
    if isinstance(why, ConfigurationError):
        return str(why)  # names the variable and never its value
    kind = type(why).__name__
    if not isinstance(why, (RedisError, OperationalError, OSError)):
        return kind
    words = " ".join(masked(str(why)).split())[:_LONGEST]
    return f"{kind}: {words}" if words else kind


def _failed(name: str, why: Exception) -> Finding:
    if isinstance(why, Ailment):
        return Finding(name=name, ok=False, detail=why.detail, advice=why.advice)
    return Finding(name=name, ok=False, detail=explained(why))
