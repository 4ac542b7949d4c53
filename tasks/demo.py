"""``narrows demo``: the main job in front of a viewer, from the first answer to recovery.

A stack of its own starts: Valkey, two workers, beat, and the sandbox that plays the twelve providers.

1. Each provider is asked for something.
2. Three buildings are asked for,
3. then asked for again.
4. The provider refuses one call: a dead letter.
5. The provider breaks: the breaker opens, old answers are served, other calls wait.
6. It heals: the calls that waited are answered.
7. A pothole is reported to 311, twice under one key: it arrives once.
8. 311 takes a report and hangs up: it is in doubt, and not sent again.

Every act checks what it shows. With ``live`` the second act asks the real hosts, and there are no others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.demo_stage import Stage, sandbox, until
from tasks.demo_tour import STOPS
from worker.cli.output import cell, console, table

if TYPE_CHECKING:
    from celery.result import AsyncResult

__all__ = ["demo"]

PROVIDER, CITY = "nyc_open_data", "nyc311"
BUILDINGS = {
    "1012650001": "30 Rockefeller Plaza",
    "1008350041": "Empire State Building",
    "1001230022": "Woolworth Building",
}
WAITING = [f"10083{number:05d}" for number in range(50001, 50013)]
"""Lots that nobody has asked for, so that no kept answer stands in for theirs."""

POTHOLE = {
    "agency": "DOT",
    "complaint_type": "Street Condition",
    "description": "Pothole",
    "location": {"address": "1 Centre Street", "borough": "Manhattan", "zip": "10007"},
}
LAMP = {**POTHOLE, "complaint_type": "Street Light Condition", "description": "Lamp out"}

FRESH = 4.0
PACE = {
    f"NARROWS_PROVIDERS__{PROVIDER.upper()}__{name}": value
    for name, value in {
        "CACHE_SECONDS": f"{FRESH:g}",
        "BREAKER_RESET_AFTER": "3",
        "RETRY_FLOOR": "100",  # nobody wants to wait a minute for the budget here
        "RETRY_ATTEMPTS": "5",
        "RETRY_FIRST": "0.3",
        "RETRY_MOST": "1",
    }.items()
} | {"NARROWS_SWEEP_INTERVAL": "0.5"}
"""The provider's own numbers, shortened so that an outage fits into a minute."""


def demo(*, live: bool = False) -> None:
    """Show it, on standard output.

    Raises:
        DemoFailed: An act did not turn out as it should.
    """
    from worker.stack.stack import Stack

    out = console()
    with sandbox(out, live=live) as played:
        env = {} if live else {**played.settings, **PACE}
        out.print("starting Valkey, two workers, beat and the exporter …")
        with Stack(workers=2, exporter=True, env=env) as stack:
            os.environ.update(stack.environment)
            out.print(f"the fleet's state, for Prometheus: {stack.addresses['exporter']}/metrics")
            Play(Stage(out=out, sandbox=played, stack=stack)).act(live=live)


class Play:
    """The acts, in their order."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def act(self, *, live: bool) -> None:
        """All of them; only the second with real hosts."""
        if not live:
            self._tour()
        self._ask()
        if live:
            return
        self._ask_again()
        self._refuse()
        waiting = self._break()
        self._heal(waiting)
        self._report()
        self._doubt()
        self._stage.show("status")

    def _tour(self) -> None:
        self._stage.title("1. One call of each provider")
        calls = [(stop, stop.enqueue()) for stop in STOPS]
        drawn = table("Provider", "Call", "Answer")
        for stop, call in calls:
            drawn.add_row(cell(stop.provider), cell(stop.said), cell(stop.told(call.get(timeout=30))))
            self._stage.check(self._stage.arrived(stop.provider) > 0, f"{stop.provider} was not asked")
        self._stage.out.print(drawn)

    def _ask(self) -> None:
        self._stage.title("2. Another service asks for three buildings: fetch_bbl.delay(bbl, days_311=365)")
        self._answers({bbl: _enqueue("fetch_bbl", bbl, days_311=365) for bbl in BUILDINGS})

    def _ask_again(self) -> None:
        self._stage.title("3. The same again: nothing reaches the provider")
        before = self._stage.arrived(PROVIDER)
        self._answers({bbl: _enqueue("fetch_bbl", bbl, days_311=365) for bbl in BUILDINGS}, expect="cache")
        self._stage.check(self._stage.arrived(PROVIDER) == before, "the provider was asked again")

    def _refuse(self) -> None:
        self._stage.title("4. The provider refuses a call: it becomes a dead letter at once")
        self._stage.fault(PROVIDER, {"status": 400, "times": 1})
        refused = _enqueue("fetch_permits", WAITING[0])
        until(refused.ready, 10)
        self._stage.check(refused.failed(), "the refused call did not fail")
        self._stage.show("dlq", "list", PROVIDER)

    def _break(self) -> list[AsyncResult[Any]]:
        self._stage.title("5. The provider breaks: every answer is a 500")
        time.sleep(FRESH)
        self._stage.fault(PROVIDER, {"status": 500})
        before = self._stage.arrived(PROVIDER)
        waiting = [_enqueue("fetch_permits", bbl) for bbl in WAITING]
        until(lambda: all(call.state == "RETRY" for call in waiting), 15)
        until(lambda: _breaker() != "closed", 10)
        self._stage.out.print(
            f"   {len(waiting)} calls enqueued, {self._stage.arrived(PROVIDER) - before} reached the provider"
        )
        self._stage.show("breaker", "show", PROVIDER)
        self._stage.out.print(f"   the last of them: {waiting[-1].state}, {waiting[-1].info}")
        self._stage.out.print("\n   the three buildings again: stale answers, with their age")
        self._answers({bbl: _enqueue("fetch_bbl", bbl, days_311=365) for bbl in BUILDINGS}, expect="stale")
        return waiting

    def _heal(self, waiting: list[AsyncResult[Any]]) -> None:
        self._stage.title("6. The provider heals")
        self._stage.fault(PROVIDER, {})
        started = time.monotonic()
        until(lambda: all(call.ready() for call in waiting), 25)
        answered = sum(call.successful() for call in waiting)
        seconds = time.monotonic() - started
        self._stage.out.print(f"   {answered} of {len(waiting)} waiting calls answered {seconds:.1f} s later")
        self._stage.check(answered == len(waiting), "a call that waited was not answered")
        until(lambda: _breaker() == "closed", 10)
        self._stage.show("breaker", "show", PROVIDER)

    def _report(self) -> None:
        self._stage.title("7. A pothole is reported to 311, twice under one key: it arrives once")
        drawn = table("Report", "Number", "Status", "Agency", "State")
        told = [_submit(POTHOLE, "pothole-4711").get(timeout=15) for _ in range(2)]
        for report, each in zip(("the first", "the second"), told, strict=True):
            names = ("external_id", "external_status", "agency", "state")
            drawn.add_row(cell(report), *(cell(each[name]) for name in names))
        self._stage.out.print(drawn)
        self._stage.check(told[0] == told[1], "the second report has another number")
        self._check_taken(POTHOLE)

    def _doubt(self) -> None:
        self._stage.title("8. 311 takes a report and hangs up: nobody knows, so it is not sent again")
        self._stage.fault(CITY, {"mode": "acted_hang_up", "method": "POST", "times": 1})
        for _ in range(2):
            reported = _submit(LAMP, "lamp-4712")
            until(reported.ready, 15)
            self._stage.check(reported.failed(), "what nobody knows counts as accepted")
        self._stage.show("submission", "list", CITY)
        self._check_taken(LAMP)

    def _check_taken(self, request: Mapping[str, Any]) -> None:
        """That 311 has *request* once, by its own book."""
        told = request["description"]
        times = self._stage.taken(CITY).get(told, 0)
        self._stage.check(times == 1, f"{told!r} arrived {times} times")
        self._stage.out.print(f"   {told!r} stands once in 311's own book")

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
            self._stage.check(sources == {expect}, f"{bbl} came from {told}, not {expect}")
        self._stage.out.print(drawn)


def _enqueue(operation: str, bbl: str, **kwargs: Any) -> AsyncResult[Any]:
    import tasks

    return getattr(tasks, operation).delay(bbl, **kwargs)


def _submit(request: Mapping[str, Any], key: str) -> AsyncResult[Any]:
    from tasks import submit_service_request

    return submit_service_request.delay(request, idempotency_key=key)


def _breaker() -> str:
    from worker.engine import engine

    return str(engine().gateway(PROVIDER).breaker.current_state)
