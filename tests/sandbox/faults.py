"""Which requests go wrong, and how: what tests set and the stage draws from.

A fault is one JSON object; a provider has a list of them, and the first whose
``only`` is in the request's path and query is the one that counts.

    mode           off | headed | accepted_202 | throttle | redirect | html | garbage | nonsense
                   | wrong_charset
                   | acted_error | acted_hang_up | acted_silent (it is done, but not told)
                   | hang | reset | truncate | endless | gzip_bomb | drip_headers | drip_body
    status         answer with this status, in the provider's own words
    error_rate     the share of matching requests that go wrong; 1 unless said
    latency_ms     before every matching request, those that go well included
    retry_after    value of a Retry-After header on answers that a fault makes in the provider's own words
    headers        more headers on them, by name; ``headed`` puts them on the right answer
    only           a part of the path and query, encoded or not; all requests without it
    method         POST, for example; all methods without it
    times          how many requests go wrong before all is well again
    pause_ms       between two dripped bytes; 200 unless said
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args
from urllib.parse import unquote_plus

from tests.sandbox.misconduct import Mode

__all__ = ["Fault", "FaultInvalid", "Faults"]


class FaultInvalid(ValueError):
    """What was set is no fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to go wrong; the module's docstring explains each field."""

    mode: Mode = "off"
    status: int | None = None
    error_rate: float = 1.0
    latency_ms: float = 0.0
    retry_after: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    only: str = ""
    method: str = ""
    times: int | None = None
    pause_ms: float = 200.0

    @classmethod
    def parsed(cls, data: Any) -> Fault:
        """The fault that *data* describes; raises FaultInvalid with the reason."""
        if not isinstance(data, Mapping):
            raise FaultInvalid("a fault is a JSON object")
        known = {each.name for each in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise FaultInvalid(f"unknown: {', '.join(unknown)}; known: {', '.join(sorted(known))}")
        if data.get("mode", "off") not in get_args(Mode):
            raise FaultInvalid(f"mode is one of {', '.join(get_args(Mode))}")
        for name in ("status", "error_rate", "latency_ms", "times", "pause_ms"):
            if not isinstance(data.get(name, 0), int | float | None):
                raise FaultInvalid(f"{name} is a number")
        headers = data.get("headers", {})
        if not isinstance(headers, Mapping) or not all(isinstance(name, str) for name in headers):
            raise FaultInvalid("headers is a JSON object")
        wait = data.get("retry_after")
        said = {name: str(value) for name, value in headers.items()}
        return cls(**{**data, "headers": said, "retry_after": None if wait is None else str(wait)})

    @property
    def harmful(self) -> bool:
        """Whether it does more than make requests slow."""
        return self.mode != "off" or self.status is not None


class Faults:
    """The faults of one provider; safe to set from any thread."""

    def __init__(self, *, seed: int = 0) -> None:
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._drawn: list[int] = []
        self._accepted: set[str] = set()

    def set(self, faults: Iterable[Fault]) -> None:
        """Replace what was set before; their counts start anew."""
        with self._lock:
            self._faults = list(faults)
            self._drawn = [0] * len(self._faults)
            self._accepted.clear()

    def shown(self) -> list[dict[str, Any]]:
        """The faults as JSON, each with how often it was ``drawn``."""
        with self._lock:
            return [asdict(f) | {"drawn": n} for f, n in zip(self._faults, self._drawn, strict=True)]

    def draw(self, target: str, method: str = "GET") -> tuple[float, Fault | None]:
        """Seconds to wait before answering *method* of *target*, and the fault that hits it, if one does."""
        if not self._faults:
            return 0.0, None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.method not in {"", method}:
                    continue
                if fault.only in target or fault.only in unquote_plus(target):
                    return fault.latency_ms / 1000, self._hit(index, fault, target)
        return 0.0, None

    def _hit(self, index: int, fault: Fault, target: str) -> Fault | None:
        if not fault.harmful or (fault.times is not None and self._drawn[index] >= fault.times):
            return None
        if fault.error_rate < 1 and self._random.random() >= fault.error_rate:
            return None
        if fault.mode == "accepted_202":
            if target in self._accepted:
                return None
            self._accepted.add(target)
        self._drawn[index] += 1
        return fault
