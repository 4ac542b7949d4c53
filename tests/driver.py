"""Drives an operation's generator as the engine does, without an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from worker.errors import CallError
from worker.operation import Progress, Steps
from worker.request import Answer, Request

__all__ = ["Driver"]

T = TypeVar("T")


@dataclass(kw_only=True)
class Driver:
    """Answers what a generator asks, and keeps what it asked and reported."""

    answer: Callable[[Request], Answer | CallError]
    requests: list[Request] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)

    def run(self, steps: Steps[T]) -> T:
        """The generator's result; a CallError for an answer is thrown in where it asked."""
        try:
            asked = next(steps)
            while True:
                asked = self._reply(steps, asked)
        except StopIteration as end:
            result: T = end.value
            return result

    def _reply(self, steps: Steps[T], asked: Request | Progress) -> Request | Progress:
        if isinstance(asked, Progress):
            self.progress.append(asked)
            return next(steps)
        self.requests.append(asked)
        reply = self.answer(asked)
        return steps.throw(reply) if isinstance(reply, CallError) else steps.send(reply)
