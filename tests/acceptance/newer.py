"""A task that only the workers of a newer release have; its provider is an old one."""

from __future__ import annotations

from tests.acceptance.providers import STEADY
from worker.operation import Steps, operation
from worker.request import Request

__all__ = ["arrive"]


@operation(STEADY, shown=("value",))
def arrive(value: int) -> Steps[int]:
    """*value*, once the provider has been asked."""
    yield Request(path=f"/arrive/{value}")
    return value
