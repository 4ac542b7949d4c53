"""Runs an operation: each of its steps done or failed in its turn, until it returns."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from worker.errors import CallError, CallInDoubt, CallInFlight, StateUnavailable
from worker.lease import Lease
from worker.request import Request
from worker.steps import Alone, Do, Progress, Safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.claim import Claim
    from worker.gateway import Gateway
    from worker.pipeline import Pipeline
    from worker.request import Answer
    from worker.steps import Step, Steps

__all__ = ["Performance"]

GATEWAYS = frozenset({502, 504})
"""Statuses of whoever stands before a provider that did not answer in time."""

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
        self._leases: dict[str, Lease] = {}
        self._late = False

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
            with suppress(RuntimeError):  # an operation that does not want to end
                steps.close()
            for lease in () if self._late else self._leases.values():
                with suppress(RedisError):
                    lease.drop()

    def _done(self, wanted: Step) -> Any:
        """What came of one step."""
        gateway = self._pipeline.gateway
        match wanted:
            case Request():
                self._still_alone()
                return self._asked(gateway(wanted.provider or self._provider), wanted)
            case Do():
                self._still_alone()
                return wanted.action()
            case Progress():
                return self._progress(wanted)
            case Alone():
                return self._alone(gateway(wanted.provider or self._provider), wanted)
            case Safe():
                self._claim.safe()
                return gateway(self._claim.home or self._provider).gate.forgive(self._claim)

    def _asked(self, gateway: Gateway, wanted: Request) -> Answer:
        """The answer to a request.

        One that acts and was not answered may yet arrive, behind what others do: they wait until what this
        operation does alone runs out.
        """
        try:
            return self._pipeline.call(gateway, wanted, self._claim, self._operation)
        except CallError as why:
            self._late = self._late or (wanted.acts and _unanswered(why))
            raise

    def _alone(self, gateway: Gateway, wanted: Alone) -> None:
        """Take the fleet's only lease on what the operation is to do alone, unless it has it already."""
        key = gateway.gate.keys.alone(wanted.what)
        if key not in self._leases:
            lease = Lease(gateway.gate.redis, key, seconds=wanted.seconds)
            _hold(lease.take, gateway.provider.name)
            self._leases[key] = lease

    def _still_alone(self) -> None:
        """Renew what the operation does alone, before a step that may take its time.

        One that was lost, if only for a moment, sends it back to its beginning.
        """
        for lease in self._leases.values():
            _hold(lease.renew, self._provider)


def _unanswered(why: CallError) -> bool:
    """Whether a request left of which only the network, or a gateway on the way, has told anything."""
    if isinstance(why, CallInDoubt):
        return True
    return why.sent and getattr(why, "status", None) in {None, *GATEWAYS}


def _hold(ours: Callable[[], bool], provider: str) -> None:
    try:
        if ours():
            return
    except RedisError as gone:
        raise StateUnavailable from gone
    text = f"{provider}: another call does the same just now, again in {ALONE_AGAIN:.1f} s"
    raise CallInFlight(text, wait=ALONE_AGAIN, provider=provider)
