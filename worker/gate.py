"""The gate of one provider: whether a call may go out, and what came of it.

Both questions are one script each, on Redis's own clock; see ``lua/begin.lua`` and
``lua/finish.lua`` for what they decide and in which order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from worker.errors import StateUnavailable
from worker.keys import keys
from worker.nonce import nonce
from worker.outbox import Finish
from worker.policy import Policy
from worker.scripts import Script, script, server_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.claim import Claim
    from worker.http.retry_after import Headroom
    from worker.outbox import Outbox
    from worker.provider import Provider
    from worker.stores import Commands

__all__ = ["Decision", "Gate", "Report"]

LINGER = 600_000
"""Milliseconds that an ended record stays where late copies may still come: twice the visibility timeout."""

Outcome = Literal["success", "failure", "neutral", "throttled", "refused"]
Fate = Literal["keep", "end", "wait", "park", "retry", "dead"]


class Decision(NamedTuple):
    """What the gate says to one call. Times in seconds.

    Attributes:
        word: ``admit`` or what holds the call.
        wait: Until an admitted call may leave, or until asking again makes sense.
        at: Redis's clock.
        ahead: Calls in line before it.
    """

    word: str
    wait: float
    moved: str
    tokens: float
    quota_left: int | None
    at: float
    ahead: int = 0


@dataclass(slots=True)
class Report:
    """One admitted call, and what came of it once that is known. Each counts at most once.

    Attributes:
        credential: Number of the one that is to be used, from 0.
        pause: Seconds for which the provider, or this credential, is to be left alone.
        headroom: What the provider said is left.
    """

    gate: Gate
    nonce: str
    flight: str
    credential: int = 0
    outcome: Outcome = "neutral"
    pause: float = 0.0
    headroom: Headroom | None = None


class Gate:
    """Breaker, cooldown, quota, concurrency and token bucket of one provider.

    Args:
        redis: What reaches the state Redis.
        credentials: The provider's keys; each has limits of its own.
        outbox: What may say a finish later; None says each at once.
        now: Milliseconds since the epoch, for tests; ``""`` is the server's clock.
    """

    def __init__(
        self,
        redis: Commands,
        provider: Provider,
        *,
        credentials: Sequence[str] = (),
        outbox: Outbox | None = None,
        now: Callable[[], int | str] = server_clock,
    ) -> None:
        self.redis, self._outbox = redis, outbox
        self._now = now
        self.provider = provider
        self.keys = keys(provider.name)
        self.limits = self.keys.limits_of(credentials)
        self._policy = Policy(provider)
        self._begin, self._finish = script("begin"), script("finish")

    @property
    def policy(self) -> bytes:
        """The provider's rules as the scripts read them."""
        return self._policy.packed

    def begin(
        self,
        claim: Claim,
        *,
        flight: str = "",
        lease: float = 30.0,
        patience: float = 0.0,
        crowded: bool = False,
        sends: bool = False,
    ) -> tuple[Decision, Report]:
        """Whether a call may go out, and in how many seconds; one round trip.

        Claims the task's record when *claim* does not hold it yet, and keeps the claim whatever
        the gate says.

        Args:
            claim: The task that asks; updated with what its record says.
            flight: Fingerprint of a request that the fleet asks only once at a time.
            lease: Seconds after which the record is given to another worker if it is not heard of.
            patience: Seconds that the call would wait in its slot.
            crowded: This process has no slot for the call.
            sends: What is let out may act, so the call is marked as sent before it leaves.

        Raises:
            StateUnavailable: Redis does not answer; the call must not be made.
        """
        name, at = nonce(), self.keys
        home = claim.keys or at
        flight_key = at.flight(flight)
        passes = claim.passes_line(at)
        names = [
            *(at.breaker, at.leases, at.probes, at.parked, at.released),
            *(home.queued, home.running, home.released, home.lot, home.call(claim.task_id)),
            flight_key,
            *self.limits,
        ]
        args = [
            self._now(),
            name,
            self._policy.packed,
            claim.task_id,
            claim.token,
            round(lease * 1000),
            claim.message,
            claim.lane,
            "1" if flight else "",
            round(patience * 1000),
            "1" if passes else "",
            "1" if crowded else "",
            _sends(claim) if sends else "",
            claim.noted,
            home.call(""),
            home.submissions,
        ]
        reply = self._ask(self._begin, names, args)
        claim.heard(
            token=reply[2],
            attempt=reply[3],
            backoff=reply[4] / 1000,
            created_at=reply[5] / 1000,
            first_failed_at=reply[10] / 1000,
            throttled_at=reply[11] / 1000,
            released=bool(reply[14]),
            now=reply[9] / 1000,
        )
        return _decision(reply), Report(self, name, flight_key if flight else "", reply[12] - 1)

    def claim(self, claim: Claim) -> str:
        """``ok`` when the task's record is now ours, else why not; one round trip.

        For a task that may be answered without a begin, and whose next steps must not start twice.
        """
        home = claim.keys or self.keys
        names = [home.queued, home.running, home.released, home.call(claim.task_id)]
        lease = round(claim.lease * 1000)
        args = [
            *(self._now(), nonce(), claim.task_id, lease, claim.message, claim.lane),
            *(claim.noted, home.call(""), home.submissions),
        ]
        reply = self._ask(script("claim"), names, args)
        claim.heard(
            token=reply[1],
            attempt=reply[2],
            backoff=reply[3] / 1000,
            created_at=reply[4] / 1000,
            first_failed_at=reply[5] / 1000,
            throttled_at=reply[6] / 1000,
            released=bool(reply[8]),
            now=reply[7] / 1000,
        )
        return _text(reply[0])

    def forgive(self, claim: Claim) -> None:
        """Forget how often and since when the claim's call failed, was throttled or lost its worker.

        Its place in line, too: it has had its turn, and would come back before all who wait for one. One
        round trip.

        Raises:
            StateUnavailable: Redis does not answer.
        """
        if not claim.token or claim.keys is None:
            return
        try:
            fields = ("attempt", "backoff", "first_failed_at", "throttled_at", "losses", "place")
            self.redis.execute_command("HDEL", claim.keys.call(claim.task_id), *fields)
        except RedisError as gone:
            raise StateUnavailable from gone

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
        submission: str = "",
    ) -> tuple[str, str]:
        """Tell what came of a call and decide its record's fate; one round trip.

        Returns:
            The state that the breaker moved to, or ``""``; and the fate, ``fenced`` when the
            record had been taken over and was left alone, ``slow`` for a retry beyond the budget.
        """
        details = (wait, attempt, backoff, reason, letter, submission)
        reply = self._ask(self._finish, *self._closing(report, claim, fate, *details))
        return _text(reply[0]), _text(reply[1])

    def finish_soon(
        self,
        report: Report | None,
        claim: Claim,
        moved: Callable[[str], None],
        fate: Fate = "end",
        *,
        submission: str = "",
    ) -> None:
        """Tell what came of a call for whose fate nobody waits, with the next begin or a moment later.

        *moved* hears the state that the breaker moved to, or ``""``.
        """
        names, args = self._closing(report, claim, fate, submission=submission)

        def heard(reply: Any) -> None:
            moved(_text(reply[0]))

        if self._outbox is None:
            heard(self._ask(self._finish, names, args))
        else:
            self._outbox.add(Finish(script=self._finish, keys=names, args=args, heard=heard))

    def _closing(
        self,
        report: Report | None,
        claim: Claim,
        fate: Fate,
        wait: float = 0.0,
        attempt: int = 0,
        backoff: float = 0.0,
        reason: str = "",
        letter: str = "",
        submission: str = "",
    ) -> tuple[list[str], list[Any]]:
        """Keys and arguments of a finish."""
        at = self.keys
        home = claim.keys or at
        headroom = report.headroom if report else None
        names = [
            *(at.breaker, self.limits[report.credential if report else 0], at.leases, at.probes, at.budget),
            *home.indexes,
            *(home.lot, home.call(claim.task_id), (report and report.flight) or at.flight(""), home.dlq),
        ]
        return names, [
            self._now(),
            report.nonce if report else "",
            report.outcome if report else "",
            round(report.pause * 1000) if report else 0,
            headroom.left if headroom else -1,
            round(headroom.seconds * 1000) if headroom else 0,
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
            submission,
            home.submissions,
        ]

    def _ask(self, what: Script, names: Sequence[str], args: Sequence[Any]) -> Any:
        """Run *what*; once more when the connection was gone, which both scripts allow for."""
        try:
            return self._say(what, names, args)
        except (RedisConnectionError, RedisTimeout):
            try:
                return self._say(what, names, args)
            except RedisError as gone:
                raise StateUnavailable from gone
        except RedisError as gone:
            raise StateUnavailable from gone

    def _say(self, what: Script, names: Sequence[str], args: Sequence[Any]) -> Any:
        if self._outbox is None:
            return what(self.redis, names, args)
        return self._outbox.ask(what, names, args)


def _sends(claim: Claim) -> str:
    return "again" if claim.again else "first"


def _decision(reply: Any) -> Decision:
    return Decision(
        _text(reply[0]),
        reply[1] / 1000,
        _text(reply[6]),
        reply[7] / 1000,
        None if reply[8] < 0 else reply[8],
        reply[9] / 1000,
        reply[13],
    )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
