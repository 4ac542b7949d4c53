"""The gate of one provider: whether a call may go out, and what came of it.

Both questions are one script each, on Redis's own clock; see ``lua/begin.lua`` and
``lua/finish.lua`` for what they decide and in which order.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from worker.errors import StateUnavailable
from worker.keys import keys
from worker.policy import Policy
from worker.scripts import Script, script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.claim import Claim
    from worker.provider import Provider
    from worker.stores import Commands

__all__ = ["Decision", "Gate", "Report"]

LINGER = 600_000
"""Milliseconds that an ended record stays where late copies may still come: twice the visibility timeout."""

Outcome = Literal["success", "failure", "neutral", "throttled"]
Fate = Literal["keep", "end", "wait", "dead"]


def _server_clock() -> str:
    return ""


class Decision(NamedTuple):
    """What the gate says to one call. Times in seconds; ``at`` is Redis's clock."""

    word: str
    wait: float
    moved: str
    tokens: float
    quota_left: int | None
    at: float


@dataclass(slots=True)
class Report:
    """One admitted call, and what came of it once that is known. Each counts at most once."""

    gate: Gate
    nonce: str
    flight: str
    outcome: Outcome = "neutral"
    pause: float = 0.0


class Gate:
    """Breaker, cooldown, quota, concurrency and token bucket of one provider.

    Args:
        redis: What reaches the state Redis.
        now: Milliseconds since the epoch, for tests; ``""`` is the server's clock.
    """

    def __init__(
        self, redis: Commands, provider: Provider, *, now: Callable[[], int | str] = _server_clock
    ) -> None:
        self._redis = redis
        self._now = now
        self.provider = provider
        self.keys = keys(provider.name)
        self._shared = [self.keys.breaker, self.keys.limits, self.keys.leases, self.keys.probes]
        self._policy = Policy(provider)
        self._begin, self._finish = script("begin"), script("finish")

    def begin(self, claim: Claim, *, flight: str = "", lease: float = 30.0) -> tuple[Decision, Report]:
        """Whether a call may go out now; one round trip.

        Claims the task's record when *claim* does not hold it yet, and keeps the claim whatever
        the gate says.

        Args:
            claim: The task that asks; updated with what its record says.
            flight: Fingerprint of a request that the fleet asks only once at a time.
            lease: Seconds after which the record is given to another worker if it is not heard of.

        Raises:
            StateUnavailable: Redis does not answer; the call must not be made.
        """
        nonce = _nonce()
        home = claim.keys or self.keys
        flight_key = self.keys.flight(flight)
        names = [*self._shared, *home.indexes, home.call(claim.task_id), flight_key]
        args = [
            self._now(),
            nonce,
            self._policy.packed,
            claim.task_id,
            claim.token,
            round(lease * 1000),
            claim.message,
            "1" if flight else "",
        ]
        reply = self._ask(self._begin, names, args)
        claim.heard(
            token=reply[2],
            attempt=reply[3],
            backoff=reply[4] / 1000,
            created_at=reply[5] / 1000,
            first_failed_at=reply[10] / 1000,
            now=reply[9] / 1000,
        )
        return _decision(reply), Report(self, nonce, flight_key if flight else "")

    def claim(self, claim: Claim) -> str:
        """``ok`` when the task's record is now ours, else why not; one round trip.

        For a task that may be answered without a begin, and whose next steps must not start twice.
        """
        home = claim.keys or self.keys
        args = [self._now(), _nonce(), claim.task_id, round(claim.lease * 1000), claim.message]
        reply = self._ask(script("claim"), [*home.indexes, home.call(claim.task_id)], args)
        claim.heard(
            token=reply[1],
            attempt=reply[2],
            backoff=reply[3] / 1000,
            created_at=reply[4] / 1000,
            first_failed_at=reply[5] / 1000,
            now=reply[6] / 1000,
        )
        return _text(reply[0])

    def finish(
        self,
        report: Report | None,
        claim: Claim,
        fate: Fate = "keep",
        *,
        wait: float = 0.0,
        attempt: int = 0,
        backoff: float = 0.0,
        reason: str = "",
        letter: str = "",
    ) -> tuple[str, str]:
        """Tell what came of a call and decide its record's fate; one round trip.

        Returns:
            The state that the breaker moved to, or ``""``; and the fate, ``fenced`` when the
            record had been taken over and was left alone.
        """
        home = claim.keys or self.keys
        flight_key = (report and report.flight) or self.keys.flight("")
        names = [*self._shared, *home.indexes, home.call(claim.task_id), flight_key, home.dlq]
        args = [
            self._now(),
            report.nonce if report else "",
            report.outcome if report else "",
            round(report.pause * 1000) if report else 0,
            self._policy.packed,
            "1" if report and report.flight else "",
            claim.task_id,
            claim.token,
            fate,
            round(wait * 1000),
            attempt,
            round(backoff * 1000),
            reason,
            letter,
            LINGER,
            "1" if claim.recorded else "",
            "1" if claim.silent else "",
        ]
        reply = self._ask(self._finish, names, args)
        return _text(reply[0]), _text(reply[1])

    def _ask(self, what: Script, names: Sequence[str], args: Sequence[Any]) -> Any:
        """Run *what*; once more when the connection was gone, which both scripts allow for."""
        try:
            return what(self._redis, names, args)
        except (RedisConnectionError, RedisTimeout):
            try:
                return what(self._redis, names, args)
            except RedisError as gone:
                raise StateUnavailable from gone
        except RedisError as gone:
            raise StateUnavailable from gone


def _decision(reply: Any) -> Decision:
    return Decision(
        _text(reply[0]),
        reply[1] / 1000,
        _text(reply[6]),
        reply[7] / 1000,
        None if reply[8] < 0 else reply[8],
        reply[9] / 1000,
    )


_count = count()
_process = (0, "")


def _nonce() -> str:
    """A name for one call that no other call of the fleet has: a process's own, and a number."""
    global _process  # noqa: PLW0603 - a forked child must not go on with its parent's
    if _process[0] != os.getpid():
        _process = (os.getpid(), secrets.token_hex(8))
    return f"{_process[1]}-{next(_count):x}"


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
