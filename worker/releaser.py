"""Publishes parked calls when their turn has come. Runs in every worker; whoever looks first does the work.

``lua/release.lua`` decides who leaves; this sends the messages. It looks again when the script said, when
a call of this process starts to wait, and twice a second at all providers, in one round trip.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from celery import states
from redis.exceptions import ResponseError

from worker import registry
from worker.message import request_of
from worker.nonce import worker_name
from worker.reconciler import PASSING

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from worker.engine import Engine
    from worker.record import Released

__all__ = ["Releaser"]

logger = logging.getLogger("narrows")

PART = "releaser"
LOOK = 0.5
"""Seconds between two looks at all providers: how late a call can be that a producer parked."""


def _nothing() -> None:
    pass


class Releaser:
    """The releasing thread of one worker process."""

    def __init__(self, app: Celery, engine: Engine) -> None:
        self._app, self._engine = app, engine
        self._name = worker_name()  # before the pool forks, so that its children's calls are known as ours
        self._news, self._stop = threading.Event(), threading.Event()
        self._next: dict[str, float] = {}
        self._busy: set[str] = set()  # lots that somebody looks at in time, so that news of them are none
        self._hurt: set[str] = set()  # whose keys Redis cannot make anything of
        self._look_at = 0.0
        self._thread: threading.Thread | None = None
        self._tend: Callable[[], None] = _nothing

    def start(self, tend: Callable[[], None] = _nothing) -> None:
        """Begin to look; *tend* is called whenever it looks at all providers."""
        self._tend = tend
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, daemon=True, name="releaser")
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for the messages under way."""
        self._stop.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def expect(self, provider: str, seconds: float = 0.0) -> None:
        """A call of *provider* starts to wait here, for *seconds* at least."""
        if provider in self._busy:
            return
        due = time.monotonic() + min(seconds, LOOK)
        if due < self._next.get(provider, float("inf")):
            self._next[provider] = due
            self._news.set()

    def release(self, provider: str) -> float:
        """Publish the calls whose turn has come; seconds until it is worth looking again."""
        released = self._engine.records(provider).release(
            self._engine.gateway(provider).gate, self._name, self._engine.bulkhead.slots(provider)
        )
        (self._busy.add if released.word else self._busy.discard)(provider)
        failures: list[Exception] = []
        for call in released.calls:
            self._engine.pulse.busy(PART)  # a hundred of them may each meet a time-out
            try:
                self._send(provider, call)
            except Exception as why:  # noqa: BLE001 - one message must not keep the others back
                failures.append(why)
        if failures:
            raise failures[0]
        return released.again

    def _run(self) -> None:
        quiet = False
        while not self._stop.is_set():
            self._engine.pulse.hear(PART, LOOK)
            try:
                self._turn()
                quiet = False
            except PASSING as why:
                if not quiet:
                    logger.warning("releaser interrupted", extra={"error": type(why).__name__})
                quiet = True
                self._stop.wait(LOOK)
            except Exception:
                logger.exception("releaser failed")
                self._stop.wait(LOOK)
        self._engine.pulse.forget(PART)

    def _turn(self) -> None:
        """Wait for the next moment, then serve whoever's it is."""
        soonest = min([self._look_at, *self._next.values()])
        self._news.wait(max(0.0, soonest - time.monotonic()))
        self._news.clear()
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + LOOK
            self._tend()
            self._look(now)
        for name in [name for name, due in list(self._next.items()) if due <= now]:
            self._next.pop(name)
            again = self._released(name)
            self._next[name] = min(time.monotonic() + again, self._next.get(name, float("inf")))
            if self._stop.is_set():
                return

    def _released(self, name: str) -> float:
        """As :meth:`release`; a provider whose own keys are at fault keeps no other's calls waiting."""
        try:
            again = self.release(name)
        except ResponseError as why:
            self._note(name, why)
            return LOOK
        self._hurt.discard(name)
        return again

    def _note(self, name: str, why: Exception) -> None:
        """Tell it once, until that provider's calls can be released again."""
        if name not in self._hurt:
            self._hurt.add(name)
            extra = {"integration.provider": name, "error": type(why).__name__}
            logger.warning("line not readable", extra=extra)

    def _look(self, now: float) -> None:
        """Note whose lots are not empty; one round trip."""
        names = registry.names()
        with self._engine.state.pipeline(transaction=False) as ask:
            ask.time()
            for name in names:
                at = self._engine.records(name).keys
                for index in (at.parked, at.waiting, at.slow):
                    ask.zrange(index, 0, 0, withscores=True)
            clocked, *firsts = ask.execute(raise_on_error=False)
        if isinstance(clocked, Exception):
            raise clocked
        seconds, micros = clocked
        clock = seconds * 1000 + micros / 1000
        for n, name in enumerate(names):
            parked, waiting, slow = firsts[3 * n : 3 * n + 3]
            if refused := [each for each in (parked, waiting, slow) if isinstance(each, Exception)]:
                self._note(name, refused[0])
                continue
            dues = [now] if parked else [now + (due[0][1] - clock) / 1000 for due in (waiting, slow) if due]
            if dues and min(dues) < now + LOOK:
                self._next.setdefault(name, max(now, min(dues)))
            elif not dues:
                self._next.pop(name, None)
                self._busy.discard(name)

    def _send(self, provider: str, call: Released) -> None:
        if not call.expired:
            self._app.amqp.republish(call.message)
            return
        request = request_of(call.message)  # told first: a call whose record has ended is not looked at again
        self._app.backend.mark_as_revoked(call.task_id, states.REVOKED.lower(), request=request)
        self._engine.records(provider).cancel(call.task_id)
