"""What goes out to a provider and what comes back, as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from worker.provider import Caching

__all__ = ["Answer", "Request"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP exchange that a provider module asks for.

    Attributes:
        path: Below the provider's base address, with its leading slash.
        params: Query parameters. Credentials never stand here: auth adds them on the wire.
        data: A JSON body, or None.
        form: The fields of an ``application/x-www-form-urlencoded`` body, or None.
        label: What the answer is in the operation's own words, for logs (``hpd_violations``).
        fresh: Skip cached answers older than the call itself, and take no stale one.
        pure: A POST that only computes and stores nothing.
        caching: How long its answer is good, where the provider's own does not hold.
        kept: Whether its answer may be kept at all.
        provider: Who is asked; "" is the provider whose operation it is.
        recipient: Who is written to. One who does not want it is not written to again.
    """

    path: str
    method: str = "GET"
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    data: Any = None
    form: Mapping[str, str] | None = None
    label: str = ""
    fresh: bool = False
    pure: bool = False
    caching: Caching | None = None
    kept: bool = True
    provider: str = ""
    recipient: str = ""

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice does what sending it once does (RFC 9110, 9.2.2), or changes nothing."""
        return self.pure or self.method in {"GET", "HEAD", "PUT", "DELETE"}

    @property
    def acts(self) -> bool:
        """Whether it changes something there."""
        return not self.pure and self.method not in {"GET", "HEAD"}

    def __repr__(self) -> str:
        """The method and path; parameters may hold what callers keep private."""
        return f"<Request {self.method} {self.path}>"

    @property
    def fingerprint(self) -> str:
        """The same 32 hex digits for every request that asks the same thing."""
        parts = [self.method, self.path, sorted(self.params.items()), sorted(self.headers.items()), self.data]
        if self.form is not None:
            parts.append(sorted(self.form.items()))
        return hashlib.sha256(json.dumps(parts, separators=(",", ":")).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a provider said, already parsed.

    Attributes:
        data: The JSON body; None when the body was empty.
        headers: Lower-case names; only those that the engine keeps.
        source: ``live``, ``cache`` or ``stale``.
        age: Seconds since the provider gave it; 0.0 when live.
        empty: It is well and holds nothing.
    """

    status: int
    data: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    source: str = "live"
    age: float = 0.0
    empty: bool = False

    def __repr__(self) -> str:
        """Status and source; bodies stay out of logs and tracebacks."""
        return f"<Answer {self.status} {self.source}>"

    def aged(self, source: str, age: float) -> Answer:
        """The same answer, served from *source* *age* seconds after it was given."""
        return replace(self, source=source, age=age)
