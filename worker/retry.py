"""Whether a failed call is tried again, and after how long.

The policy is tenacity's: a stop, a retry and a wait strategy. tenacity's own loop would sleep in the
worker's slot, so its strategies are asked here and Celery carries the answer out.
"""

from __future__ import annotations

import random as chance
from typing import TYPE_CHECKING

import tenacity
from tenacity.wait import wait_base

from worker.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker import provider

__all__ = ["RetryPolicy", "wait_decorrelated"]


class wait_decorrelated(wait_base):  # noqa: N801 - tenacity names its strategies so
    """Waits between *first* and three times the last wait, at most *most*.

    Spreads callers that failed together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS
    Architecture Blog, 2015, there called decorrelated jitter.
    """

    def __init__(
        self, first: float, most: float, uniform: Callable[[float, float], float] = chance.uniform
    ) -> None:
        self._first, self._most, self._uniform = first, most, uniform

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        """Seconds to wait; ``retry_state.upcoming_sleep`` is the last wait, 0.0 before the first."""
        last = max(retry_state.upcoming_sleep, self._first)
        return min(self._most, self._uniform(self._first, last * 3))


class RetryPolicy:
    """A provider's declared :class:`worker.provider.Retry`, ready to be asked."""

    def __init__(
        self, declared: provider.Retry, uniform: Callable[[float, float], float] = chance.uniform
    ) -> None:
        self._stop = tenacity.stop_after_attempt(declared.attempts) | tenacity.stop_after_delay(
            declared.within
        )
        self._retry = tenacity.retry_if_exception_type(CallFailed)
        self._first, self._most, self._uniform = declared.first, declared.most, uniform

    def backoff(self, why: BaseException, *, attempt: int, elapsed: float, last: float) -> float | None:
        """Seconds until the next attempt, or None when there is to be none.

        Args:
            why: What the attempt ended in.
            attempt: Failed attempts, this one included.
            elapsed: Seconds since the first of them failed.
            last: The last back-off in seconds; 0.0 before the first.

        A ``Retry-After`` longer than the back-off wins. What uses no attempt is tried for as long as its own
        patience lasts, with waits of up to a fiftieth of that.
        """
        state = tenacity.RetryCallState(None, None, (), {})  # type: ignore[arg-type]
        state.attempt_number = attempt
        state.start_time, state.outcome_timestamp = 0.0, elapsed
        state.upcoming_sleep = last
        state.outcome = tenacity.Future(attempt)
        state.outcome.set_exception(why)
        patience = getattr(why, "patience", None)
        stop = self._stop if patience is None else tenacity.stop_after_delay(patience)
        if not self._retry(state) or stop(state):
            return None
        most = max(self._most, (patience or 0.0) / 50)
        wait = wait_decorrelated(self._first, most, self._uniform)
        return max(wait(state), getattr(why, "retry_after", None) or 0.0)
