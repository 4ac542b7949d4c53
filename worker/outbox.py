"""Finishes on their way to Redis: they ride on the next begin, or go alone after a moment.

Nobody waits for the word that a call ended well, so it need not cost a round trip. A process that dies
before it is said leaves a lease that runs out; the result that Celery has stored tells the reconciler then
that the call need not be made again.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from worker.scripts import Script
    from worker.stores import Line

__all__ = ["Finish", "Outbox"]

logger = logging.getLogger("narrows")

MOMENT = 0.005
"""Seconds that a finish waits for a begin to ride on."""

PAUSE = 0.5
"""Seconds before Redis is asked again that did not take a finish."""

AT_ONCE = 50
"""Finishes said together, so that no begin carries an outage's backlog."""

KEPT = 20.0
"""Seconds after which a finish that Redis does not take is given up: its lease is about to run out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """One run of a script that may be said later; *heard* gets its reply."""

    script: Script
    keys: Sequence[str]
    args: Sequence[Any]
    heard: Callable[[Any], None]
    made_at: float = field(default_factory=time.monotonic)


class Outbox:
    """What this process still has to tell the state Redis."""

    def __init__(self, line: Line, *, moment: float = MOMENT) -> None:
        self._line, self._moment = line, moment
        self._waiting: deque[Finish] = deque()  # whose append and popleft need no lock
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._process = 0

    def add(self, finish: Finish) -> None:
        """Say *finish* soon."""
        if self._process != os.getpid():
            self._open()
        self._waiting.append(finish)
        if not self._news.is_set():
            self._news.set()

    def ask(self, script: Script, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """The reply to *script*, said together with all that waits; one round trip.

        Raises:
            RedisError: What waited is kept.
        """
        riders = self._taken() if self._waiting else ()
        if not riders:
            return script(self._line, keys, args)
        commands = [rider.script.command(rider.keys, rider.args) for rider in riders]
        try:
            *heard, reply = self._line.execute_commands([*commands, script.command(keys, args)])
        except RedisError:
            self._waiting.extend(riders)
            raise
        self._tell(riders, heard)
        return script.settled(self._line, reply, keys, args)

    def flush(self) -> None:
        """Say all that waits, mostly in one round trip.

        Raises:
            RedisError: It is kept.
        """
        while riders := self._taken():
            try:
                said = self._line.execute_commands([one.script.command(one.keys, one.args) for one in riders])
            except RedisError:
                self._waiting.extend(riders)
                raise
            if refusal := self._tell(riders, said):
                raise refusal

    def _taken(self) -> list[Finish]:
        taken: list[Finish] = []
        if self._process != os.getpid():  # a fork: these are its parent's
            return taken
        oldest = time.monotonic() - KEPT
        with contextlib.suppress(IndexError):
            while len(taken) < AT_ONCE:
                finish = self._waiting.popleft()
                if finish.made_at > oldest:
                    taken.append(finish)
        return taken

    def _tell(self, riders: Sequence[Finish], said: Sequence[Any]) -> RedisError | None:
        """Hand each its reply; why the server refused some, which are kept: it is full, or read-only."""
        refusal = None
        for rider, reply in zip(riders, said, strict=True):
            try:
                settled = rider.script.settled(self._line, reply, rider.keys, rider.args)
            except RedisError as refused:
                refusal = refused
                self._waiting.append(rider)
                continue
            try:
                rider.heard(settled)
            except Exception:  # a listener's fault is not the call's that carried this
                logger.exception("finish not heard")
        return refusal

    def _open(self) -> None:
        """Start this process's own thread; a forked child has none, and must not say what its parent will."""
        with self._lock:
            if self._process != os.getpid():
                self._process, self._waiting, self._news = os.getpid(), deque(), threading.Event()
                threading.Thread(target=self._run, daemon=True, name="outbox").start()

    def _run(self) -> None:
        while True:
            self._news.wait()
            time.sleep(self._moment)
            self._news.clear()
            try:
                self.flush()
            except RedisError as gone:
                logger.info("finish kept", extra={"error_type": type(gone).__name__})
                time.sleep(PAUSE)
                self._news.set()
            except Exception:
                logger.exception("finish not told")
