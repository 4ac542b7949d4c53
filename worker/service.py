"""What a worker process does beside its tasks: check its ground, sweep, show its state.

Celery builds, starts and stops these steps with the worker.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from celery import bootsteps, signals
from redis.exceptions import RedisError

from config.settings import SettingsError
from worker import registry
from worker.doctor.health import unwell
from worker.engine import engine
from worker.errors import ConfigurationError, NotReady
from worker.formats import agree
from worker.revocation import forget_revoked

__all__ = ["Observatory", "Preflight", "Sweeper"]

logger = logging.getLogger("narrows")


class Preflight(bootsteps.Step):
    """Refuses settings that speak of no provider, and in production ground that does not hold.

    It opens gateways, whose watcher imports the metrics: by then a prefork worker must know where they count.
    """

    requires = ("worker.service:Observatory",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        settings = engine().settings
        try:
            settings.check_providers(registry.names())
        except SettingsError as wrong:
            raise ConfigurationError(str(wrong)) from None
        engine().sealer  # noqa: B018 - whose making refuses to seal a task that there is not
        engine().tracer  # noqa: B018 - whose making misses packages, and imports them before the pool forks
        for name in settings.providers:
            engine().gateway(name)  # a contract, an option or a credential that is none is refused here
        with contextlib.suppress(RedisError):  # in production away it is refused below; others wait for it
            agree(engine().line)
        if settings.in_production:
            self._refuse_weak_ground(parent)

    @staticmethod
    def _refuse_weak_ground(parent: Any) -> None:
        from worker.doctor.readiness import ready

        failed = [f"{check.name}: {check.detail}" for check in ready(engine(), parent.app) if not check.ok]
        failed += unwell(engine(), parent.app.amqp.queues.consume_from)
        if failed:
            raise NotReady("not ready for production: " + "; ".join(failed))


def release(task: Any, retval: Any = None, **_: Any) -> None:
    """The task is over, whether or not Celery could store how (``task_postrun`` signal)."""
    if getattr(task, "guarded", False):
        engine().runner.release(task)
        _forget_way(retval)


def _forget_way(why: Any) -> None:
    """Drop the traceback of *why*: Celery's frame in it holds what holds the traceback.

    Until the collector came by, each call that was held back kept 300 kB (billiard notes all positions in
    the code of each frame), and a worker grew by 50 MB before it stopped.
    """
    for each in (why, getattr(why, "exc", None)):
        if isinstance(each, BaseException):
            each.__traceback__ = None


def say_the_rest(**_: Any) -> None:
    """Tell Redis what was to ride on a begin that will not come, and the collector what it has not heard."""
    with contextlib.suppress(RedisError):
        engine().outbox.flush()
    engine().tracer.close()


def _consumed(parent: Any) -> list[str]:
    """The queues that the worker takes from just now, which ``celery control`` may have changed."""
    if consumer := getattr(parent.consumer, "task_consumer", None):
        return [queue.name for queue in consumer.queues]
    return list(parent.app.amqp.queues.consume_from)


class Sweeper(bootsteps.StartStopStep):
    """Reconciler and releaser of this worker; in prefork the children keep their own leases.

    It starts behind the pool: a child that is forked while a thread of ours imports or holds a lock waits for
    that for ever. So it stops before the pool does, and leaves the heartbeat to the calls that still run.
    """

    requires = ("celery.worker.components:Pool",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        import worker.gateway
        import worker.pipeline  # noqa: F401 - children that replace others are forked while threads run
        from worker.reconciler import Reconciler

        settings = engine().settings
        self._reconciler = Reconciler(
            parent.app,
            engine(),
            interval=settings.sweep_interval,
            patience=settings.task_time_limit,
            slots=parent.concurrency,
        )
        self._releaser = engine().releaser
        signals.task_revoked.connect(forget_revoked, weak=False)
        signals.task_postrun.connect(release, weak=False)
        signals.worker_process_init.connect(lambda **_: self._reconciler.start(sweep=False), weak=False)
        signals.worker_process_shutdown.connect(say_the_rest, weak=False)
        signals.worker_shutdown.connect(self._end, weak=False)

    def start(self, parent: Any) -> None:
        """Begin to look for calls that nobody runs, and for those whose turn has come."""
        self._share(parent, parent.app.amqp.queues.consume_from)
        self._reconciler.start()
        self._releaser.start(tend=lambda: self._share(parent, _consumed(parent)))

    def _share(self, parent: Any, queues: Iterable[str]) -> None:
        """Divide the slots between the providers whose *queues* the worker takes from."""
        served = [name for name in queues if name in registry.names()]
        share = engine().settings.provider_share
        engine().bulkhead.share(served, concurrency=parent.concurrency, share=share)

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Let nobody leave the line any more; the pool still runs what it has."""
        self._releaser.stop()

    def _end(self, **_: Any) -> None:
        """The pool is empty: finish the sweep under way, and say what is still to be said."""
        self._reconciler.stop()
        say_the_rest()


class Observatory(bootsteps.StartStopStep):
    """``/metrics``, ``/healthz`` and ``/readyz`` of this worker."""

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._server: Any = None
        self._files: Path | None = None
        if "prefork" in str(getattr(parent, "pool_cls", "")):
            self._count_in_files()

    def _count_in_files(self) -> None:
        """Prefork children count into files that the parent adds up."""
        from worker.metrics import files

        if files.directory() is None:
            prefix = "narrows-metrics-"
            files.remove_orphans(Path(tempfile.gettempdir()), prefix)
            self._files = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-"))
            files.prepare_multiprocess(self._files)

    def start(self, parent: Any) -> None:
        """Listen where the settings say."""
        from worker.doctor.readiness import ready
        from worker.metrics.build import Build
        from worker.metrics.exposition import Exposition, token

        here, settings = engine(), engine().settings
        here.metrics.show(Build())
        self._server = Exposition(
            here.metrics,
            host=settings.metrics_host,
            port=settings.metrics_port,
            token=token(settings),
            ready=lambda: ready(here, parent.app),
            silent=here.pulse.silent,
            any_port=not settings.in_production,
        )
        self._server.start()

    def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
        """Stop listening."""
        if self._server is not None:
            self._server.stop()
        if self._files is not None:
            shutil.rmtree(self._files, ignore_errors=True)
