"""What the providers allow before which calls stand in line."""

from __future__ import annotations

from collections.abc import Mapping

from worker.provider import Rate

__all__ = ["RATES"]

RATES: Mapping[str, Rate] = {
    "line_slow": Rate(calls=1.0, burst=1),
    "line_neighbour": Rate(calls=1_000_000.0, burst=1_000_000),
    "line_50": Rate(calls=50.0, burst=5),
    "line_20": Rate(calls=20.0, burst=1),
    "line_drain": Rate(calls=50.0, burst=1),
}
"""By the provider's name. In ``bench.lines`` they are guarded; ``bench.unguarded`` has the same numbers."""
