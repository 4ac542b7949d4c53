"""What tests against a real server share."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from redis import Redis

from worker.stores import connect


@dataclass
class HeldClock:
    """Redis's clock as the scripts see it, moved by hand. Milliseconds since the epoch."""

    ms: int = field(default_factory=lambda: round(time.time() * 1000))

    def __call__(self) -> int:
        return self.ms


@pytest.fixture(autouse=True)
def unsettled(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine's, or of a fleet that other tests run, reach these tests."""
    for name in [name for name in os.environ if name.upper().startswith("NARROWS_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def state(redis_url: str) -> Iterator[Redis]:
    """An empty state Redis."""
    client = connect(redis_url)
    yield client
    client.close()


@pytest.fixture
def clock() -> HeldClock:
    """A clock that stands still until a test moves it."""
    return HeldClock()
