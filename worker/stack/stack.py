"""The whole of Narrows on one machine, under one supervisor: Valkey, workers, beat, exporter, Flower.

``narrows up`` and ``narrows demo`` run it, and so do the acceptance tests. Whatever exits is started
again; whatever the stack started ends with it, even when it is itself killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, Self

from worker.errors import ConfigurationError
from worker.stack.child import Child, Program
from worker.stack.embedded import EmbeddedValkey
from worker.stack.lifeline import Lifeline
from worker.stack.programs import CeleryPrograms, Programs

__all__ = ["Stack"]

logger = logging.getLogger("narrows")

CHECKOUT = Path(__file__).resolve().parents[2]
_LOOK_EVERY = 0.1


class Stack:
    """Valkey (unless *env* names a server), *workers* and what is asked for; ``with Stack() as stack:``.

    Args:
        env: ``NARROWS_…`` for the children, over this process's own.
        appendfsync: How soon the embedded Valkey's writes are on disk.
        programs: What is run; tests hand in stand-ins.
        ready_within: Seconds until everything must be ready.
    """

    def __init__(
        self,
        *,
        workers: int = 2,
        beat: bool = True,
        exporter: bool = False,
        flower: bool = False,
        env: Mapping[str, str] | None = None,
        appendfsync: Literal["everysec", "always"] = "everysec",
        programs: Programs | None = None,
        ready_within: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counts = (workers, beat, exporter, flower)
        self._given = {name: value for name, value in (env or {}).items() if value}
        self._programs: Programs = programs or CeleryPrograms()
        self._ready_within = ready_within
        self._clock = clock
        self._lifeline = Lifeline()
        self._appendfsync = appendfsync
        self._children: list[Child] = []
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._asked = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._directory: Path | None = None
        self._mourned = False
        self.valkey: EmbeddedValkey | None = None

    def __enter__(self) -> Self:
        """The stack, ready."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.stop()

    @property
    def directory(self) -> Path:
        """The private directory of logs and environment file, removed by stop()."""
        if self._directory is None:
            self._directory = Path(tempfile.mkdtemp(prefix="narrows-stack-"))
            self._lifeline.remove(self._directory)
        return self._directory

    @property
    def environment(self) -> dict[str, str]:
        """What another process sets to speak to this stack; it holds the password."""
        if self.valkey is None:
            return dict(self._given)
        lasting, answers = self.valkey.database(0), self.valkey.database(1)
        own = dict.fromkeys(("NARROWS_BROKER_URL", "NARROWS_STATE_URL", "NARROWS_RESULT_URL"), lasting)
        own["NARROWS_CACHE_URL"] = answers
        return {name: url for name, url in own.items() if name not in _set_here()} | self._given

    @property
    def env_file(self) -> Path:
        """A file that only its owner can read, for ``set -a; . FILE`` in another terminal."""
        file = self.directory / "narrows.env"
        file.touch(mode=0o600)
        lines = [f"{name}='{value}'\n" for name, value in self.environment.items() if "'" not in value]
        file.write_text("".join(lines), encoding="utf-8")
        return file

    @property
    def addresses(self) -> dict[str, str]:
        """Where each part is found, by name, without passwords."""
        found = {child.program.name: child.program.address for child in self._children}
        if self.valkey is not None:
            found["valkey"] = f"redis://127.0.0.1:{self.valkey.port}"
        return {name: address for name, address in found.items() if address}

    @property
    def workers(self) -> tuple[Child, ...]:
        """The workers, in order."""
        return tuple(child for child in self._children if child.program.name.startswith("worker"))

    def start(self) -> None:
        """Run everything and return when it is ready.

        Raises:
            ConfigurationError: Something did not become ready; its log's end is in the message.
        """
        try:
            if not {"NARROWS_STATE_URL", "NARROWS_STATE_URL_FILE"} & {*_set_here(), *self._given}:
                self.valkey = EmbeddedValkey(appendfsync=self._appendfsync, lifeline=self._lifeline)
                self.valkey.start()
            workers, beat, exporter, flower = self._counts
            for number in range(1, workers + 1):
                self._add(self._programs.worker(number, self.environment))
            if beat:
                self._add(self._programs.beat(self.environment))
            if exporter:
                self._add(self._programs.exporter(self.environment))
            self._supervisor = threading.Thread(target=self._supervise, name="narrows-stack", daemon=True)
            self._supervisor.start()
            self.wait_ready()
            if flower:  # last: it asks the workers who they are when it starts
                self._add(self._programs.flower(self.environment))
                self.wait_ready()
        except BaseException:
            self.stop(grace=2.0)
            raise

    def wait_ready(self, within: float | None = None) -> None:
        """Return when every child is ready; see start()."""
        deadline = self._clock() + (within or self._ready_within)
        while late := [child for child in self._children if not child.is_ready]:
            if self._clock() >= deadline:
                names = ", ".join(child.program.name for child in late)
                raise ConfigurationError(f"{names} did not become ready: {late[0].last_words()}")
            time.sleep(_LOOK_EVERY)

    def kill_worker(self, index: int) -> int:
        """Kill the worker of that index with all that it started; the pid that was. It is restarted."""
        with self._lock:
            return self.workers[index].kill()

    def serve(self) -> None:
        """Return when TERM or Ctrl-C asks for an end; for the main thread. A second one is not waited for."""

        def asked(number: int, _frame: object) -> None:
            signal.signal(number, before[number])
            self._asked.set()

        numbers: tuple[int, ...] = (signal.SIGTERM, signal.SIGINT)
        before = {number: signal.getsignal(number) for number in numbers}
        for number in before:
            signal.signal(number, asked)
        self._asked.wait()

    def stop(self, grace: float = 60.0) -> None:
        """Ask all to end, kill what has not after *grace* seconds, Valkey last; clear up."""
        self._ended.set()
        if self._supervisor is not None:
            self._supervisor.join()
        with self._lock:
            for child in self._children:
                child.terminate()
            deadline = self._clock() + grace
            for child in self._children:
                if not child.wait(deadline):
                    logger.warning("child killed", extra={"child": child.program.name})
            self._children.clear()
        if self.valkey is not None:
            self.valkey.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = None
        self._lifeline.close()

    def _add(self, program: Program) -> None:
        log = self.directory / f"{program.name}.log"
        child = Child(program, log=log, lifeline=self._lifeline, cwd=CHECKOUT, clock=self._clock)
        with self._lock:
            self._children.append(child)
            child.start()

    def _supervise(self) -> None:
        while not self._ended.wait(_LOOK_EVERY):
            with self._lock, contextlib.suppress(OSError):
                self._tend_valkey()
                for child in self._children:
                    if (code := child.tend()) is not None:
                        extra = {"child": child.program.name, "exit_code": code}
                        logger.warning("child exited", extra=extra)

    def _tend_valkey(self) -> None:
        """Start Valkey again when it ended by itself, not when kill() was asked for."""
        if self.valkey is None or not self.valkey.has_crashed:
            return
        logger.warning("child exited", extra={"child": "valkey"})
        try:
            self.valkey.start()
        except ConfigurationError:
            if not self._mourned:
                logger.exception("valkey did not start again")
            self._mourned = True


def _set_here() -> set[str]:
    return {name.upper() for name, value in os.environ.items() if value}
