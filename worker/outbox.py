"""Finishes on their way to Redis: they ride on the next begin, or go alone after a moment.

Nobody waits for the word that a call ended well, so it need not cost a round trip. A process that dies
before it is said leaves a lease that runs out; the result that Celery has stored tells the reconciler then
that the call need not be made again.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

if TYPE_CHECKING:
    from worker.scripts import Script
    from worker.stores import Line

__all__ = ["Finish", "Outbox"]

logger = logging.getLogger("narrows")

MOMENT = 0.005
"""Seconds that a finish waits for a begin to ride on."""

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
        self._waiting: list[Finish] = []
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
        commands = [*(rider.script.command(rider.keys, rider.args) for rider in riders)]
        try:
            *heard, reply = self._line.execute_commands([*commands, script.command(keys, args)])
        except RedisError:
            self._waiting.extend(riders)
            raise
        for rider, said in zip(riders, heard, strict=True):
            self._told(rider, said)
        return script.settled(self._line, reply, keys, args)

    def flush(self) -> None:
        """Say all that waits. One round trip.

        Raises:
            RedisError: It is kept.
        """
        riders = self._taken()
        if not riders:
            return
        try:
            said = self._line.execute_commands([one.script.command(one.keys, one.args) for one in riders])
        except RedisError:
            self._waiting.extend(riders)
            raise
        for rider, reply in zip(riders, said, strict=True):
            self._told(rider, reply)

    def _taken(self) -> list[Finish]:
        with self._lock:
            taken, self._waiting = self._waiting, []
        oldest = time.monotonic() - KEPT
        return [finish for finish in taken if finish.made_at > oldest]

    def _told(self, finish: Finish, reply: Any) -> None:
        try:
            finish.heard(finish.script.settled(self._line, reply, finish.keys, finish.args))
        except ResponseError as refused:  # full, or read-only: later
            logger.warning("finish refused", extra={"error_type": type(refused).__name__})
            self.add(finish)

    def _open(self) -> None:
        """Start this process's own thread; a forked child has none, and must not say what its parent will."""
        with self._lock:
            if self._process != os.getpid():
                self._process, self._waiting, self._news = os.getpid(), [], threading.Event()
                threading.Thread(target=self._run, daemon=True, name="outbox").start()

    def _run(self) -> None:
        while True:
            self._news.wait()
            time.sleep(self._moment)
            self._news.clear()
            try:
                self.flush()
            except RedisError:
                time.sleep(100 * self._moment)
                self._news.set()
            except Exception:
                logger.exception("finish not told")
