"""What a service pays to import our tasks, beside a Celery application of its own with one task.

In fresh processes, by the CPU time from before the import to after it: time by the clock says more about
the machine's other work. An audit hook hears of every socket that is opened meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from bench.report import Figure, median, ratios
from bench.stub import ROOT

__all__ = ["NAME", "Imports"]

NAME = "import_vs_celery"

OURS = "import tasks"
PLAIN = """
import requests
from celery import Celery
app = Celery("plain", broker="redis://127.0.0.1:1/0", backend="redis://127.0.0.1:1/0")
@app.task
def fetch(number):
    return requests.get("http://127.0.0.1:1/", params={"number": number}).json()
"""
CHILD = """
import json, sys, time
opened = []
def heard(event, args):
    if event in {{"socket.connect", "socket.getaddrinfo"}}:
        opened.append(event)
sys.addaudithook(heard)
start = time.process_time()
{code}
print(json.dumps([time.process_time() - start, opened, len(sys.modules)]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What one fresh process said."""

    cpu: float
    connections: int
    modules: int


class Imports:
    """Fresh processes of both kinds, in turn."""

    def __init__(self) -> None:
        for code in (OURS, PLAIN):
            _imported(code)  # writes bytecode and warms the disk's cache
        self._ours: list[Import] = []
        self._plain: list[Import] = []

    def round(self, number: int) -> None:  # noqa: ARG002 - every round is the same
        """One of each."""
        self._ours.append(_imported(OURS))
        self._plain.append(_imported(PLAIN))

    def figures(self) -> list[Figure]:
        """The figure.

        Raises:
            RuntimeError: The import opened a connection.
        """
        ours, plain = self._ours, self._plain
        if opened := sum(each.connections for each in ours):
            raise RuntimeError(f"importing tasks opened {opened} connections")
        beside = {
            "import tasks, ms of CPU": median(each.cpu * 1000 for each in ours),
            "Celery app + requests, ms of CPU": median(each.cpu * 1000 for each in plain),
            "import tasks, modules": median(each.modules for each in ours),
            "Celery app + requests, modules": median(each.modules for each in plain),
            "connections that importing tasks opened": opened,
        }
        rounds = ratios([each.cpu for each in ours], [each.cpu for each in plain])
        return [Figure(name=NAME, rounds=rounds, beside=beside)]


def _imported(code: str) -> Import:
    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(code=code)],
        cwd=ROOT, env=dict(os.environ), check=True, capture_output=True, text=True,
    )  # fmt: skip
    cpu, opened, modules = json.loads(done.stdout)
    return Import(cpu=cpu, connections=len(opened), modules=modules)
