"""Runs an operation: each of its steps done or failed in its turn, until it returns."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from worker.errors import CallError, CallInFlight, StateUnavailable
from worker.lease import Lease
from worker.request import Request
from worker.steps import Alone, Do, Progress, Safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.claim import Claim
    from worker.gateway import Gateway
    from worker.pipeline import Pipeline
    from worker.steps import Step, Steps

__all__ = ["Performance"]

ALONE_AGAIN = 0.5
"""Seconds until an operation asks again whether it is alone."""


class Performance:
    """One run of an operation.

    Args:
        provider: Whose operation it is.
        claim: The task that runs it.
        progress: Shows how far it is.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        provider: str,
        operation: str,
        claim: Claim,
        progress: Callable[[Progress], None],
    ) -> None:
        self._pipeline, self._provider, self._operation = pipeline, provider, operation
        self._claim, self._progress = claim, progress
        self._leases: list[Lease] = []

    def of(self, steps: Steps[Any]) -> Any:
        """What the operation returns."""
        try:
            wanted = next(steps)
            while True:
                try:
                    answer = self._done(wanted)
                except Exception as why:
                    if not isinstance(why, CallError) and not isinstance(wanted, Do):
                        raise
                    wanted = steps.throw(why)
                else:
                    wanted = steps.send(answer)
        except StopIteration as done:
            return done.value
        finally:
            for lease in self._leases:
                with suppress(RedisError):
                    lease.drop()

    def _done(self, wanted: Step) -> Any:
        """What came of one step."""
        gateway = self._pipeline.gateway
        match wanted:
            case Request():
                asked = gateway(wanted.provider or self._provider)
                return self._pipeline.call(asked, wanted, self._claim, self._operation)
            case Do():
                return wanted.action()
            case Progress():
                return self._progress(wanted)
            case Alone():
                return self._leases.append(_alone(gateway(wanted.provider or self._provider), wanted))
            case Safe():
                self._claim.safe()
                return gateway(self._claim.home or self._provider).gate.forgive(self._claim)


def _alone(gateway: Gateway, wanted: Alone) -> Lease:
    """The fleet's only lease on what the operation is to do alone."""
    lease = Lease(gateway.gate.redis, gateway.gate.keys.alone(wanted.what), seconds=wanted.seconds)
    try:
        if lease.take():
            return lease
    except RedisError as gone:
        raise StateUnavailable from gone
    name = gateway.provider.name
    text = f"{name}: another call does the same just now, again in {ALONE_AGAIN:.1f} s"
    raise CallInFlight(text, wait=ALONE_AGAIN, provider=name)
