"""A fleet to test against: real servers, a sandbox and real worker processes.

    with Ground() as ground, Fleet(ground, workers=2) as fleet:
        fetch_bbl.delay("1012650001").get(timeout=10)
        fleet.kill(0)

The ground is what stays: the Valkey of queue and state, the one of the cache, the sandbox, and the settings
by which this very process enqueues. Fleets come and go on it. Whatever is started here ends with the
``with``, and with this process however that ends (``worker.stack.lifeline``).
"""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self
from urllib.request import urlopen

from redis import Redis

import tasks  # noqa: F401 - the real providers make themselves known
from config.queues import UPKEEP
from config.settings import Settings, settings
from tests.sandbox import TOKEN, Player, Sandbox
from tests.sandbox.settings import settings as settings_of
from worker import registry
from worker.application import _configuration, app
from worker.engine import Engine, engine
from worker.stack.child import Program
from worker.stack.embedded import EmbeddedValkey
from worker.stack.programs import CeleryPrograms
from worker.stack.stack import Stack

__all__ = ["Fleet", "Ground", "held", "until"]

INCLUDED = "tests.acceptance.providers,tests.acceptance.limited,tests.acceptance.submitted"


def until(condition: Callable[[], Any], within: float = 10.0, *, told: Callable[[], Any] = str) -> Any:
    """What *condition* says once that is true; fails when it is not in time, with what *told* says."""
    deadline = time.monotonic() + within
    while not (found := condition()):
        assert time.monotonic() < deadline, f"did not come to hold in {within:g} s {told()}"
        time.sleep(0.02)
    return found


class Ground:
    """What every fleet of a test session stands on.

    Args:
        players: Providers of the sandbox beside the real ones.
        appendfsync: How soon the state's writes are on disk.

    Attributes:
        valkey: Broker, state and results: the one that must not lose anything.
        cache: Answers; nothing breaks when it goes.
    """

    def __init__(self, *, players: Iterable[Player] = (), appendfsync: Any = "everysec") -> None:
        self.valkey = EmbeddedValkey(appendfsync=appendfsync)
        self.cache = EmbeddedValkey()
        self._players = list(players)
        self.sandbox = Sandbox(players=self._players)
        self._before: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start it, and have this process enqueue on it."""
        try:
            self.valkey.start()
            self.cache.start()
            self.sandbox.start()
        except BaseException:
            self.__exit__()
            raise
        self._before = {name: value for name, value in os.environ.items() if name.startswith("NARROWS_")}
        self._point(self.env)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and leave this process as it was."""
        self._point(self._before)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # Celery's clients leave theirs to the collector
            gc.collect()
        self.sandbox.stop()
        self.cache.stop()
        self.valkey.stop()

    @property
    def env(self) -> dict[str, str]:
        """The settings that lead here."""
        known = registry.names()
        doors = settings_of(self.sandbox.url, TOKEN).items()
        own = {name: value for name, value in doors if name.split("__")[1].lower() in known}
        played = [player.name for player in self._players if player.name in known]
        bases = {
            f"NARROWS_PROVIDERS__{name.upper()}__BASE_URL": self.sandbox.base_url(name) for name in played
        }
        lasting = ("NARROWS_BROKER_URL", "NARROWS_STATE_URL", "NARROWS_RESULT_URL")
        return {
            **dict.fromkeys(lasting, self.valkey.url),
            "NARROWS_CACHE_URL": self.cache.url,
            "NARROWS_LOG_FORMAT": "json",
            "NARROWS_SWEEP_INTERVAL": "0.5",
            **own,
            **bases,
        }

    def client(self) -> Redis:
        """A client of the state."""
        return self.valkey.client()

    def clear(self) -> None:
        """Forget every call, answer, fault and request so far. Only while no worker runs."""
        for server in (self.valkey, self.cache):
            server.start()
            with server.client() as client:
                client.flushall()
        self.sandbox.control.reset()
        self._part()  # the module before may have killed the server that this process is connected to

    def returns(self) -> None:
        """Have a killed Valkey back; this process does not go on with connections to the one before."""
        self.valkey.start()
        self._part()

    @staticmethod
    def _point(env: Mapping[str, str]) -> None:
        """Have this process's application read *env*, whatever it has read before."""
        for name in [name for name in os.environ if name.startswith("NARROWS_")]:
            del os.environ[name]
        os.environ.update(env)
        settings.cache_clear()
        engine.cache_clear()
        app.config_from_object(_configuration(), force=True)
        Ground._part()
        app._backend_cache, app._local = None, threading.local()

    @staticmethod
    def _part() -> None:
        """Close this process's connections to the broker."""
        app.close()
        app.amqp._producer_pool = None
        app.__dict__.pop("control", None)  # which keeps the pool that it once had


class Fleet:
    """Worker processes on the ground, restarted when they exit.

    Args:
        ground: Where it runs.
        workers: How many; all take from all queues.
        pool: ``threads`` or ``prefork``.
        concurrency: Slots of each.
        env: More settings for the workers.
        include: Modules of more tasks that they load, with commas between.
    """

    def __init__(
        self,
        ground: Ground,
        *,
        workers: int = 2,
        pool: str = "threads",
        concurrency: int = 8,
        flower: bool = False,
        env: Mapping[str, str] | None = None,
        include: str = INCLUDED,
    ) -> None:
        self.programs = _Programs(pool=pool, concurrency=concurrency, include=include)
        self.stack = Stack(workers=workers, beat=False, flower=flower, env=env, programs=self.programs)
        self.ground, self._env = ground, dict(env or {})

    def __enter__(self) -> Self:
        """Start it; it is ready."""
        self.stack.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it; what still runs is not waited for long."""
        self.stack.stop(grace=5.0)

    @property
    def pids(self) -> list[int]:
        """The workers' processes, in order; 0 for one that does not run."""
        return [worker.pid for worker in self.stack.workers]

    @property
    def ready(self) -> bool:
        """Whether every worker is."""
        return all(worker.is_ready for worker in self.stack.workers)

    @property
    def logs(self) -> str:
        """All that the processes have written."""
        return "".join(
            path.read_text(errors="replace") for path in sorted(self.stack.directory.glob("*.log"))
        )

    def kill(self, index: int) -> int:
        """End a worker as a crash would; the supervisor starts it again. The pid that was."""
        return self.stack.kill_worker(index)

    def metrics(self, name: str, **labels: str) -> list[float]:
        """What each worker says of a metric; of several samples with these labels, the sum."""
        return [self._sample(worker.program.address, name, labels) for worker in self.stack.workers]

    def gauge(self, name: str, **labels: str) -> float:
        """What an exporter with the workers' settings says now of the fleet; of several samples the sum."""
        from worker.exporter import (
            Exporter,
        )  # not above: a prefork worker that includes tests counts in files
        from worker.survey import Surveyor

        here = Engine(Settings.load({**self.ground.env, **self._env}))
        _, page = Exporter(Surveyor(here, app)).page()
        return _summed(page.decode(), name, labels)

    @staticmethod
    def _sample(address: str, name: str, labels: Mapping[str, str]) -> float:
        with urlopen(f"{address}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
            return _summed(answer.read().decode(), name, labels)


def _summed(page: str, name: str, labels: Mapping[str, str]) -> float:
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    return sum(
        float(line.rpartition(" ")[2])
        for line in page.splitlines()
        if line.startswith((f"{name}{{", f"{name} ")) and all(each in line for each in wanted)
    )


class _Programs(CeleryPrograms):
    """The real programs, with a module of test providers."""

    def __init__(self, *, pool: str, concurrency: int, include: str) -> None:
        # Celery takes "prefork" for the absence of a choice, and then our settings choose threads.
        # Flower anywhere: of two fleets that start at once both would find its own port free.
        super().__init__(
            pool="processes" if pool == "prefork" else pool, concurrency=concurrency, flower_port=0
        )
        self._include = include

    def worker(self, number: int, env: Mapping[str, str]) -> Program:
        program = super().worker(number, env)
        # Queues are settled before --include is read, so they are named here.
        queues = ",".join([UPKEEP, *registry.names()])
        return replace(
            program, command=(*program.command, f"--include={self._include}", f"--queues={queues}")
        )


@contextmanager
def held(queue: str, *, workers: int = 2) -> Iterator[None]:
    """Inside, none of the *workers* takes messages from *queue*."""
    app.control.cancel_consumer(queue, reply=True, limit=workers, timeout=5.0)
    try:
        yield
    finally:
        app.control.add_consumer(queue, reply=True, limit=workers, timeout=5.0)
