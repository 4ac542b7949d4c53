"""Runs a task through the pipeline, and decides what becomes of its record.

1. Celery hands over a message. The runner makes a claim; the first begin takes the record.
2. The operation asks, the pipeline answers, in the slot.
3. Held back, or failed with attempts left: Celery's RETRY, without a message. The record waits, and the
   releaser publishes it when its turn has come.
4. Answered: Celery stores the result, then the record ends.
5. Given up: Celery stores the failure, then the dead letter is written and the record ends, in one step.

The record changes last, so a worker killed anywhere in between leaves a claim whose lease runs out, and
the call is run again. A result that is stored already tells that it need not be.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NoReturn

from celery import states
from celery.exceptions import Ignore, Retry

from worker import context, redaction
from worker.claim import Claim
from worker.deferral import parks
from worker.envelope import is_moment
from worker.errors import (
    CallDeferred,
    CallFailed,
    CallInDoubt,
    CallRevoked,
    DuplicateDelivery,
    NarrowsError,
    ProviderCooling,
    ProviderThrottled,
    RecordGone,
    StateUnavailable,
    UnexpectedError,
)
from worker.letters.deadletter import DeadLetter, iso, verdict
from worker.letters.letter import replays_of
from worker.message import lane_of, of_request
from worker.performing import Performance
from worker.steps import plain
from worker.submissions.ledger import noted_of
from worker.submissions.submitting import state_after

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery.app.task import Context

    from worker.engine import Engine
    from worker.steps import Progress
    from worker.task import GuardedTask

__all__ = ["Runner"]

logger = logging.getLogger("narrows")

ASK_AGAIN = 0.5
"""Seconds at least before a call asks again that waits for something which has no line to stand in."""

GIVE_BACK_PAUSE = 1.0
"""Seconds before a call goes back into its queue, so that an outage does not make it go round and round."""


class Runner:
    """What a worker process does with the tasks that it gets.

    Attributes:
        running: Claims of this process's unfinished tasks, for the heartbeat. Whoever ends a task
            takes its claim out, or the lease of a call that nobody runs would be renewed for ever.
    """

    def __init__(self, engine: Engine, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._engine, self._sleep = engine, sleep
        self.running: set[Claim] = set()

    def run(self, task: GuardedTask, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the operation returns; otherwise an exception that Celery has a state for."""
        request = task.request
        claim = self.claim(task, request)
        if claim.task_id:
            request.claim = claim
            self.running.add(claim)
            self._engine.bulkhead.enter(claim.home)
        with context.bound(claim.context), self._engine.tracer.running(task.name, claim, request):
            try:
                return self._answer(task, claim, args, kwargs)
            except (DuplicateDelivery, RecordGone):
                logger.info("duplicate dropped", extra={"task_id": claim.task_id})
                raise Ignore from None
            except CallRevoked as why:
                if not claim.ended():  # a late copy of an answered call hears the same of its record
                    task.backend.mark_as_revoked(claim.task_id, reason=why.code, request=request)
                self._finish(claim, "end")
                raise Ignore from None
            except (CallDeferred, CallFailed, CallInDoubt, StateUnavailable) as why:
                _bare(why)
                if isinstance(why, CallFailed) and why is not claim.planned:  # of a task that it called
                    claim.plan(why, self._engine.gateway(claim.home).retry)
                if claim.task_id and _may_pass(why, claim):
                    self._later(claim, why)
                raise
            except NarrowsError as why:
                raise _bare(why)  # noqa: B904 - causes may hold what callers keep private

    def claim(self, task: GuardedTask, request: Context) -> Claim:
        """The claim for this run; one without a record when the task was called directly or eagerly."""
        if request.called_directly or request.is_eager or not request.id:
            return Claim()
        name = task.operation.provider.name
        header = _mark(request.get("narrows"))
        at = header.get("at")
        task_id, backend, bulkhead = str(request.id), task.backend, self._engine.bulkhead

        def ended() -> bool:
            return backend.get_task_meta(task_id)["status"] in states.READY_STATES

        return Claim(
            home=name,
            task_id=task_id,
            recorded=bool(header.get("recorded")),
            silent=bool(request.ignore_result or task.ignore_result),
            lane=lane_of(header, task.operation.lane),
            rebuild=lambda: of_request(request, task.name, name),
            ended=ended,
            crowded=lambda: bulkhead.crowded(name),
            lease=self._engine.settings.claim_lease,
            created_at=float(at) if is_moment(at) else 0.0,
            heard_at=time.monotonic(),
            context=context.of_message(request),
        )

    def settle(self, task: GuardedTask, status: str, outcome: Any, args: Any, kwargs: Any) -> None:
        """Tell Redis how the task ended, once Celery has stored it. Never raises for Redis."""
        claim = task.request.get("claim")
        if claim is None and status == states.FAILURE:  # before it could claim anything
            claim = self.claim(task, task.request)
        if claim is None or not claim.task_id:
            return
        try:
            with context.bound(claim.context), self._engine.tracer.settling(claim, status, outcome):
                self._settle(task, claim, status, outcome, args, kwargs)
        except StateUnavailable:
            logger.exception("record not settled", extra={"task_id": claim.task_id})
            if not claim.recorded and not claim.token:
                self._give_back(task, claim)

    def release(self, task: GuardedTask) -> None:
        """Hold the task's call no longer, whatever became of it: its lease runs out unless it was settled."""
        claim = task.request.get("claim")
        if claim is not None:
            self._engine.tracer.over(claim)
        if claim in self.running:
            self.running.discard(claim)
            self._engine.bulkhead.leave(claim.home)

    def _answer(self, task: GuardedTask, claim: Claim, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        operation = task.operation

        def show(progress: Progress) -> None:
            if not claim.task_id:
                return
            try:
                task.update_state(state="PROGRESS", meta={"done": progress.done, "total": progress.total})
            except Exception as why:  # noqa: BLE001 - every result store has its own; news are not worth a call
                logger.warning("progress not stored", extra={"error_type": type(why).__name__})

        pipeline = self._engine.pipeline
        try:
            if operation.submission is not None:
                claim.noted = noted_of(operation, args, kwargs)
            self._claim_first(task, claim)
            if operation.submission is not None:
                return self._engine.submitter.run(operation, args, kwargs, claim, show)
            steps = operation.steps(args, kwargs)
            performance = Performance(pipeline, operation.provider.name, operation.name, claim, show)
            return plain(performance.of(steps))
        except NarrowsError:
            raise
        except Exception as bug:  # noqa: BLE001 - the task boundary
            raise UnexpectedError(_where(bug)) from None
        finally:
            if not claim.task_id:
                pipeline.tell(claim)

    def _claim_first(self, task: GuardedTask, claim: Claim) -> None:
        """Claim a copy, and a task with next steps, before the cache may answer it.

        A copy may come when its call has long ended, and the cache has the very answer: it would end twice.
        """
        request = task.request
        copied = _mark(request.get("narrows")).get("copy")
        if not claim.task_id or not (copied or request.callbacks or request.chain or request.chord):
            return
        gate = self._engine.gateway(claim.home).gate
        word = gate.claim(claim)
        if word == "gone" and not claim.ended():
            claim.recorded = False
            word = gate.claim(claim)
        if word == "revoked":
            raise CallRevoked
        if word != "ok":
            raise DuplicateDelivery

    def _later(self, claim: Claim, why: NarrowsError) -> NoReturn:
        """Leave the slot; Celery's RETRY says why and until when, and publishes nothing."""
        claim.wait = claim.retry_in if isinstance(why, CallFailed) else getattr(why, "wait", 0.0)
        raise Retry(str(why), exc=why, when=claim.wait) from None

    def _settle(
        self, task: GuardedTask, claim: Claim, status: str, outcome: Any, args: Any, kwargs: Any
    ) -> None:
        if status == states.SUCCESS:
            self._finish_soon(claim)
        elif status == states.RETRY:
            if self._wait(claim, outcome) == "revoked":
                task.backend.mark_as_revoked(claim.task_id, reason="revoked", request=task.request)
        else:
            headers = {**(task.request.headers or {}), "root_id": task.request.root_id}
            self.bury(task, claim, outcome, args, kwargs, headers)

    def _wait(self, claim: Claim, why: BaseException) -> str:
        """What became of the record of a call that is to wait."""
        if isinstance(why, StateUnavailable):
            raise why
        name, seconds, now_is = claim.home, claim.wait or 0.0, state_after(why, claim)
        if isinstance(why, CallInDoubt):
            fate = self._finish(
                claim,
                "wait",
                wait=seconds,
                attempt=claim.attempt + claim.sending,
                backoff=claim.backoff,
                reason=why.code,
                submission=now_is,
            )
        elif isinstance(why, CallFailed) and not isinstance(why, ProviderThrottled):
            attempt = claim.attempt + (why.patience is None)
            fate = self._finish(
                claim,
                "retry",
                wait=seconds,
                attempt=attempt,
                backoff=seconds,
                reason=why.code,
                submission=now_is,
            )
            if fate == "slow":
                self._engine.watcher.deferred(name, "retry_budget", seconds)
            elif fate == "retry":
                self._engine.watcher.retried(name, why.code, attempt, seconds)
        else:
            parked = not isinstance(why, CallDeferred) or parks(why, name)
            reason = getattr(why, "reason", ProviderCooling.reason)
            if not parked:
                seconds = max(seconds, ASK_AGAIN)
            fate = self._finish(
                claim,
                "park" if parked else "wait",
                wait=seconds,
                attempt=claim.attempt,
                backoff=claim.backoff,
                reason=reason,
                submission=now_is,
            )
            seconds = 0.0 if parked else seconds
        self._engine.releaser.expect(name, seconds)
        return fate

    def _give_back(self, task: GuardedTask, claim: Claim) -> None:
        """Put a call by bare name back into its queue: no record knows of it, and its message is gone.

        A recorded call stays as it is; when Redis is back the reconciler finds it.
        """
        self._sleep(GIVE_BACK_PAUSE)
        try:
            task.app.amqp.republish(claim.rebuild())
        except Exception as why:
            # The broker is away too.
            extra = {"task_id": claim.task_id, "error_type": type(why).__name__}
            logger.exception("call by bare name lost", extra=extra)

    def bury(
        self,
        task: GuardedTask,
        claim: Claim,
        why: BaseException,
        args: Any,
        kwargs: Any,
        headers: Mapping[str, Any],
    ) -> None:
        """Write the dead letter and end the record, in one step."""
        mark, now = _mark(headers.get("narrows")), time.time()
        replays, origin = replays_of(mark), context.of_message(headers)
        args, kwargs = self._engine.sealer.seal(task.name, args, kwargs)  # by bare name it came in clear
        made = bool(getattr(why, "status", None)) or isinstance(why, CallFailed | CallInDoubt)
        letter = DeadLetter(
            id=claim.task_id,
            task=task.name,
            args=args,
            kwargs=kwargs,
            provider=claim.home,
            operation=task.operation.name,
            trace_id=origin.trace_id,
            request_id=origin.request_id,
            user_id=origin.user_id,
            payload_excerpt=redaction.excerpt(task.operation, args, kwargs),
            attempts=claim.attempt + made,
            replays=replays,
            first_failed_at=iso(claim.first_failed_at or now),
            failed_at=iso(now),
            **verdict(why, replays=replays),
        )
        buried = self._finish(claim, "dead", letter=letter.as_json(), submission=state_after(why, claim))
        if buried == "dead":
            self._engine.watcher.dead_lettered(claim.home, letter.code)

    def _finish_soon(self, claim: Claim) -> None:
        """End the record of a call that ended well."""
        report, claim.report = claim.report, None
        gateway = self._engine.gateway(report.gate.provider.name if report else claim.home)
        gateway.gate.finish_soon(
            report, claim, gateway.breaker.moved, submission="accepted" if claim.sending else ""
        )

    def _finish(self, claim: Claim, fate: Any, **details: Any) -> str:
        report, claim.report = claim.report, None
        gate = report.gate if report else self._engine.gate(claim.home)
        moved, became = gate.finish(report, claim, fate, **details)
        if moved:
            self._engine.gateway(gate.provider.name).breaker.moved(moved)
        return became


def _mark(header: Any) -> Mapping[str, Any]:
    """Our own header; nothing when a stranger wrote something else there."""
    return header if isinstance(header, dict) else {}


def _may_pass(why: NarrowsError, claim: Claim) -> bool:
    """Whether the task that *why* stopped is to wait for better times."""
    if isinstance(why, CallDeferred):
        return why.waits
    if isinstance(why, CallInDoubt):
        return why.wait is not None
    return not isinstance(why, CallFailed) or claim.retry_in is not None


def _bare(why: NarrowsError) -> NarrowsError:
    """*why* without its causes: foreign exceptions print addresses, parameters and bodies."""
    why.__cause__ = why.__context__ = None
    return why


def _where(bug: BaseException) -> str:
    """The kind of an unknown exception and the line that raised it, without its message."""
    trace = bug.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(bug).__name__
    code = trace.tb_frame.f_code
    return f"{type(bug).__name__} in {code.co_qualname}, line {trace.tb_lineno}"
