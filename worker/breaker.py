"""The breaker as pybreaker shows it; the decision is the gate's.

Why not pybreaker's own: its ``call`` holds a lock for the whole guarded call (twenty threads on one
breaker ran at a twentieth of their rate), and its Redis storage is several commands that race.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pybreaker

from worker.claim import Claim
from worker.deferral import deferred
from worker.errors import CallDeferred
from worker.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from worker.gate import Gate

__all__ = ["BreakerOpen", "FleetBreaker"]

T = TypeVar("T")
FOREVER = 100 * 365 * 86400.0
"""Seconds that a breaker opened by hand stays open: until a person closes it."""


class BreakerOpen(CallDeferred, pybreaker.CircuitBreakerError):
    """The breaker is open; the provider is left in peace."""

    code = "circuit_open"
    reason = "breaker"


class FleetState(pybreaker.CircuitBreakerStorage):
    """The fleet's breaker state where pybreaker looks for it. Reads cost one round trip.

    pybreaker's own counting does nothing here: the finish script counts.
    """

    def __init__(self, gate: Gate, redis: Redis) -> None:
        super().__init__(gate.provider.name)
        self._keys, self._redis = gate.keys, redis
        self.stay_open = gate.provider.breaker.reset_after

    @property
    def state(self) -> str:
        """``closed``, ``open`` or ``half-open``."""
        seconds, micros = self._redis.time()
        state, open_until = self._redis.hmget(self._keys.breaker, "state", "open_until")
        if state in {None, b"closed"}:
            return pybreaker.STATE_CLOSED
        due = int(open_until or 0) <= seconds * 1000 + micros // 1000
        return pybreaker.STATE_HALF_OPEN if due else pybreaker.STATE_OPEN

    @state.setter
    def state(self, state: str) -> None:
        wanted = [state.replace("-", "_"), round(self.stay_open * 1000)]
        script("breaker_set")(self._redis, [self._keys.breaker, self._keys.probes], ["", *wanted])

    @property
    def counter(self) -> int:
        """Failures in a row."""
        return int(self._redis.hget(self._keys.breaker, "failures") or 0)

    @property
    def success_counter(self) -> int:
        """Probes that succeeded in a row."""
        return int(self._redis.hget(self._keys.breaker, "successes") or 0)

    @property
    def opened_at(self) -> datetime | None:
        """Not kept: the gate knows when the breaker may half-open."""
        return None

    @opened_at.setter
    def opened_at(self, when: datetime) -> None: ...

    def increment_counter(self) -> None:
        """Nothing: the finish script counts."""

    def reset_counter(self) -> None:
        """Nothing: the finish script counts."""

    def increment_success_counter(self) -> None:
        """Nothing: the finish script counts."""

    def reset_success_counter(self) -> None:
        """Nothing: the finish script counts."""


class FleetBreaker(pybreaker.CircuitBreaker):
    """One provider's breaker, the same for every worker of the fleet.

    Listeners hear the changes that this process caused. ``open``, ``close`` and ``half_open`` move it
    by hand, for everybody.
    """

    _built = False

    def __init__(
        self, gate: Gate, redis: Redis, listeners: tuple[pybreaker.CircuitBreakerListener, ...] = ()
    ) -> None:
        rule = gate.provider.breaker
        self._gate = gate
        self._fleet = FleetState(gate, redis)
        super().__init__(
            fail_max=rule.failures or rule.window,
            reset_timeout=rule.reset_after,
            success_threshold=rule.successes,
            listeners=listeners,
            state_storage=self._fleet,
            name=gate.provider.name,
        )
        self._built = True

    @property
    def current_state(self) -> str:
        """The fleet's state now; a breaker that is being built asks nobody."""
        return self._fleet.state if self._built else pybreaker.STATE_CLOSED

    def open_for(self, seconds: float = FOREVER) -> None:
        """Open it for the fleet, for *seconds* or until it is closed by hand."""
        usual, self._fleet.stay_open = self._fleet.stay_open, seconds
        try:
            self.open()
        finally:
            self._fleet.stay_open = usual

    def call(self, func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """What *func* returns, if the gate lets it out. No lock is held while it runs.

        Raises:
            CallDeferred: The call was held back; :class:`BreakerOpen` by the breaker.
        """
        decision, report = self._gate.begin(Claim())
        if decision.word != "admit":
            raise deferred(decision, self._gate.provider.name)
        self.moved(decision.moved)
        try:
            answer = func(*args, **kwargs)
        except Exception as why:
            report.outcome = "failure" if self.is_system_error(why) else "success"
            raise
        else:
            report.outcome = "success"
            return answer
        finally:
            moved, _ = self._gate.finish(report, Claim())
            self.moved(moved)

    def moved(self, to: str) -> None:
        """Show the listeners that a call of ours moved the breaker; nothing when *to* is empty."""
        if to:
            self.state = to.replace("_", "-")
