"""Guarded providers before which calls stand in line.

What arrives for each is told apart by its path at the stub.
"""

from __future__ import annotations

from typing import Annotated, Any

from celery import Task
from pydantic import Field

from bench.rates import RATES
from worker.application import app
from worker.operation import Steps, operation
from worker.provider import Provider, Rate
from worker.request import Request

__all__ = ["app", "task"]

Number = Annotated[int, Field(ge=0)]


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
