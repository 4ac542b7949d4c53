"""Whether the state Redis has on disk that a submission leaves, before it leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from worker import registry
from worker.doctor.checks import Finding
from worker.errors import ConfigurationError
from worker.overrides import overridden
from worker.submissions.finding import submitters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis

    from config.settings import Settings

__all__ = ["remembers"]

ALWAYS = "always"
UNTOLD = "not told"


def remembers(name: str, redis: Redis, settings: Settings) -> Iterator[Finding]:
    """What was found of how soon the server called *name* writes; nothing where nothing is submitted.

    Raises:
        RedisError: It does not answer.
    """
    served = sorted(each for each in submitters() if _served(settings, each))
    if not served:
        return
    how, cure = _appendfsync(redis), ""
    if how != ALWAYS:
        risk = "a crash of its machine may forget a second, and so send a submission twice to"
        cure = f"CONFIG SET appendfsync {ALWAYS}: {risk} {', '.join(served)}"
    yield Finding(name=f"{name}: fsync", ok=True, detail=how, advice=cure)


def _appendfsync(redis: Redis) -> str:
    """Its setting; :data:`UNTOLD` where we may not ask, as with many a hosted server."""
    try:
        told = redis.config_get("appendfsync")
    except ResponseError:
        return UNTOLD
    return told.get("appendfsync") or UNTOLD


def _served(settings: Settings, name: str) -> bool:
    """Whether this deployment can be let in at a provider; it cannot where its settings are wrong."""
    own = settings.providers.get(name)
    try:
        auth = overridden(registry.provider(name), own).auth
    except ConfigurationError:  # a finding of its own
        return False
    return auth is None or not auth.required or bool(own and own.credentials)
