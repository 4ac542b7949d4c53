"""One deployment on one server, put into whatever state a test wants through the real gate and records."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from celery import Celery
from pydantic import SecretStr

import tasks
from config.celery import celery_settings
from config.settings import ProviderSettings, Settings
from worker.claim import Claim
from worker.cli.desk import Desk
from worker.cli.root import run
from worker.engine import Engine
from worker.gate import Gate, Outcome
from worker.keys import keys
from worker.letters.deadletter import DeadLetter
from worker.overrides import overridden
from worker.record import Records

__all__ = ["NAME", "Deployment", "letter", "started"]

NAME = tasks.fetch_bbl.operation.provider.name
CHECKOUT = Path(__file__).resolve().parents[2]


def letter(letter_id: str, **changed: Any) -> DeadLetter:
    """A dead letter of a call for one lot."""
    fields: dict[str, Any] = {
        "id": letter_id,
        "task": f"{NAME}.fetch_permits",
        "args": ["1012650001"],
        "kwargs": {"note": "canary-argument"},
        "provider": NAME,
        "operation": "fetch_permits",
        "code": "upstream_error",
        "status": 500,
        "error": f"{NAME} answered 500",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "payload_excerpt": "bbl='1012650001'",
        "attempts": 3,
        "replays": 0,
        "first_failed_at": "2026-11-20T10:00:00.000Z",
        "failed_at": "2026-11-20T10:00:30.000Z",
        "retryable": True,
    }
    return DeadLetter(**{**fields, **changed})


@dataclass(kw_only=True)
class Deployment:
    """What one address of a Redis and some of a provider's settings make."""

    url: str
    chosen: ProviderSettings = field(default_factory=ProviderSettings)
    changed: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def engine(self) -> Engine:
        """An engine that has never read the environment."""
        roles = ("broker_url", "state_url", "cache_url", "result_url")
        usual = {"providers": {NAME: self.chosen}, **dict.fromkeys(roles, SecretStr(self.url))}
        return Engine(Settings(**{**usual, **self.changed}))

    @cached_property
    def app(self) -> Celery:
        """An application of its own, so that no other test's is changed."""
        app = Celery("deployment", set_as_current=False)
        app.conf.update(celery_settings(self.engine.settings))
        return app

    @cached_property
    def records(self) -> Records:
        """The provider's records."""
        return Records(self.engine.state, self.engine.line, NAME)

    def gate(self, now: Callable[[], int | str] = str) -> Gate:
        """The provider's gate, on the server's clock or ``now=``."""
        provider = overridden(tasks.fetch_bbl.operation.provider, self.chosen)
        return Gate(self.engine.line, provider, credentials=self.chosen.credentials, now=now)

    def call(self, outcome: Outcome, times: int = 1, *, pause: float = 0.0, gate: Gate | None = None) -> None:
        """So many admitted calls that ended so."""
        gate = gate or self.gate()
        for _ in range(times):
            _, report = gate.begin(Claim())
            report.outcome, report.pause = outcome, pause
            gate.finish(report, Claim())

    def bury(self, *letters: DeadLetter) -> None:
        """Lay *letters* among the dead ones, as a finished call does."""
        for each in letters:
            self.engine.state.rpush(keys(NAME).dlq, each.as_json())

    def narrows(self, *args: str) -> int:
        """The exit code of the command, run here; its output is the test's own."""
        return run(args, desk=Desk(self.engine, self.app))

    def spawned(self, *args: str, **env: str) -> subprocess.CompletedProcess[str]:
        """The command as a process of its own, with this deployment in its environment."""
        roles = ("BROKER", "STATE", "CACHE", "RESULT")
        process = started(*args, **{f"NARROWS_{role}_URL": self.url for role in roles}, **env)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess(args, process.returncode, out, err)


HEARS_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""A shell that runs the tests in the background has its children ignore SIGINT."""


def started(*args: str, **env: str) -> subprocess.Popen[str]:
    """The command, running, with no other setting than *env*."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("NARROWS_")}
    return subprocess.Popen(
        [sys.executable, "-c", f"{HEARS_CTRL_C}; from worker.cli import main; main()", *args],
        env={**bare, **env},
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
