"""What the demonstration stands on: the sandbox, the stack, and a screen to show them on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.errors import NarrowsError

if TYPE_CHECKING:
    from rich.console import Console

    from worker.stack.stack import Stack

__all__ = ["DemoFailed", "Sandbox", "Stage", "sandbox", "until"]

KEY = "demonstration"
"""By which the sandbox knows us."""

CHECKOUT = Path(__file__).resolve().parents[1]


class DemoFailed(NarrowsError):
    """The demonstration did not show what it should."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Where every provider is played; nothing in it when real hosts are asked.

    Attributes:
        url: Its address.
        settings: The variables by which a deployment asks it.
    """

    url: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the acts are played.

    Attributes:
        out: The viewer's screen.
    """

    out: Console
    sandbox: Sandbox
    stack: Stack

    def title(self, text: str) -> None:
        """Announce an act."""
        self.out.print(f"\n{text}", style="bold cyan")

    def show(self, *command: str) -> None:
        """Type a ``narrows`` command before the viewer."""
        self.out.print(f"   $ narrows {' '.join(command)}", style="bold")
        env = {**os.environ, **self.stack.environment}
        run = [sys.executable, "-c", "from worker.cli import main; main()", *command]
        shown = subprocess.run(run, env=env, cwd=CHECKOUT, capture_output=True, text=True, check=False)  # noqa: S603
        self.out.print(shown.stdout or shown.stderr, markup=False)

    def check(self, held: bool, otherwise: str) -> None:  # noqa: FBT001 - reads as a sentence
        """Go on only when what was shown is what it should be."""
        if not held:
            raise DemoFailed(f"the demonstration failed: {otherwise}")

    def fault(self, provider: str, fault: Mapping[str, object]) -> None:
        """Let *provider* go wrong; with nothing, behave."""
        _http(f"{self.sandbox.url}/_control/{provider}", fault, method="POST" if fault else "DELETE")

    def arrived(self, provider: str) -> int:
        """How many requests have reached *provider*."""
        return int(_http(f"{self.sandbox.url}/_journal/{provider}?count=1")["count"])

    def taken(self, city: str) -> Mapping[str, int]:
        """How often *city* has taken each service request, by its description."""
        found: Mapping[str, int] = _http(f"{self.sandbox.url}/{city}/_desk")["arrivals"]
        return found


@contextmanager
def sandbox(out: Console, *, live: bool) -> Iterator[Sandbox]:
    """A sandbox that lasts as long as the block; an empty one when *live*."""
    if live:
        yield Sandbox()
        return
    if not (CHECKOUT / "tests" / "sandbox").is_dir():
        raise DemoFailed("the sandbox is part of the checkout's tests, and they are not here; try --live")
    out.print("starting the sandbox that plays the twelve providers …")
    command: Sequence[str] = [sys.executable, "-m", "tests.sandbox", "--token", KEY]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as child:  # noqa: S603
        try:
            said = [child.stdout.readline().partition(" ")[2] for _ in range(2)] if child.stdout else []
            if not all(said):
                raise DemoFailed("the sandbox did not start")
            yield Sandbox(url=said[0].strip(), settings=json.loads(said[1]))
        finally:
            child.terminate()


def until(condition: Callable[[], bool], seconds: float) -> None:
    """Return once *condition* holds; DemoFailed when that takes too long."""
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
