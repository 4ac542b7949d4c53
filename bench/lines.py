"""Guarded providers before which calls stand in line.

What arrives for each is told apart by its path at the stub.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from celery import Task
from pydantic import Field

from worker.application import app
from worker.operation import Steps, operation
from worker.provider import Provider, Rate
from worker.request import Request

__all__ = ["RATES", "app", "task"]

Number = Annotated[int, Field(ge=0)]

RATES: Mapping[str, Rate] = {
    "line_slow": Rate(calls=1.0, burst=1),
    "line_neighbour": Rate(calls=1_000_000.0, burst=1_000_000),
    "line_50": Rate(calls=50.0, burst=5),
    "line_20": Rate(calls=20.0, burst=1),
    "line_drain": Rate(calls=50.0, burst=1),
}
"""Of each provider."""


def task(name: str) -> Task:
    """The task of the provider *name*."""
    return app.tasks[f"{name}.fetch"]


def _declare(name: str, rate: Rate) -> None:
    # The bench sets the real address, as a deployment would.
    provider = Provider(name=name, base_url="http://127.0.0.1:9", rate=rate)

    @operation(provider, shown=("number",))
    def fetch(number: Number) -> Steps[Any]:
        """The answer."""
        answer = yield Request(path=f"/{name}", params={"number": str(number)})
        return answer.data


for _name, _rate in RATES.items():
    _declare(_name, _rate)
