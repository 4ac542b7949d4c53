"""Drives an operation's generator as the engine does, without an engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from worker.errors import CallError
from worker.request import Answer, Request
from worker.steps import Alone, Do, Progress, Safe, Step, Steps

__all__ = ["Driver"]

T = TypeVar("T")


@dataclass(kw_only=True)
class Driver:
    """Answers what a generator asks, does what it wants done, and keeps what it asked and reported."""

    answer: Callable[[Request], Answer | CallError]
    requests: list[Request] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    others: list[Alone | Safe] = field(default_factory=list)

    def run(self, steps: Steps[T]) -> T:
        """The generator's result; a CallError for an answer is thrown in where it asked."""
        try:
            asked = next(steps)
            while True:
                asked = self._reply(steps, asked)
        except StopIteration as end:
            result: T = end.value
            return result

    def _reply(self, steps: Steps[T], asked: Step) -> Step:
        if isinstance(asked, Progress):
            self.progress.append(asked)
            return next(steps)
        if isinstance(asked, Alone | Safe):
            self.others.append(asked)
            return next(steps)
        if isinstance(asked, Do):
            return steps.send(asked.action())
        self.requests.append(asked)
        reply = self.answer(asked)
        return steps.throw(reply) if isinstance(reply, CallError) else steps.send(reply)
