"""A time limit that holds whatever a socket is doing.

A socket's own timeout starts anew with every byte, so a peer that drips never trips
it (CELERY.md 1.8), and threads know no time limits. Here one watchdog thread shuts
a call's socket down when its time is up; whatever the call was waiting in (TLS
handshake, headers, body) returns at once.

One heap and one condition: arming costs a push, ending costs a flag, and the thread
wakes only for a deadline that nobody met. It starts with the first call and anew
after a fork.
"""

from __future__ import annotations

import heapq
import itertools
import os
import socket
import threading
import time
from contextlib import suppress
from typing import Protocol

__all__ = ["WATCHDOG", "Deadline", "Holder", "Watchdog"]

SWEEP_ABOVE = 256
"""Entries in the heap before ended ones are swept out of its middle."""


class Holder(Protocol):
    """A pooled connection: it belongs to the one deadline that guards it now."""

    deadline: Deadline | None


class Deadline:
    """One call's time limit.

    Attributes:
        at: When it falls, on the monotonic clock.
        expired: It has fallen; what the socket said last is not to be believed.
    """

    __slots__ = ("_holder", "_sock", "_watchdog", "at", "ended", "expired")

    def __init__(self, watchdog: Watchdog, at: float) -> None:
        self.at = at
        self.ended = False
        self.expired = False
        self._holder: Holder | None = None
        self._sock: socket.socket | None = None
        self._watchdog = watchdog

    @property
    def remaining(self) -> float:
        """Seconds left, never below zero."""
        return max(0.0, self.at - time.monotonic())

    def guard(self, holder: Holder, sock: socket.socket | None) -> None:
        """Shut *sock* down when time is up, instead of what was guarded before.

        A connection goes back to its pool before its call is over, so the next call takes it over
        here: from then on the former deadline cannot touch it.
        """
        with self._watchdog.lock:
            if holder.deadline is not None:
                holder.deadline._release()  # noqa: SLF001 - of the same class
            holder.deadline, self._holder, self._sock = self, holder, sock
            if self.expired:
                self._cut()

    def end(self) -> None:
        """The call is over: nothing of it is shut down any more."""
        with self._watchdog.lock:
            if self._holder is not None:
                self._holder.deadline = None
            self._release()
            if not self.ended:
                self.ended = True
                self._watchdog.ended += 1

    def expire(self) -> None:
        """Shut the socket down; called with the lock held, so it must not block (shutdown does not)."""
        self.expired = True
        self._cut()

    def _release(self) -> None:
        self._holder = self._sock = None

    def _cut(self) -> None:
        if self._sock is not None:
            with suppress(OSError):
                # The plain method: that of an SSLSocket forgets the session under the reader's feet.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)


class Watchdog:
    """Keeps the deadlines of a process; the module's ``WATCHDOG`` serves every provider."""

    def __init__(self) -> None:
        self._order = itertools.count()
        self._hooked = False
        self._reset()

    def arm(self, seconds: float) -> Deadline:
        """A running deadline *seconds* from now; the caller must :meth:`Deadline.end` it."""
        deadline = Deadline(self, time.monotonic() + seconds)
        with self.lock:
            if self._thread is None:
                self._start()
            if self.ended > SWEEP_ABOVE and 2 * self.ended > len(self._heap):
                self._sweep()
            heapq.heappush(self._heap, (deadline.at, next(self._order), deadline))
            if deadline.at < self._wakes_at:
                self._wake.notify()
        return deadline

    def _reset(self) -> None:
        """No deadlines and no thread: at the start, and in a forked child, where no thread lives on."""
        self.lock = threading.Lock()
        self.ended = 0
        self._wake = threading.Condition(self.lock)
        self._heap: list[tuple[float, int, Deadline]] = []
        self._thread: threading.Thread | None = None
        self._wakes_at = 0.0

    def _start(self) -> None:
        if not self._hooked:
            os.register_at_fork(after_in_child=self._reset)
            self._hooked = True
        self._thread = threading.Thread(target=self._run, name="narrows-deadlines", daemon=True)
        self._thread.start()

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if not entry[2].ended]
        heapq.heapify(self._heap)
        self.ended = 0

    def _run(self) -> None:
        with self._wake:
            while True:
                self._expire(time.monotonic())
                self._wakes_at = self._heap[0][0] if self._heap else float("inf")
                self._wake.wait(self._wakes_at - time.monotonic() if self._heap else None)

    def _expire(self, now: float) -> None:
        while self._heap and (self._heap[0][2].ended or self._heap[0][0] <= now):
            deadline = heapq.heappop(self._heap)[2]
            if deadline.ended:
                self.ended -= 1
            else:
                deadline.ended = True
                deadline.expire()


WATCHDOG = Watchdog()
"""Starts nothing until it is armed."""
