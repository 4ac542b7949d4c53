"""A fleet without processes: the real scripts, a held clock, and tests that say who does what when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from hypothesis import HealthCheck, settings
from redis import Redis

from tests.integration.conftest import HeldClock
from worker.claim import Claim
from worker.gate import Decision, Gate, Report
from worker.nonce import worker_name
from worker.provider import Breaker, Provider
from worker.record import Records, Release

__all__ = ["START", "STRIDES", "Held", "excess", "few", "many"]

STRIDES = {"interactive": 1, "batch": 4, "replay": 16}
START = 1_800_000_000_000


def _bounded(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples, deadline=None, suppress_health_check=checks)


many, few = _bounded(30), _bounded(8)


class Held:
    """One provider, its gate and its records, in an emptied state Redis."""

    def __init__(
        self, state: Redis, clock: HeldClock, *, credentials: Sequence[str] = (), **declared: Any
    ) -> None:
        state.flushdb()
        clock.ms = START
        fields = {
            "name": "acme",
            "base_url": "http://127.0.0.1",
            "breaker": Breaker(failures=None),
            **declared,
        }
        self.state, self.clock, self.provider = state, clock, Provider(**fields)
        self.gate = Gate(state, self.provider, credentials=credentials, now=clock)
        self.records = Records(state, state, "acme", now=clock)
        self.keys = self.records.keys

    def park(self, *task_ids: str, lane: str = "interactive", expires: int | None = None) -> None:
        """Let calls stand in line."""
        self.records.park([(task_id, "[]") for task_id in task_ids], lane=lane, expires=expires)

    def look(self, slots: int = 100, worker: str = "") -> Release:
        """One look at the line by a worker of that many slots, this process unless it is named."""
        return self.records.release(self.gate, worker or worker_name(), slots)

    def released(self, slots: int) -> list[str]:
        """Who leaves when the fleet has *slots* slots, some time after the last look."""
        self.clock.ms += 6000
        return [call.task_id for call in self.look(slots).calls]

    def begin(self, task_id: str = "", **given: Any) -> tuple[Decision, Report, Claim]:
        """A worker got the message of *task_id*, or makes a call without a record."""
        claim = Claim(home="acme", task_id=task_id, recorded=True)
        return (*self.gate.begin(claim, **given), claim)

    def end(self, report: Report | None, claim: Claim, fate: Any = "end", **details: Any) -> str:
        """Finish; the fate that it became."""
        return self.gate.finish(report, claim, fate, **details)[1]

    def told(self, report: Report, outcome: Any, pause: float = 0.0) -> None:
        """Report what came of a call without a record."""
        report.outcome, report.pause = outcome, pause
        self.gate.finish(report, Claim())

    def answered(self, task_id: str, fate: Any = "end", **details: Any) -> str:
        """Begin and finish at once."""
        _, report, claim = self.begin(task_id)
        report.outcome = "success"
        return self.end(report, claim, fate, **details)

    def field(self, name: str, credential: int = 0) -> float | None:
        """A number in a credential's limits."""
        value: Any = self.state.hget(self.gate.limits[credential], name)
        return None if value is None else float(value)


def excess(moments: Sequence[int], *, rate: float, burst: int) -> float:
    """By how many calls the worst interval exceeds burst and rate x length.

    Moments are whole ms, rounded up, so an interval may be one shorter than it should. In order, that is the
    worst over pairs i <= j of (j - i + 1) - burst - rate x (t_j - t_i + 1 ms).
    """
    if not moments:
        return -float(burst)
    ordered = sorted(moments)
    heads = [n - rate / 1000 * (moment - ordered[0]) for n, moment in enumerate(ordered)]
    least = accumulate(heads, min)
    return max(head - low for head, low in zip(heads, least, strict=True)) + 1 - burst - rate / 1000
