"""What every measurement stands on: a Valkey, a provider, and nothing else."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis

from bench import address
from bench.stub import Stub
from worker.stack.embedded import EmbeddedValkey
from worker.stack.lifeline import Lifeline

__all__ = ["ROLES", "Ground"]

ROLES = ("broker", "state", "cache", "result")
"""What Redis is used for. All on one server, each in a database of its own."""

GUARDED = ("guarded", "guarded_cached", "guarded_hit", "guarded_100ms")


class Ground:
    """``with Ground(quick=False) as ground:`` starts it, and sets this process's environment to it.

    Attributes:
        quick: Show that everything works, with figures that mean little.
        redis: A client of the server, outside of what is measured; ``broker`` sees the broker's database.
    """

    def __init__(self, *, quick: bool) -> None:
        self.quick = quick
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """The ground, ready."""
        with ExitStack() as stack:
            self.lifeline = Lifeline(grace=2.0)
            stack.callback(self.lifeline.close)
            self.logs = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="narrows-bench-")))
            self.valkey = stack.enter_context(EmbeddedValkey(lifeline=self.lifeline))
            self.redis: Redis = stack.enter_context(Redis.from_url(self.url))
            self.broker: Redis = stack.enter_context(Redis.from_url(self.valkey.database(0)))
            self.stub = stack.enter_context(Stub(self.lifeline))
            self._stack = stack.pop_all()
        os.environ.update(self.env())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it and remove what it left."""
        self._stack.close()

    def clear(self) -> None:
        """Forget all calls, results and arrivals; while no worker runs."""
        self.redis.flushall()
        self.stub.arrivals.clear()

    @property
    def url(self) -> str:
        """The database where meters report."""
        return self.valkey.database(len(ROLES))

    def env(
        self, ports: Mapping[str, int] | None = None, *, providers: Iterable[str] = GUARDED
    ) -> dict[str, str]:
        """The environment of whoever is measured.

        Args:
            ports: Stand before the server for the roles they name.
            providers: Of the worker's own modules: it refuses settings that speak of any other.
        """
        urls = {role: self.valkey.database(number) for number, role in enumerate(ROLES)}
        for role, port in (ports or {}).items():
            urls[role] = urls[role].replace(f":{self.valkey.port}/", f":{port}/")
        return {
            **{f"NARROWS_{role.upper()}_URL": url for role, url in urls.items()},
            **{f"NARROWS_PROVIDERS__{name.upper()}__BASE_URL": self.stub.url for name in providers},
            "NARROWS_LOG_LEVEL": "WARNING",
            "NARROWS_METRICS_PORT": "0",
            address.VARIABLE: self.stub.url,
        }
