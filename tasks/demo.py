"""``narrows demo``: the main job in front of a viewer, from the first answer to recovery.

1. A stack of its own starts: Valkey, two workers, beat, and the sandbox that plays NYC Open Data.
2. Three buildings are asked for, then asked for again.
3. The provider refuses one call: a dead letter.
4. The provider breaks: the breaker opens, old answers are served, other calls wait.
5. It heals: the calls that waited are answered.

Every act checks what it shows. With ``live`` the first act asks the real hosts, and there is no second half.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.cli.output import cell, console, table
from worker.errors import NarrowsError

if TYPE_CHECKING:
    from celery.result import AsyncResult
    from rich.console import Console

    from worker.stack.stack import Stack

__all__ = ["demo"]

PROVIDER = "nyc_open_data"
CHECKOUT = Path(__file__).resolve().parents[1]
BUILDINGS = {
    "1012650001": "30 Rockefeller Plaza",
    "1008350041": "Empire State Building",
    "1001230022": "Woolworth Building",
}
WAITING = [f"10083{number:05d}" for number in range(50001, 50013)]
"""Lots that nobody has asked for, so that no kept answer stands in for theirs."""

FRESH = 4.0
PACE = {
    "CACHE_SECONDS": f"{FRESH:g}",
    "BREAKER_RESET_AFTER": "3",
    "RETRY_FLOOR": "100",  # nobody wants to wait a minute for the budget here
    "RETRY_ATTEMPTS": "5",
    "RETRY_FIRST": "0.3",
    "RETRY_MOST": "1",
}
"""The provider's own numbers, shortened so that an outage fits into a minute."""


class DemoFailed(NarrowsError):
    """The demonstration did not show what it should."""


def demo(*, live: bool = False) -> None:
    """Show it, on standard output.

    Raises:
        DemoFailed: An act did not turn out as it should.
    """
    from worker.stack.stack import Stack

    out = console()
    with _sandbox(out, live=live) as sandbox:
        env = {} if live else _paced(sandbox)
        out.print("starting Valkey, two workers and beat …")
        with Stack(workers=2, env=env) as stack:
            os.environ.update(stack.environment)
            Play(out, sandbox, stack).act(live=live)


class Play:
    """The acts, in their order."""

    def __init__(self, out: Console, sandbox: str, stack: Stack) -> None:
        self._out, self._sandbox, self._stack = out, sandbox, stack

    def act(self, *, live: bool) -> None:
        """All of them; only the first with real hosts."""
        self._ask()
        if live:
            return
        self._ask_again()
        self._refuse()
        waiting = self._break()
        self._heal(waiting)
        self._show("status")

    def _ask(self) -> None:
        self._title("1. Another service asks for three buildings: fetch_bbl.delay(bbl, days_311=365)")
        self._answers({bbl: _enqueue("fetch_bbl", bbl, days_311=365) for bbl in BUILDINGS})

    def _ask_again(self) -> None:
        self._title("2. The same again: nothing reaches the provider")
        before = self._arrived()
        self._answers({bbl: _enqueue("fetch_bbl", bbl, days_311=365) for bbl in BUILDINGS}, expect="cache")
        self._check(self._arrived() == before, "the provider was asked again")

    def _refuse(self) -> None:
        self._title("3. The provider refuses a call: it becomes a dead letter at once")
        self._fault({"status": 400, "times": 1})
        refused = _enqueue("fetch_permits", WAITING[0])
        _until(refused.ready, 10)
        self._check(refused.failed(), "the refused call did not fail")
        self._show("dlq", "list", PROVIDER)

    def _break(self) -> list[AsyncResult[Any]]:
        self._title("4. The provider breaks: every answer is a 500")
        time.sleep(FRESH)
        self._fault({"status": 500})
        before = self._arrived()
        waiting = [_enqueue("fetch_permits", bbl) for bbl in WAITING]
        _until(lambda: all(call.state == "RETRY" for call in waiting), 15)
        _until(lambda: _breaker() != "closed", 10)
        self._out.print(f"   {len(waiting)} calls enqueued, {self._arrived() - before} reached the provider")
        self._show("breaker", "show", PROVIDER)
        self._out.print(f"   the last of them: {waiting[-1].state}, {waiting[-1].info}")
        self._out.print("\n   the three buildings again: stale answers, with their age")
        self._answers({bbl: _enqueue("fetch_bbl", bbl, days_311=365) for bbl in BUILDINGS}, expect="stale")
        return waiting

    def _heal(self, waiting: list[AsyncResult[Any]]) -> None:
        self._title("5. The provider heals")
        self._fault({})
        started = time.monotonic()
        _until(lambda: all(call.ready() for call in waiting), 25)
        answered = sum(call.successful() for call in waiting)
        seconds = time.monotonic() - started
        self._out.print(f"   {answered} of {len(waiting)} waiting calls answered {seconds:.1f} s later")
        self._check(answered == len(waiting), "a call that waited was not answered")
        _until(lambda: _breaker() == "closed", 10)
        self._show("breaker", "show", PROVIDER)

    def _answers(self, calls: dict[str, AsyncResult[Any]], expect: str = "live") -> None:
        drawn = table("BBL", "Building", "DOB", "HPD", "311", "Permits", "From")
        for bbl, call in calls.items():
            found = call.get(timeout=30)
            sources = {source.get("from", source.get("error")) for source in found["sources"].values()}
            age = max(source.get("age", 0.0) for source in found["sources"].values())
            told = "/".join(sorted(map(str, sources))) + (f", {age:.1f} s old" if age else "")
            names = ("dob_violations", "hpd_violations", "complaints_311", "permits")
            counts = [cell(len(found[name])) for name in names]
            drawn.add_row(cell(bbl), cell(BUILDINGS[bbl]), *counts, cell(told))
            self._check(sources == {expect}, f"{bbl} came from {told}, not {expect}")
        self._out.print(drawn)

    def _show(self, *command: str) -> None:
        self._out.print(f"   $ narrows {' '.join(command)}", style="bold")
        env = {**os.environ, **self._stack.environment}
        run = [sys.executable, "-c", "from worker.cli import main; main()", *command]
        shown = subprocess.run(run, env=env, cwd=CHECKOUT, capture_output=True, text=True, check=False)  # noqa: S603
        self._out.print(shown.stdout or shown.stderr, markup=False)

    def _fault(self, fault: dict[str, object]) -> None:
        _http(f"{self._sandbox}/_control/{PROVIDER}", fault, method="POST" if fault else "DELETE")

    def _arrived(self) -> int:
        return int(_http(f"{self._sandbox}/_journal/{PROVIDER}?count=1")["count"])

    def _title(self, text: str) -> None:
        self._out.print(f"\n{text}", style="bold cyan")

    def _check(self, held: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
        if not held:
            raise DemoFailed(f"the demonstration failed: {otherwise}")


def _paced(sandbox: str) -> dict[str, str]:
    prefix = f"NARROWS_PROVIDERS__{PROVIDER.upper()}__"
    own = {f"{prefix}{name}": value for name, value in PACE.items()}
    return {**own, f"{prefix}BASE_URL": f"{sandbox}/{PROVIDER}", "NARROWS_SWEEP_INTERVAL": "0.5"}


def _enqueue(operation: str, bbl: str, **kwargs: Any) -> AsyncResult[Any]:
    import tasks

    return getattr(tasks, operation).delay(bbl, **kwargs)


def _breaker() -> str:
    from worker.engine import engine

    return str(engine().gateway(PROVIDER).breaker.current_state)


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise DemoFailed("the demonstration failed: something did not happen in time")
        time.sleep(0.05)


def _http(url: str, body: object = None, method: str = "GET") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)  # noqa: S310 - the sandbox, on loopback
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310 - the same
        return json.load(answer)


@contextmanager
def _sandbox(out: Console, *, live: bool) -> Iterator[str]:
    """The address of a sandbox that lasts as long as the block; none when *live*."""
    if live:
        yield ""
        return
    if not (CHECKOUT / "tests" / "sandbox").is_dir():
        raise DemoFailed("the sandbox is part of the checkout's tests, and they are not here; try --live")
    out.print("starting the sandbox that plays NYC Open Data …")
    command: Sequence[str] = [sys.executable, "-m", "tests.sandbox"]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line.startswith("sandbox "):
                raise DemoFailed("the sandbox did not start")
            yield line.split()[1]
        finally:
            child.terminate()
