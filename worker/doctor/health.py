"""What production wants of some providers before it starts: that they are well."""

from __future__ import annotations

from typing import TYPE_CHECKING

from worker import registry
from worker.errors import CallError
from worker.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from worker.engine import Engine

__all__ = ["unwell"]


def unwell(engine: Engine, served: Iterable[str]) -> list[str]:
    """What is wrong with the providers that a worker *served* by these queues would ask; one line each.

    Those with a health path are asked for it, once, past the gate: no call of theirs is under way yet. One
    that this deployment has given no address is not part of it.
    """
    wrong = []
    for name in served:
        if name not in registry.names():
            continue
        provider, settings = registry.provider(name), engine.settings.providers.get(name)
        if provider.health and settings is not None and settings.base_url is not None:
            try:
                engine.gateway(name).http.send(Request(path=provider.health))
            except CallError as why:
                wrong.append(f"{name} is not healthy: {why}")
    return wrong
