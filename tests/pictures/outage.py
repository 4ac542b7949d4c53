"""``python -m tests.pictures.outage``: breaks a provider in front of a fleet, and draws what Prometheus saw.

Two workers, the exporter and a real Prometheus that reads them each second. NYC Open Data is asked steadily,
for buildings that were asked for before and for new ones, and for a while all that it answers is a 500.
Drawn is what the dashboard shows, with the provider's own times made shorter.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

from tasks import fetch_permits
from tasks.letters import replay_dead_letters
from tests.fleet import Fleet, Ground, until
from tests.monitoring import Prometheus, missing
from tests.pictures.drawing import Curve, Panel, Phase, draw
from worker.stack.programs import CeleryPrograms

PICTURE = Path(__file__).resolve().parents[2] / "docs" / "pictures" / "outage.svg"
PROVIDER = "nyc_open_data"
HERE = {
    f"NARROWS_PROVIDERS__NYC_OPEN_DATA__{name}": value
    for name, value in {
        "RATE": "8",
        "BURST": "8",
        "CACHE_SECONDS": "2",  # an answer is soon an old one, so that its like is asked for again
        "BREAKER_RESET_AFTER": "8",
        "RETRY_ATTEMPTS": "2",
        "RETRY_FIRST": "0.5",
        "RETRY_MOST": "1",
        "RETRY_FLOOR": "1000",
    }.items()
}
CALM, DOWN, AFTER = 15.0, 40.0, 16.0
"""Seconds: before the outage, of it, and when all that waited is done."""

EVERY = 0.25
"""Seconds between two calls; every other one is for a building that nobody has asked for."""

BUILDINGS = [f"10126{number:05d}" for number in range(50001, 50009)]


def main() -> None:
    """Break, mend, ask Prometheus, draw."""
    parser = argparse.ArgumentParser(prog="python -m tests.pictures.outage", description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=PICTURE, help="where to; .svg or .png")
    to: Path = parser.parse_args().path
    if why := missing("prometheus"):
        raise SystemExit(why)
    with Ground() as ground, Fleet(ground, workers=2, env=HERE, include="tasks") as fleet:
        fleet.stack._add(CeleryPrograms(exporter_port=0).exporter(fleet.stack.environment))
        fleet.stack.wait_ready()
        targets = {
            "narrows-worker": [_place(worker.program.address) for worker in fleet.stack.workers],
            "narrows-exporter": [_place(fleet.stack.addresses["exporter"])],
        }
        with Prometheus(targets) as prometheus:
            phases = _suffered(ground, prometheus)
            panels = [_asked(prometheus, phases, panel) for panel in PANELS]
    draw(panels, phases, to)


def _suffered(ground: Ground, prometheus: Prometheus) -> list[Phase]:
    """The phases of the outage, once it is over: when each began, and what it is called."""
    moments = list[tuple[float, str]]()
    control = ground.sandbox.control
    until(lambda: len(prometheus.query("up == 1")) == 3, 60.0)
    with _load():
        time.sleep(5.0)  # the first rates need some readings
        moments.append((time.time(), "all is well"))
        time.sleep(CALM)
        moments.append((time.time(), "every answer is a 500"))
        control.fault(PROVIDER, status=500)
        time.sleep(DOWN)
        moments.append((time.time(), "mended"))
        control.clear(PROVIDER)
        until(lambda: _value(prometheus, f'max(circuit_breaker_state{{provider="{PROVIDER}"}})') == 0, 60.0)
        until(lambda: _value(prometheus, f'max(parked_calls{{provider="{PROVIDER}"}})') == 0, 90.0)
        time.sleep(AFTER / 2)
        moments.append((time.time(), "letters replayed"))
        replay_dead_letters.delay()
        until(lambda: _value(prometheus, f'max(dlq_depth{{provider="{PROVIDER}"}})') == 0, 90.0)
        time.sleep(AFTER / 2)
    ends = [*(at for at, _ in moments[1:]), time.time()]
    return [Phase(begins=at, ends=end, name=name) for (at, name), end in zip(moments, ends, strict=True)]


@contextmanager
def _load() -> Iterator[None]:
    """Inside, calls are enqueued steadily."""
    ended = Event()
    new = (f"10127{number:05d}" for number in itertools.count(50001))
    known = itertools.cycle(BUILDINGS)

    def enqueue() -> None:
        for number in itertools.count():
            if ended.wait(EVERY):
                return
            fetch_permits.apply_async(args=(next(known if number % 2 else new),), ignore_result=True)

    thread = Thread(target=enqueue, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(timeout=10)


PANELS: tuple[tuple[str, str, tuple[tuple[str, str, str], ...]], ...] = (
    (
        "calls made",
        "per second",
        (
            (
                "success",
                f'sum(rate(adapter_calls_total{{provider="{PROVIDER}", status="success"}}[5s]))',
                "good",
            ),
            (
                "failed",
                f'sum(rate(adapter_calls_total{{provider="{PROVIDER}", status!="success"}}[5s]))',
                "bad",
            ),
        ),
    ),
    ("breaker", "", (("", f'max(circuit_breaker_state{{provider="{PROVIDER}"}})', "state"),)),
    ("waiting in line", "calls", (("", f'max(parked_calls{{provider="{PROVIDER}"}})', "calm"),)),
    (
        "stale answers",
        "per second",
        (("", f'sum(rate(cache_hits_total{{provider="{PROVIDER}", tier="stale"}}[5s]))', "old"),),
    ),
    ("dead letters", "letters", (("", f'max(dlq_depth{{provider="{PROVIDER}"}})', "bad"),)),
)
"""Title, unit, and of each curve its name, its expression and its manner."""


def _asked(
    prometheus: Prometheus, phases: list[Phase], panel: tuple[str, str, tuple[tuple[str, str, str], ...]]
) -> Panel:
    """The panel, with what Prometheus knows of each second; where it knows nothing, nothing happened."""
    title, unit, wanted = panel
    start, end = phases[0].begins, phases[-1].ends
    curves = []
    for name, expression, manner in wanted:
        found = prometheus.series(expression, start, end, 1.0)
        known = {round(at): float(value) for at, value in (found[0]["values"] if found else ())}
        seconds = range(round(start), round(end))
        points = tuple((at - start, known.get(at, 0.0)) for at in seconds)
        curves.append(Curve(name=name, manner=manner, points=points))
    return Panel(title=title, unit=unit, curves=tuple(curves))


def _value(prometheus: Prometheus, expression: str) -> float:
    """The one number that it has; not a number without one."""
    found = prometheus.query(expression)
    return float(found[0]["value"][1]) if found else float("nan")


def _place(url: str) -> str:
    """Its host and port."""
    return urlsplit(url).netloc


if __name__ == "__main__":
    main()
