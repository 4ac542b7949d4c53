"""A provider whose calls mostly wait, and what our workers load for it: its one operation, and the ledger."""

from __future__ import annotations

import os

from tests.chaos import ledger
from worker.operation import Steps, operation
from worker.provider import Breaker, Provider, Rate
from worker.request import Request

__all__ = ["PACED", "RATE", "visit"]

RATE = Rate(calls=50, burst=5)

PACED = Provider(
    name="paced",
    base_url="http://127.0.0.1:9",
    rate=RATE,
    breaker=Breaker(failures=None),
)


@operation(PACED, shown=("call",))
def visit(call: str) -> Steps[str]:
    """*call*, which names itself to the provider, so that two requests for one call are seen there."""
    yield Request(path=f"/visit/{call}")
    return call


if os.environ.get(ledger.FILE):
    ledger.connect()
