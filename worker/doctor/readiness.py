"""Whether this worker could do a task now. Asked by ``/readyz`` and by the upkeep task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from config.settings import SettingsError
from worker import registry
from worker.doctor.checks import Ailment, Finding, ask_all, explained
from worker.fleet import reached
from worker.keys import WRITABLE
from worker.metrics.exposition import Check

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery
    from redis import Redis

    from worker.engine import Engine

__all__ = ["ready", "writable"]

WITHIN = 2.5
"""Seconds for everything: an orchestrator gives a probe a few."""


def ready(engine: Engine, app: Celery) -> list[Check]:
    """``state``, ``broker`` and ``settings``, asked at once; under three seconds, and never raises."""

    def state() -> Iterable[Finding]:
        yield writable("state", engine.state)

    def broker() -> Iterable[Finding]:
        with reached(app, within=WITHIN):
            yield Finding(name="broker", ok=True, detail="answers")

    def settings() -> Iterable[Finding]:
        try:
            engine.settings.check_providers(registry.names())
        except SettingsError as wrong:
            raise Ailment("; ".join(wrong.problems)) from None
        yield Finding(name="settings", ok=True, detail=engine.settings.environment)

    found = ask_all({"state": state, "broker": broker, "settings": settings}, within=WITHIN)
    return [Check(name=each.name, ok=each.ok, detail=each.detail) for each in found]


def writable(name: str, redis: Redis) -> Finding:
    """Whether *redis* takes a write, which it refuses when it is full, read-only or without its disk."""
    try:
        redis.set(WRITABLE, 1, px=1000)
    except RedisError as why:
        raise Ailment(f"takes no writes: {explained(why)}") from None
    return Finding(name=name, ok=True, detail="takes writes")
