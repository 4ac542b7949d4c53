"""Every dependency of this deployment, looked at once: what ``narrows doctor`` shows."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from worker import registry
from worker.doctor import parts, providers
from worker.doctor.checks import Finding, ask_all
from worker.doctor.servers import ROLES, server_findings
from worker.signing.check import signing_finding
from worker.tracing.check import tracing_finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from celery import Celery

    from worker.doctor.checks import Question
    from worker.engine import Engine

__all__ = ["examine", "topics"]

ROLE_WITHIN = 2.5
WITHIN = 8.0
"""Seconds: for each server, one by one so that none slows another's pings; for all the rest together."""

PARTS = ("packages", "workers", "results", "beat", "exporter", "tracing", "signing")


def topics() -> tuple[str, ...]:
    """What can be looked at alone: servers by their role, parts of ours, providers."""
    return (*ROLES, *PARTS, *registry.names())


def examine(engine: Engine, app: Celery, *, live: bool = False, only: Collection[str] = ()) -> list[Finding]:
    """What was found, failures and warnings among it; takes two seconds or, at worst, eighteen. Never raises.

    Args:
        engine: Whose settings and servers are looked at.
        app: Whose broker, results and workers are.
        live: Ask each provider's address whether it answers at all: one HEAD, past the gate.
        only: The :func:`topics` to look at, all when empty. Beat or an exporter that is asked for and is not
            there is a failure then; else it is a warning, for another machine may have it.
    """
    servers = [
        finding
        for role in ROLES
        if not only or role in only
        for finding in ask_all({_label(role): _server(engine, app, role)}, within=ROLE_WITHIN)
    ]
    running = Finding(name="settings", ok=True, detail=engine.settings.environment)
    asked = dict(_questions(engine, app, live=live, only=only))
    return [running, *servers, *ask_all(asked, within=WITHIN)]


def _server(engine: Engine, app: Celery, role: str) -> Question:
    return partial(server_findings, engine.settings, app, role)


def _label(role: str) -> str:
    return f"{role} redis"


def _questions(
    engine: Engine, app: Celery, *, live: bool, only: Collection[str]
) -> Iterator[tuple[str, Question]]:
    settings = engine.settings
    each: dict[str, Question] = {
        "packages": parts.packages,
        "workers": partial(parts.workers, app),
        "results": partial(parts.results, app),
        "beat": partial(parts.beat, engine, wanted="beat" in only),
        "exporter": partial(parts.exporter, settings, wanted="exporter" in only),
        "tracing": partial(tracing_finding, settings),
        "signing": partial(signing_finding, settings),
    }
    yield from ((name, question) for name, question in each.items() if not only or name in only)
    named = [name for name in registry.names() if not only or name in only]
    yield from ((f"provider {name}", partial(providers.provider, settings, name)) for name in named)
    if live:
        yield from ((f"{name} live", partial(providers.live, settings, name)) for name in named)
