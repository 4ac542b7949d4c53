"""A question to a server that may never answer, asked again and again by somebody who must not wait."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["Asking"]

logger = logging.getLogger("narrows")

T = TypeVar("T")


class Asking(Generic[T]):
    """One question, put by one thread at a time however often it is asked.

    A thread that is kept is not joined by others: until it comes back the question counts as unanswered.

    Args:
        name: Of the server, for the log.
        question: What is called; whatever it raises is no answer.
    """

    def __init__(self, name: str, question: Callable[[], T]) -> None:
        self._name, self._question = name, question
        self._thread: threading.Thread | None = None
        self._answer: T | None = None
        self._lost = False

    def begin(self) -> None:
        """Ask, unless that is under way."""
        if self._thread is None or not self._thread.is_alive():
            self._answer = None
            self._thread = threading.Thread(target=self._ask, name=f"narrows-{self._name}", daemon=True)
            self._thread.start()

    def answer(self, until: float) -> T | None:
        """What was answered by then, a moment of the monotonic clock; None when nothing was."""
        if self._thread is not None:
            self._thread.join(max(0.0, until - time.monotonic()))
            if self._thread.is_alive():
                self._note("no answer in time")
                return None
        return self._answer

    def _ask(self) -> None:
        try:
            self._answer = self._question()
        except Exception as why:  # noqa: BLE001 - whatever a server says that we cannot read is no answer
            self._note(type(why).__name__)
        else:
            self._lost = False

    def _note(self, why: str) -> None:
        """Log the first of several failures."""
        if not self._lost:
            logger.warning("server not surveyed", extra={"server": self._name, "error_type": why})
        self._lost = True
