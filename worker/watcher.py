"""Who hears what happens to calls: metrics, logs and the spans that they are part of."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pybreaker

from worker.tracing.tracer import Untraced

if TYPE_CHECKING:
    from worker.gate import Decision
    from worker.metrics.metrics import Metrics
    from worker.tracing.tracer import Tracer

__all__ = ["BreakerWatcher", "Watcher"]

logger = logging.getLogger("narrows")


class Watcher:
    """Counts what happens and logs what a person on call would ask about."""

    def __init__(self, metrics: Metrics, tracer: Tracer | None = None) -> None:
        self._metrics, self._tracer = metrics, tracer or Untraced()

    def admitted(self, provider: str, decision: Decision) -> None:
        """The gate let a call out."""

    def call_ended(self, provider: str, operation: str, status: str, seconds: float) -> None:
        """An exchange ended; *status* is ``success`` or an error code."""
        self._metrics.call_ended(provider, operation, status, seconds)
        extra = _about(provider, operation=operation, seconds=round(seconds, 4))
        if status == "success":
            logger.debug("call answered", extra=extra)
        else:
            logger.warning("call failed", extra={**extra, "error_code": status})

    def credentials_refused(self, provider: str, number: int) -> None:
        """The provider does not take our key of that *number*, from 1: a person has to act."""
        self._metrics.credentials_refused(provider)
        self._tracer.event("credentials_refused", key_number=number)
        logger.error("credentials refused", extra=_about(provider, key_number=number))

    def token_asked(self, provider: str, status: str) -> None:
        """An access token was asked for; *status* is ``success`` or an error code."""
        self._metrics.token_asked(provider, status)
        self._tracer.event("token_asked", status=status)
        logger.info("access token asked for", extra=_about(provider, status=status))

    def republished(self, provider: str, reason: str) -> None:
        """A call that nobody ran any more was published again."""
        self._metrics.republished(provider, reason)

    def deferred(self, provider: str, reason: str, wait: float) -> None:
        """A call left its slot without having been made."""
        self._metrics.deferred(provider, reason)
        self._tracer.event("deferred", reason=reason, wait=round(wait, 3))
        logger.info("call deferred", extra=_about(provider, reason=reason, wait=round(wait, 3)))

    def retried(self, provider: str, code: str, attempt: int, wait: float) -> None:
        """A failed call is to be tried again."""
        self._metrics.retried(provider)
        self._tracer.event("retried", code=code, attempt=attempt, wait=round(wait, 3))
        extra = _about(provider, error_code=code, attempt=attempt, wait=round(wait, 3))
        logger.info("call to be retried", extra=extra)

    def dead_lettered(self, provider: str, code: str) -> None:
        """A call was given up and laid among the dead letters."""
        self._metrics.dead_lettered(provider, code)
        self._tracer.event("dead_lettered", code=code)
        logger.error("call dead-lettered", extra=_about(provider, error_code=code))

    def replayed(self, provider: str, outcome: str, count: int = 1) -> None:
        """So many dead letters went back into the line, or did not; *outcome* says what became of them."""
        self._metrics.replayed(provider, outcome, count)

    def cache_hit(self, provider: str, tier: str) -> None:
        """An answer came from the cache; *tier* is ``memory`` or ``redis``."""
        self._metrics.cache_hit(provider, tier)
        self._tracer.event("cache_hit", tier=tier)

    def cache_missed(self, provider: str) -> None:
        """No fresh answer was kept."""
        self._metrics.cache_missed(provider)

    def served_stale(self, provider: str, code: str, age: float) -> None:
        """An old answer stood in for one that could not be had."""
        self._metrics.cache_hit(provider, "stale")
        self._tracer.event("stale_served", code=code, age=round(age, 1))
        logger.info("stale answer served", extra=_about(provider, error_code=code, age=round(age, 1)))

    def breaker_moved(self, provider: str, to: str) -> None:
        """A call of this process moved the breaker."""
        self._metrics.breaker_moved(provider, to)
        self._tracer.event("breaker_moved", to=to)
        logger.warning("breaker moved", extra=_about(provider, to=to))


class BreakerWatcher(pybreaker.CircuitBreakerListener):
    """Hands pybreaker's state changes to the watcher."""

    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: Any,  # noqa: ARG002 - pybreaker's signature
        new_state: Any,
    ) -> None:
        """One of our calls, or a person, moved the breaker."""
        self._watcher.breaker_moved(str(cb.name), new_state.name.replace("-", "_"))


def _about(provider: str, **more: Any) -> dict[str, Any]:
    return {"integration.provider": provider, **more}
