"""The storm over calls that run: Narrows and Celery alone, side by side on servers of their own.

Two workers each make the same calls at a steady rate, while a random worker of each is killed every 3
seconds, all connections are killed, and Valkey is killed and started again.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.chaos.alone import PlainCelery
from tests.chaos.load import Call, Load, calls
from tests.chaos.plan import Running
from tests.chaos.report import Outcome, table
from tests.chaos.sides import Narrows
from tests.chaos.storm import Storm
from tests.chaos.talk import broken, say
from tests.chaos.tally import Tally
from tests.chaos.verdict import wrong
from tests.fleet import Ground

__all__ = ["run"]

EVERY = 10.0


def run(plan: Running, folder: Path) -> bool:
    """Both sides through the storm of *plan*; whether ours held."""
    say(f"{plan.calls:,} calls on each side, {plan.rate:g} in each second")
    with (
        Ground(appendfsync="always") as ground,
        Narrows(folder, ground, plan) as narrows,
        PlainCelery(folder, ground, plan) as celery,
    ):
        sides = (narrows, celery)
        made = [calls(plan.calls) for _ in sides]
        loads = [Load(what, side.enqueue, rate=plan.rate) for what, side in zip(made, sides, strict=True)]
        for load in loads:
            load.start()
        storm = Storm(plan=plan, valkey=ground.valkey, stacks=(narrows.stack, celery.stack))
        storm.rage(told=lambda text: say(f"{text}  ended: {narrows.ended} and {celery.ended}"))
        drain(plan, loads, narrows, celery)
        for load in loads:
            load.stop()
        ours, theirs = (
            side.outcome(what, load.taken, load.refused)
            for side, what, load in zip(sides, made, loads, strict=True)
        )
        left = narrows.left
        lost = narrows.lost(loads[0].taken)
        codes = narrows.codes
    say("", table(ours, theirs), f"done on each side: {storm.happened}")
    say(*([f"dead letters of ours: {codes}"] if codes else []))
    say(*(f"lost: {each}" for each in lost[:5]))
    held = not broken(wrong(plan, ours, theirs, left))
    tally(storm, ours, held=held).keep()
    return held


def tally(storm: Storm, ours: Outcome, *, held: bool) -> Tally:
    """What the summary tells of ours."""
    return Tally(
        storm="running",
        faults=storm.faults,
        calls=ours.calls,
        once=ours.ended_once,
        lost=ours.lost,
        doubled=ours.ended_twice,
        recovery=ours.silence,
        since="the longest silence of a call, mostly from its worker's end to its next start",
        held=held,
    )


def drain(plan: Running, loads: list[Load[Call]], narrows: Narrows, celery: PlainCelery) -> None:
    """Until all calls were taken and have ended, or nothing happens any more, or the time is up."""
    deadline = time.monotonic() + plan.drain
    last, since = (0, 0), time.monotonic()
    while time.monotonic() < deadline:
        now = (narrows.ended, celery.ended)
        if now != last:
            last, since = now, time.monotonic()
        quiet = time.monotonic() - since > EVERY / 2
        if all(load.done for load in loads) and narrows.left == 0 and quiet and celery.queued == 0:
            return
        time.sleep(0.5)
