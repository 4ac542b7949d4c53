"""The storm over submissions: each arrives once or not at all, and whatever became of it, somebody knows.

Three producers, one of them without our code now and then, submit 200 slips at three desks, one for each way
out of a doubt, many of them several times under one key. Workers and Valkey are killed, connections are
reset, messages come twice, and the desks act and hang up, act and fail, say nothing, throttle, or are not
there. Celery alone submits the same to desks of its own meanwhile, with late acks and with early ones.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from tests.chaos.columns import alone, ours, table
from tests.chaos.desk import Desk
from tests.chaos.endings import Ending, wrong
from tests.chaos.found import endings
from tests.chaos.handed_in import HandedIn
from tests.chaos.handed_in_alone import KINDS, Alone
from tests.chaos.invariants import Watch
from tests.chaos.load import Load
from tests.chaos.plan import Submitting
from tests.chaos.slips import Send, sends, slips
from tests.chaos.storm import Storm
from tests.chaos.submits import TASKS
from tests.chaos.talk import broken, say
from tests.chaos.tally import Tally
from tests.chaos.weather import Weather
from tests.fleet import Ground
from worker.keys import keys

__all__ = ["run"]

SHOWN, AWHILE = 5, 5.0

QUIET = 5.0
"""Seconds without a word after which Celery alone will not say any more."""


def run(plan: Submitting, *, chance: int | None = None) -> bool:
    """Both sides through the storm of *plan*; whether ours held. *chance* throws the same dice again."""
    seed = random.SystemRandom().randrange(10**6) if chance is None else chance
    made = slips(plan.calls, tuple(TASKS))
    wishes = sends(made)
    say("", f"{plan.calls:,} submissions, {plan.rate:g} in each second; ours are wished for")
    say(f"{sum(map(len, wishes)):,} times by {len(wishes)} producers (chance {seed})")
    desks = {name: Desk(name, latency=plan.latency, once=name == "idempotent") for name in (*TASKS, *KINDS)}
    with (
        Ground(appendfsync="always", players=desks.values()) as ground,
        HandedIn(ground, plan, random.Random(seed)) as narrows,
        Alone(ground, plan) as celery,
        ExitStack() as within,
    ):
        watches = [within.enter_context(Watch(ground.client, keys(name))) for name in TASKS]
        loads = [Load(part, narrows.enqueue, rate=len(part) / plan.lasts) for part in wishes]
        theirs = Load(made, celery.enqueue, rate=plan.rate)
        everyone: list[Load[Any]] = [*loads, theirs]
        faults = rage(plan, ground, desks, narrows, celery, everyone, seed)
        recovery = drain(plan, loads, narrows, celery)
        for load in everyone:
            load.stop()
        ends = endings(made, wishes, narrows.ids, desks)
        sent = [slip for slip in made if slip.task_id in theirs.taken]
        columns = [ours(name, ends) for name in TASKS]
        columns += [alone(f"{kind} acks", celery.told(kind, sent), desks[kind].arrived) for kind in KINDS]
        left, held = narrows.left, celery.held("late")
    say("", table(*columns), f"copies of messages: {narrows.copies.made}")
    say(f"sent again by a service without our code that heard nothing: {narrows.again}")
    say(f"late acks: {held} messages lie unacknowledged until the visibility timeout of an hour")
    for ending in [each for each in ends if each.faults()][:SHOWN]:
        say(f"{', '.join(ending.faults())}: {ending}")
    untaken = sum(map(len, wishes)) - sum(len(load.taken) for load in loads)
    still = {f"left: {place}": count for place, count in left.items()}
    held = not broken({**wrong(ends), **unlawful(watches), "wishes were not taken": untaken, **still})
    faults["messages doubled"] = narrows.copies.made
    tally(faults, ends, recovery, held=held).keep()
    return held


def rage(
    plan: Submitting,
    ground: Ground,
    desks: dict[str, Desk],
    narrows: HandedIn,
    celery: Alone,
    loads: list[Load[Any]],
    seed: int,
) -> dict[str, int]:
    """How often what went wrong: all at once, until the last blow fell and everybody had time to submit."""
    storm = Storm(
        plan=plan, valkey=ground.valkey, stacks=(narrows.stack, celery.stack), chance=random.Random(seed)
    )
    for load in loads:
        load.start()
    with Weather(ground.sandbox, desks, every=plan.weather, chance=random.Random(seed)) as weather:
        storm.rage(
            told=lambda text: say(f"{text}  arrived: {sum(d.arrived.total() for d in desks.values())}")
        )
        for load in loads:
            load.join(AWHILE)
    say(f"done on each side: {storm.happened}", f"weather: {dict(weather.seen)}")
    return storm.faults | {"desks went wrong": weather.seen.total() - weather.seen["fine"]}


def tally(faults: dict[str, int], ends: list[Ending], recovery: float, *, held: bool) -> Tally:
    """What the summary tells of ours."""
    return Tally(
        storm="submitting",
        faults=faults,
        calls=len(ends),
        once=sum(not (each.lost or each.doubled) for each in ends),
        lost=sum(each.lost for each in ends),
        doubled=sum(each.doubled for each in ends),
        doubt=sum(each.state == "in_doubt" for each in ends),
        recovery=recovery,
        since="from the end of it all until no submission is open and all callers have heard",
        held=held,
    )


def unlawful(watches: Iterable[Watch]) -> dict[str, float]:
    """What was seen in the indexes and should not have been."""
    seen = list(watches)
    say(*[text for watch in seen for text in watch.broken][:SHOWN])
    return {
        "calls were in two places, or none": sum(len(watch.broken) for watch in seen),
        "looks at the indexes were missed altogether": sum(not watch.looks for watch in seen),
    }


def drain(plan: Submitting, loads: Iterable[Load[Send]], narrows: HandedIn, celery: Alone) -> float:
    """Seconds until nothing of ours was open; returns when Celery alone is quiet, too, or the time is up."""
    began = time.monotonic()
    deadline, settled = began + plan.drain, plan.drain
    ended, since = celery.ended, began
    while time.monotonic() < deadline:
        narrows.send_again()
        if (now := celery.ended) != ended:
            ended, since = now, time.monotonic()
        quiet = time.monotonic() > since + QUIET
        over = all(load.done for load in loads) and not narrows.left
        settled = min(settled, time.monotonic() - began) if over else plan.drain
        if over and quiet:
            break
        time.sleep(0.5)
    return settled


def _arrived(desks: dict[str, Desk]) -> str:
    return ", ".join(f"{desk.arrived.total()} {name}" for name, desk in desks.items())
