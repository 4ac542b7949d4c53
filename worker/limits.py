"""What is left of each credential's limits, and what was learnt of them, read as ``lua/limits.lua`` does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.days import day_ends
from worker.keys import digest
from worker.scripts import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.provider import Provider
    from worker.stores import Commands

__all__ = ["FIELDS", "Limits", "digests", "forget", "read"]

FIELDS = (
    "tokens", "at", "cooldown_until", "quota_used", "quota_until", "refused_until", "factor", "throttles",
    "throttled_at",
)  # fmt: skip
"""What is read of a credential's hash, in the order that :func:`read` takes."""

_LONGEST_DAY = 90_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """One credential at one moment. Moments are seconds since the epoch, those that are over are None.

    Attributes:
        digest: The beginning of the credential's SHA-256, "" when there is none.
        factor: The share of the declared rate that the provider was found to bear.
        rate: Calls per second now, the factor in it; None without a rate.
        tokens: In the bucket now, below 0 when calls that were let out wait for their moment.
        throttles: Cooldowns in a row; ``throttled_at`` is when the last one began.
        refused_until: Until when it is set aside, because the provider did not take it.
        quota_left: Calls left today; None without a quota, as is ``quota_until``, the day's end.
    """

    digest: str
    factor: float
    rate: float | None
    tokens: float | None
    throttles: int
    throttled_at: float | None
    cooldown_until: float | None
    refused_until: float | None
    quota_left: int | None
    quota_until: float | None

    @property
    def hold(self) -> tuple[str, float] | None:
        """What keeps it from being used at all, and until when; None while it can be used."""
        holds = [("credentials", self.refused_until), ("cooldown", self.cooldown_until)]
        if self.quota_left == 0:
            holds.append(("quota", self.quota_until))
        return max(((word, ends) for word, ends in holds if ends), key=lambda hold: hold[1], default=None)


def digests(credentials: Sequence[str]) -> tuple[str, ...]:
    """What stands for each credential where people read; one empty digest for a provider without any."""
    return tuple(map(digest, credentials)) or ("",)


def read(provider: Provider, digest: str, fields: Sequence[bytes | None], now: int) -> Limits:
    """A credential's limits at *now*, ms since the epoch, from what Redis keeps in :data:`FIELDS`."""
    tokens, at, cooldown, used, until, refused, factor, throttles, throttled = (
        None if field is None else float(field) for field in fields
    )
    declared, share, quota = provider.rate, 1.0 if factor is None else factor, provider.quota
    rate = declared.per_second * share if declared else None
    held = float(declared.burst) if declared else None
    if held is not None and tokens is not None:
        held = min(held, tokens + (now - (at or 0.0)) / 1000 * (rate or 0.0))
    ends = until or 0.0
    if quota and ends <= now:
        used, ends = 0.0, min([now + _LONGEST_DAY, *(end for end in day_ends(quota.zone) if end > now)])
    return Limits(
        digest=digest,
        factor=share,
        rate=rate,
        tokens=held,
        throttles=int(throttles or 0),
        throttled_at=throttled / 1000 if throttled else None,
        cooldown_until=_ahead(cooldown, now),
        refused_until=_ahead(refused, now),
        quota_left=max(0, quota.limit - int(used or 0)) if quota else None,
        quota_until=ends / 1000 if quota else None,
    )


def forget(redis: Commands, limits: Sequence[str], *, quota: bool = False) -> int:
    """Of how many credentials something learnt was forgotten; *limits* are their keys. One round trip.

    Learnt rate, throttling, cooldown and refusal; with *quota* also the calls of today.
    """
    return int(script("limits_reset")(redis, limits, ["", "1" if quota else ""]))


def _ahead(moment: float | None, now: int) -> float | None:
    return moment / 1000 if moment and moment > now else None
