"""Where the provider of the bench answers, as every contender reads it."""

from __future__ import annotations

import os
from functools import cache

__all__ = ["TIMEOUTS", "VARIABLE", "parameters", "thing"]

VARIABLE = "BENCH_STUB"
TIMEOUTS = (3.05, 20.0)
"""Seconds to connect and between bytes; what :class:`worker.provider.Timeouts` declares."""


@cache
def thing() -> str:
    """The address that is asked, without its parameters."""
    return f"{os.environ[VARIABLE]}/thing"


def parameters(number: int, latency_ms: int) -> dict[str, str]:
    """The query of one call; no two calls of a run have the same *number* unless they are to."""
    asked = {"number": str(number)}
    return {**asked, "latency_ms": str(latency_ms)} if latency_ms else asked
