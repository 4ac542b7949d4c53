"""Enqueueing many calls at once beside ``.delay()`` one by one: the same task, the same arguments.

``.delay()`` is measured twice, because it is two things: in front of an empty line it publishes a message;
behind others it only writes the record, which is cheaper. The figure is against the cheaper one; the other
stands beside it. Every side validates, and in every side a call is a record in the state Redis at the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import Field
from redis import Redis

from bench.ground import Ground
from bench.report import Figure, median, ratios
from worker import enqueue_many
from worker.engine import engine
from worker.keys import keys
from worker.operation import Steps, operation
from worker.provider import Provider, Rate
from worker.request import Request

__all__ = ["NAME", "Bulk"]

NAME = "bulk_enqueue_vs_delay"

PROVIDER = Provider(name="bulk", base_url="http://127.0.0.1:9", rate=Rate(calls=1))
"""Nobody serves it: what is enqueued here stays, until the round is over."""

ONE_BY_ONE, TOGETHER = 200, 5000
QUICK_ONE_BY_ONE, QUICK_TOGETHER = 50, 1000

PUBLISHED, PARKED, MANY = "delay, published", "delay, behind others", "enqueue_many"


@operation(PROVIDER, shown=("number",))
def fetch(number: Annotated[int, Field(ge=0)], limit: Annotated[int, Field(ge=1)] = 1) -> Steps[Any]:
    """The answer."""
    answer = yield Request(path="/thing", params={"number": str(number), "limit": str(limit)})
    return answer.data


class Bulk:
    """A few hundred calls one by one, in both ways, and a few thousand at once, in turn."""

    def __init__(self, ground: Ground) -> None:
        self._broker = Redis.from_url(ground.env()["NARROWS_BROKER_URL"])
        self._singly, self._together = (
            (QUICK_ONE_BY_ONE, QUICK_TOGETHER) if ground.quick else (ONE_BY_ONE, TOGETHER)
        )
        self._rates: dict[str, list[float]] = {PUBLISHED: [], PARKED: [], MANY: []}
        fetch.delay(0)  # opens the connections
        enqueue_many(fetch, [0])
        self._forget()

    def round(self, number: int) -> None:  # noqa: ARG002 - every round is the same
        """Each side once."""
        self._time(PUBLISHED, self._singly, self._one_by_one)
        enqueue_many(fetch, [0])
        self._time(PARKED, self._singly, self._one_by_one)
        self._time(MANY, self._together, self._at_once)
        self._forget()

    def figures(self) -> list[Figure]:
        """The figure."""
        rates = self._rates
        beside = {f"{name}, calls/s": median(of) for name, of in rates.items()}
        beside[f"{MANY} / {PUBLISHED}"] = median(ratios(rates[MANY], rates[PUBLISHED]))
        self._broker.close()
        return [Figure(name=NAME, rounds=ratios(rates[MANY], rates[PARKED]), beside=beside)]

    def _time(self, name: str, calls: int, work: Callable[[int], None]) -> None:
        start = time.perf_counter()
        work(calls)
        self._rates[name].append(calls / (time.perf_counter() - start))

    @staticmethod
    def _one_by_one(calls: int) -> None:
        for number in range(calls):
            fetch.delay(number, 5)

    @staticmethod
    def _at_once(calls: int) -> None:
        batch = enqueue_many(fetch, ((number, 5) for number in range(calls)))
        if batch.new != calls:
            raise RuntimeError(f"{batch.new} of {calls} calls were enqueued")

    def _forget(self) -> None:
        """Let the next round begin with an empty line."""
        state, broker = engine().state, self._broker
        broker.delete(PROVIDER.name)
        prefix = keys(PROVIDER.name).call("").removesuffix("call:")
        found = list(state.scan_iter(f"{prefix}*", count=1000))
        for start in range(0, len(found), 1000):
            state.unlink(*found[start : start + 1000])
