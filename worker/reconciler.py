"""Finds calls that nobody runs, and publishes them again. Runs in every worker; none leads.

Each sweep takes what it publishes in one script, so any number of workers may sweep at once, and a worker
that dies half-way leaves calls that the next sweep finds.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from celery import states
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError, ResponseError

from worker import context, registry
from worker.claim import Claim
from worker.doctor.pulse import SLOTS
from worker.errors import CallInDoubt, NarrowsError, WorkerLost
from worker.fleet import depth, reached
from worker.formats import is_newer
from worker.message import request_of, thawed
from worker.record import BATCH
from worker.submissions.submission import Submits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from celery import Celery

    from worker.engine import Engine
    from worker.record import Found
    from worker.task import GuardedTask

__all__ = ["Reconciler"]

logger = logging.getLogger("narrows")

PASSING = (RedisError, OperationalError, NarrowsError, OSError)
"""What ends by itself: the next sweep finds what this one left."""


class Reconciler:
    """The sweep and the heartbeat of one worker process.

    Args:
        grace: Seconds that a published message may take to be claimed.
        interval: Seconds between sweeps at most.
        patience: Seconds after its last word to the gate that a task's lease is renewed. Threads cannot be
            ended, so a task that hangs in Python must lose its call at some time.
        slots: Tasks that the process runs at once; when so many hang, it is not healthy. 0 is unknown.
    """

    def __init__(
        self,
        app: Celery,
        engine: Engine,
        *,
        grace: float = 10.0,
        interval: float = 1.0,
        patience: float = 150.0,
        slots: int = 0,
    ) -> None:
        self._app, self._engine = app, engine
        self._grace, self._interval, self._patience = grace, interval, patience
        self._lease, self._slots = engine.settings.claim_lease, slots
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, *, sweep: bool = True) -> None:
        """Begin; a prefork child only needs the heartbeat."""
        self._stop, self._threads = threading.Event(), []
        loops = [(self.beat, self._lease / 3)] + ([(self.sweep, self._interval)] if sweep else [])
        for work, pause in loops:
            thread = threading.Thread(target=self._loop, args=(work, pause), daemon=True, name=work.__name__)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Stop and wait for what is under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def sweep(self) -> int:
        """How many calls were published again or given up, over all providers."""
        return _summed(lambda name: self._sweep(name) if self._has_work(name) else 0, registry.names())

    def beat(self) -> int:
        """How many running calls of this process keep their lease."""
        homes: dict[str, list[Claim]] = {}
        running, since = list(self._engine.runner.running), time.monotonic() - self._patience
        alive = [claim for claim in running if claim.heard_at > since]
        hangs = 0 < self._slots <= len(running) - len(alive)
        (self._engine.pulse.miss if hangs else self._engine.pulse.forget)(SLOTS)
        for claim in alive:
            if claim.token:
                homes.setdefault(claim.home, []).append(claim)
        return _summed(lambda home: self._engine.records(home).extend(homes[home], lease=self._lease), homes)

    def _loop(self, work: Any, pause: float) -> None:
        quiet = False
        stop, part = self._stop, f"reconciler.{work.__name__}"
        self._engine.pulse.hear(part, pause)
        while not stop.wait(pause):
            self._engine.pulse.hear(part, pause)
            try:
                work()
                quiet = False
            except PASSING as why:
                if not quiet:
                    logger.warning("reconciler interrupted", extra={"error": type(why).__name__})
                quiet = True
            except Exception:
                logger.exception("reconciler failed")
        self._engine.pulse.forget(part)

    def _has_work(self, name: str) -> bool:
        """Whether a script is worth its cost; one round trip."""
        keys, state = self._engine.records(name).keys, self._engine.state
        with state.pipeline(transaction=False) as ask:
            ask.zrange(keys.running, 0, 0, withscores=True)
            ask.zrange(keys.queued, 0, 0, withscores=True)
            ask.time()
            running, queued, (seconds, micros) = ask.execute()
        now = seconds * 1000 + micros / 1000
        ripe = (running, 0.0), (queued, self._grace * 1000)
        return any(first and first[0][1] <= now - wait for first, wait in ripe)

    def _sweep(self, name: str) -> int:
        records = self._engine.records(name)
        self._app.backend.get_task_meta("narrows-sweep")  # before anything is counted: no results, no sweep
        swept = 0
        while found := records.orphans(grace=self._grace, depth=self._depth(name)):
            swept += len(found)
            interrupted = [why for orphan in found if (why := self._adopted(name, orphan))]
            if interrupted:
                raise interrupted[0]
            if len(found) < BATCH:
                break
        return swept

    def _adopted(self, name: str, orphan: Found) -> Exception | None:
        """Nothing, or why this call could not be published; the next sweep finds it."""
        self._engine.pulse.busy("reconciler.sweep")  # a hundred of them may each meet a time-out
        try:
            self._adopt(name, orphan)
        except PASSING as why:
            return why
        except Exception:
            # One record that cannot be read must not keep the others waiting.
            extra = {"integration.provider": name, "task_id": orphan.task_id}
            logger.exception("call not published again", extra=extra)
        return None

    def _adopt(self, name: str, orphan: Found) -> None:
        if orphan.kind in {"poison", "doubt"}:
            self._decide(name, orphan)
        elif self._answered(orphan):
            self._engine.records(name).cancel(orphan.task_id)
        else:
            with context.bound(context.of_message(thawed(orphan.message)[0].headers)):
                self._app.amqp.republish(orphan.message, copy=True)
                self._engine.watcher.republished(name, orphan.kind)
                extra = {"integration.provider": name, "task_id": orphan.task_id, "reason": orphan.kind}
                logger.warning("call published again", extra=extra)

    def _answered(self, orphan: Found) -> bool:
        """Whether the worker that was lost had told everybody the result before it went."""
        if request_of(orphan.message).chord:
            return False  # the chord's counter may not have heard; told again, it counts once
        return bool(self._app.backend.get_task_meta(orphan.task_id)["status"] == states.SUCCESS)

    def _depth(self, name: str) -> int:
        """Messages in the provider's queue; none when there is no such queue yet.

        Over a connection of its own: one that the pool kept while RabbitMQ was restarted stays dead.
        """
        with reached(self._app) as connection:
            return depth(connection, name)

    def _decide(self, name: str, orphan: Found) -> None:
        """See to a call that is not simply published again; it is claimed for us."""
        message, _ = thawed(orphan.message)
        task = self._app.tasks.get(message.headers["task"])
        if task is None or is_newer(message.headers.get("narrows")):
            # The claim's lease runs out, and a worker that knows it does this.
            extra = {"integration.provider": name, "task_id": orphan.task_id}
            logger.warning("call left to a newer worker", extra=extra)
            return
        claim = Claim(home=name, task_id=orphan.task_id, token=orphan.token)
        known = self._engine.ledger(name).get(orphan.task_id) if task.operation.submission else None
        if known is not None and known.state == "accepted":
            self._app.backend.mark_as_done(orphan.task_id, known.told, request=request_of(orphan.message))
            self._engine.gateway(name).gate.finish(None, claim, "end")
        elif orphan.kind == "poison":
            why = WorkerLost(f"{task.name}: its worker was lost too often")
            self._bury(task, claim, orphan, why)
        else:
            claim.submits = task.operation.submission or Submits()
            self._doubt(task, claim, orphan)

    def _doubt(self, task: GuardedTask, claim: Claim, orphan: Found) -> None:
        """Have the provider asked, or a person, what became of it: it may have been sent when it was lost."""
        engine, submits = self._engine, claim.submits or Submits()
        if self._answered(orphan):
            engine.gateway(claim.home).gate.finish(None, claim, "end", submission="accepted")
        elif submits.verify is not None:
            attempt = int(engine.records(claim.home).get(orphan.task_id).get("attempt") or 0) + 1
            engine.gateway(claim.home).gate.finish(
                None,
                claim,
                "wait",
                wait=submits.after,
                attempt=attempt,
                reason=CallInDoubt.code,
                submission="in_doubt",
            )
            logger.warning("submission in doubt", extra={"task_id": orphan.task_id})
        else:
            why = CallInDoubt(f"{claim.home}: its worker was lost when it may have been sent")
            self._bury(task, claim, orphan, why)

    def _bury(self, task: GuardedTask, claim: Claim, orphan: Found, why: NarrowsError) -> None:
        """Give up a call whose worker cannot."""
        message, _ = thawed(orphan.message)
        args, kwargs, _ = message.body
        self._app.backend.mark_as_failure(orphan.task_id, why, request=request_of(orphan.message))
        self._engine.runner.bury(task, claim, why, args, kwargs, message.headers)


def _summed(work: Callable[[str], int], names: Iterable[str]) -> int:
    """What *work* comes to over all *names*; one whose own keys are at fault keeps no other waiting."""
    total, refused = 0, list[ResponseError]()
    for name in names:
        try:
            total += work(name)
        except ResponseError as why:
            refused.append(why)
    if refused:
        raise refused[0]
    return total
