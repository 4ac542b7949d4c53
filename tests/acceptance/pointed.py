"""This process led to another broker, or to other ways of publishing, for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.fleet import Ground
from worker.application import app

__all__ = ["pointed"]


@contextmanager
def pointed(ground: Ground, env: Mapping[str, str]) -> Iterator[None]:
    """Inside, this process and the fleets that it starts have the settings of *ground* and those of *env*."""
    before = {name: value for name, value in os.environ.items() if name.startswith("NARROWS_")}
    _point({**ground.env, **env})
    try:
        yield
    finally:
        _point(before)


def _point(env: Mapping[str, str]) -> None:
    """As the ground does it; queues and mailboxes are made anew, since they are the broker's kind."""
    Ground._point(env)
    for part in ("amqp", "control"):
        app.__dict__.pop(part, None)
